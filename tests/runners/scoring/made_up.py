"""Small benchmarks made up on the spot, each in the layout its official archive has."""

import json

import numpy as np

from difftrack_jax.runners import evaluate

T, SIZE = 6, (24, 32)  # frames; height, width


def score(benchmark, predictions, data_dir, **options):
    """Metrics of the whole set."""
    split, sequences = options.pop("split", ""), options.pop("sequences", "")
    return evaluate.score(benchmark, predictions, data_dir, split, sequences, options).metrics


def text(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def dump(path, data):
    return text(path, json.dumps(data))


def boxes(targets=2):
    """(frame from 0, id, left, top, width, height) of targets that walk to the right."""
    return [(time, i, 10 + 60 * i + 2 * time, 20, 30, 40) for time in range(T) for i in range(1, targets + 1)]


def masks(targets=2):
    """Pictures of labels [t, h, w]: squares that walk, one below the other."""
    pictures = np.zeros((T, *SIZE), np.uint8)
    for time in range(T):
        for i in range(1, targets + 1):
            pictures[time, 10 * i - 8 : 10 * i - 2, 4 + time : 12 + time] = i
    return pictures
