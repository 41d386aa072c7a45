"""Recorded results and made-up tracks, as the metric tests use them."""

import json
import pathlib

import numpy as np

from difftrack_jax.metrics.frames import Frame
from difftrack_jax.ops.boxes import iou

# Order of summation, and nothing else, separates our floats from the recorded ones.
TOLERANCE = 1e-9


def load(path: pathlib.Path):
    return json.loads(path.read_text())


def table(path: pathlib.Path, width: int) -> np.ndarray:
    """Numbers between commas; an empty file is a table without rows."""
    return np.loadtxt(path, delimiter=",", ndmin=2) if path.stat().st_size else np.zeros((0, width))


def pairwise_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of boxes left, top, width, height."""
    corners = lambda box: np.concatenate([box[:, :2], box[:, :2] + box[:, 2:]], axis=1)
    return iou(corners(a)[:, None], corners(b)[None])


def assert_numbers(ours, theirs, tolerance=TOLERANCE, exact=()):
    """Every number of theirs is in ours: counts exactly, floats within the tolerance."""
    for name, expected in theirs.items():
        value = ours[name]
        if isinstance(expected, int) or name in exact:
            np.testing.assert_array_equal(value, expected, err_msg=name)
        else:
            np.testing.assert_allclose(value, expected, rtol=0, atol=tolerance, err_msg=name)


def boxes_to_frames(gt, pred, length) -> tuple[Frame, ...]:
    """gt, pred: {id: {frame: box left, top, width, height}}."""
    frames = []
    for time in range(length):
        here = [{i: boxes[time] for i, boxes in side.items() if time in boxes} for side in (gt, pred)]
        ids = [np.array(sorted(side), np.int64) for side in here]
        box = [np.array([side[i] for i in sorted(side)], np.float64).reshape(-1, 4) for side in here]
        frames.append(Frame(*ids, pairwise_iou(*box)))
    return tuple(frames)


def random_frames(rng: np.random.Generator, length=12, targets=5, noise=6.0, keep=0.8) -> tuple[Frame, ...]:
    """Boxes that walk, and a tracker that wavers, misses some, adds some and now and then mixes identities up."""
    start, speed = rng.uniform(0, 200, (targets, 2)), rng.normal(0, 3, (targets, 2))
    gt, pred = {}, {}
    for i in range(targets):
        for time in range(length):
            box = [*(start[i] + time * speed[i]), 40, 60]
            if rng.random() < 0.9:
                gt.setdefault(i + 1, {})[time] = box
            if rng.random() < keep:
                who = 10 + (i if rng.random() < 0.9 else rng.integers(targets))
                pred.setdefault(int(who), {})[time] = [*(np.array(box[:2]) + rng.normal(0, noise, 2)), 40, 60]
            if rng.random() < 0.1:
                pred.setdefault(100 + i, {})[time] = [*rng.uniform(0, 200, 2), 40, 60]
    return boxes_to_frames(gt, pred, length)
