"""Clips of benchmarks with their tracklets, as a generator trains on them (TrackDiffusion's loaders).

    batches = TrackletBatches(benchmark, "train", Cut(frames=16, width=480, height=320, slots=20), batch=8, seed=0)
    examples = batches(step)          # the same for the same step, so a resumed run sees what an undisturbed one does

A key frame is drawn; further frames are taken at a fixed stride to its left while there are any, then to its right.
Frames are brought to the size asked for without keeping their aspect, and nothing else is done to them. A slot is an
instance: the rank of its id among those of the clip; it keeps its slot while it is out of sight.
"""

import functools
from typing import NamedTuple

import numpy as np
from PIL import Image

from difftrack_jax.data.builders.base import Benchmark
from difftrack_jax.data.records import WHOLE_CLIP, Clip
from difftrack_jax.errors import UserError
from difftrack_jax.typing import Float, UInt8

# Strides in frames as published; 1 where nothing was said.
INTERVALS = {"got10k": 2}
CAPTION = "A segment of multi-object tracking video."


class Cut(NamedTuple):
    """What is cut out of a clip. interval: frames from one to the next."""

    frames: int = 16
    width: int = 480
    height: int = 320
    slots: int = 20
    interval: int = 1


class Example(NamedTuple):
    """frames: RGB; boxes: shares of the frame, zeros where valid is 0; names: of the slots, "" for empty ones."""

    frames: UInt8[np.ndarray, "t h w 3"]
    boxes: Float[np.ndarray, "t n 4"]
    valid: Float[np.ndarray, "t n"]
    names: tuple[str, ...]
    caption: str


def frame_indices(length: int, key: int, frames: int, interval: int) -> list[int]:
    """Up to `frames` equally spaced indices around the key frame, those before it first. Short clips give fewer."""
    left = list(range(key, -1, -interval))[:frames]
    right = list(range(key + interval, length, interval))[: frames - len(left)]
    return left[::-1] + right


def cut_clip(clip: Clip, key: int, cut: Cut, categories: tuple[str, ...]) -> Example:
    """The example around a key frame. A clip that is too short is filled up with its last frame."""
    indices = frame_indices(len(clip.frames), key, cut.frames, cut.interval)
    indices += indices[-1:] * (cut.frames - len(indices))
    rows = clip.rows.take(clip.rows.visible & ~clip.rows.ignore & np.isin(clip.rows.frame, indices))
    rows = rows.take(np.isfinite(rows.box).all(axis=1))
    boxes = np.zeros((cut.frames, cut.slots, 4), np.float32)
    valid = np.zeros((cut.frames, cut.slots), np.float32)
    names = [""] * cut.slots
    for slot, target in enumerate(np.unique(rows.id)[: cut.slots]):
        own = rows.take(rows.id == target)
        category = int(own.category[0])
        names[slot] = categories[category - 1] if 1 <= category <= len(categories) else categories[0]
        by_frame = dict(zip(own.frame.tolist(), own.box))
        for t, index in enumerate(indices):
            if index in by_frame:
                box = np.clip(by_frame[index] / np.array([clip.width, clip.height] * 2), 0, 1)
                if (box[2:] > box[:2]).all():
                    boxes[t, slot], valid[t, slot] = box, 1
    caption = next((sentence for target, sentence in clip.captions if target == WHOLE_CLIP), CAPTION)
    resize = lambda frame: np.asarray(Image.fromarray(frame).resize((cut.width, cut.height), Image.Resampling.BILINEAR))
    frames = {index: resize(clip.frames[index]) for index in set(indices)}
    return Example(np.stack([frames[index] for index in indices]), boxes, valid, tuple(names), caption)


class TrackletBatches:
    """batches(step) -> a list of examples, drawn by the seed and the step alone."""

    def __init__(self, benchmark: Benchmark, split: str, cut: Cut, batch: int, seed: int, sequences: str = ""):
        self.benchmark, self.split, self.batch, self.seed = benchmark, split, batch, seed
        self.cut = cut._replace(interval=INTERVALS.get(benchmark.name, cut.interval))
        self.names = benchmark.names(split, sequences)
        if split in benchmark.hidden:
            raise UserError(f"{benchmark.name}: the boxes of split {split} are not published; train on another")
        self._read = functools.lru_cache(maxsize=64)(functools.partial(benchmark.read, split))

    def __call__(self, step: int) -> list[Example]:
        rng = np.random.default_rng([self.seed, step])
        return [self._draw(rng) for _ in range(self.batch)]

    def _draw(self, rng: np.random.Generator) -> Example:
        clip = self._read(self.names[rng.integers(len(self.names))])
        return cut_clip(clip, int(rng.integers(len(clip.frames))), self.cut, self.benchmark.categories)
