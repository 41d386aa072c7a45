"""Do generated clips keep to their tracklets? Our tracker judges (the paper's Table 4, in small).

    python benchmarks/generated_clips.py [--sets=50] [--model=NAME=PATH ...] [--steps=25]

For each held-out procedural set of tracklets (seeds no training has drawn) every generator makes a clip, and the clip
that the set was cut from is the oracle. The bundled tracker starts on the box of an object's first frame, in each, and
is scored against the conditioning boxes: Success is the area under the curve of frames with IoU above a threshold,
centre error is normalised by the box's size (precision at 0.2). Only objects in at least half of the frames count.
"""

import argparse
import sys
import time

import jax
import numpy as np
from PIL import Image

import difftrack_jax as dt
from difftrack_jax.data import tracklet_clips, tracklet_sets
from difftrack_jax.errors import UserError
from difftrack_jax.generation.generator import load_generator

SIZE = 192  # pixels a side of the frames that are judged
FIRST = 10_000_000  # held-out seeds begin here


def held_out(number: int, frames: int, size: int):
    """Tracklets and the frames they were cut from."""
    style = tracklet_clips.STYLE._replace(frames=frames, size=size)
    clip = jax.tree.map(np.asarray, _draw(jax.random.key(FIRST + number), style))
    frames = np.rint((clip.frames + 1) * 127.5).astype(np.uint8)
    real = np.stack([np.asarray(Image.fromarray(f).resize((SIZE, SIZE), Image.Resampling.BICUBIC)) for f in frames])
    return tracklet_sets.from_clip(clip, f"set {number}", SIZE, 8.0), real


_draw = jax.jit(tracklet_clips.draw, static_argnums=1)


def judge(tracker, frames: np.ndarray, boxes: np.ndarray) -> tuple[list[float], list[float]]:
    """IoU and normalised centre error in every frame after the object's first one in which it is."""
    there = np.flatnonzero(~np.isnan(boxes).any(axis=1))
    state = tracker.init(frames[there[0]], [dt.Box(*boxes[there[0]].tolist())])
    overlaps, errors = [], []
    for index in range(there[0] + 1, len(frames)):
        state, prediction = tracker.step(state, frames[index])
        if index in there:
            overlaps.append(iou(prediction.box[0], boxes[index]))
            errors.append(centre_error(prediction.box[0], boxes[index]))
    return overlaps, errors


def iou(a: np.ndarray, b: np.ndarray) -> float:
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    overlap = np.prod(np.maximum(high - low, 0))
    return float(overlap / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - overlap))


def centre_error(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm((a[:2] + a[2:] - b[:2] - b[2:]) / 2 / (b[2:] - b[:2])))


def success(overlaps: list[float]) -> float:
    """Area under the success curve, thresholds 0, 0.05, .. 1."""
    return float(np.mean([np.mean(np.array(overlaps) > threshold) for threshold in np.linspace(0, 1, 21)]))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--sets", type=int, default=50)
    arguments.add_argument("--steps", type=int, default=0, help="of the sampler; 0 is the model's own number")
    arguments.add_argument("--model", action="append", default=[], help="NAME=PATH; the bundled one if none is given")
    given = arguments.parse_args()
    models = dict(item.split("=", 1) for item in given.model) or {"mini": "mini"}
    generators = {name: load_generator(path) for name, path in models.items()}
    tracker, begun = dt.load_tracker("mini"), time.monotonic()
    scores = {name: ([], []) for name in ("oracle", *generators)}
    for number in range(given.sets):
        first = next(iter(generators.values()))
        tracklets, real = held_out(number, first.settings.window, first.shape[0] * 4)
        clips = {"oracle": real}
        for name, generator in generators.items():
            settings = generator.settings._replace(**({"steps": given.steps} if given.steps else {}))
            run = generator.start(tracklets, None, jax.random.key(number), settings)
            for _ in range(run.steps):
                run = run.advance()
            clips[name] = run.frames()
        for tracklet in tracklets.tracklets:
            if np.isnan(tracklet.boxes).any(axis=1).mean() <= 0.5:
                for name, frames in clips.items():
                    for total, new in zip(scores[name], judge(tracker, frames, tracklet.boxes)):
                        total += new
        print(f"{number + 1}/{given.sets}, {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    print(f"{given.sets} sets, {len(scores['oracle'][0])} boxes")
    for name, (overlaps, errors) in scores.items():
        precise = np.mean(np.array(errors) < 0.2)
        print(f"{name:24s} success {success(overlaps):.3f}   normalised precision at 0.2 {precise:.3f}")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
