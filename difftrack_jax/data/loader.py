"""Batches of clips to train on: a source of clips, windows of them in fixed slots, sharded over hosts, resumable.

    clips = loader.clips("youtube_vis_2019", "train", "data/ytvis")        # or a folder that tfds prepared
    batches = loader.batches(clips, loader.Window(frames=16, size=(480, 320), slots=20), batch=8, seed=0)
    iterator = iter(batches)
    batch = next(iterator)
    state = iterator.get_state()      # plain JSON, for the checkpoint; iterator.set_state(state) goes on from there

grain does the order, the sharding and the prefetching; only the frames of a window are decoded, by threads. What a
batch holds depends on the seed and the step alone, never on how often the run was stopped. Every host gets as many
batches as every other.
"""

import os
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from PIL import Image

from difftrack_jax.data import registry
from difftrack_jax.data.records import WHOLE_CLIP, Clip, Clips
from difftrack_jax.errors import UserError
from difftrack_jax.typing import Bool, Float, Int, UInt8

try:
    import grain
except ImportError as error:
    raise UserError("loading benchmarks needs: pip install 'difftrack_jax[data]' (no TensorFlow)") from error


class Window(NamedTuple):
    """What is cut out of a clip: `frames` of them, `stride` apart, resized to (width, height), and `slots` targets.

    flip: half of the windows are mirrored. start: a random one, or always the first.
    """

    frames: int = 16
    size: tuple[int, int] = (256, 256)
    slots: int = 20
    stride: int = 1
    flip: bool = False
    random: bool = True


class Batch(NamedTuple):
    """b windows in fixed shapes; what is padding is false in a mask, and zero.

    boxes: x0, y0, x1, y1 as shares of the frame. valid: the target is in this frame. present: the frame is of the
    clip (the last one is repeated after its end). id and category: of each slot, 0 and -1 in empty ones.
    """

    frames: UInt8[np.ndarray, "*b t h w 3"]
    present: Bool[np.ndarray, "*b t"]
    boxes: Float[np.ndarray, "*b t n 4"]
    valid: Bool[np.ndarray, "*b t n"]
    id: Int[np.ndarray, "*b n"]
    category: Int[np.ndarray, "*b n"]
    caption: np.ndarray
    name: np.ndarray


def clips(name: str, split: str, root: str | os.PathLike, wanted: str = "", media: str = "") -> Clips:
    """The clips of a split: of the official folder, or of a folder that tfds prepared (which knows the official one).

    wanted: "a,b" or patterns, of the official folder's sequences. media: where the official folder lies now, if a
    prepared one should look elsewhere than it did.
    """
    folder = pathlib.Path(root).expanduser()
    if (folder / "dataset_info.json").is_file():
        return _prepared(folder, split, media)
    benchmark = registry.benchmark(name, folder)
    names = benchmark.names(split, wanted)
    return Clips(len(names), lambda index: benchmark.read(split, names[index]))


def _prepared(folder: pathlib.Path, split: str, media: str) -> Clips:
    from difftrack_jax.data import prepared

    return prepared.read(folder, split, media)


def batches(
    source: Sequence[Clip],
    window: Window,
    batch: int,
    seed: int = 0,
    shuffle: bool = True,
    epochs: int | None = None,
    process: tuple[int, int] | None = None,
    threads: int = 8,
) -> Any:
    """A grain dataset of `Batch`es of this host. epochs: None goes on for ever. process: (index, count), JAX's own."""
    index, count = process or (jax.process_index(), jax.process_count())
    share = len(source) // count
    if share < batch:
        raise UserError(f"data: {len(source)} clips are too few for batches of {batch} on each of {count} hosts")
    dataset = grain.MapDataset.source(source).seed(seed)
    dataset = dataset.shuffle() if shuffle else dataset
    dataset = dataset[: share * count][index::count].repeat(epochs)
    dataset = dataset.random_map(lambda clip, rng: cut(clip, window, rng))
    dataset = dataset.batch(batch, drop_remainder=True)
    return dataset.to_iter_dataset(grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * threads))


def cut(clip: Clip, window: Window, rng: np.random.Generator) -> Batch:
    """One window of a clip, without the batch's axis."""
    t = len(clip.frames)
    span = (window.frames - 1) * window.stride + 1
    start = int(rng.integers(0, max(t - span, 0) + 1)) if window.random else 0
    mirrored = bool(window.flip and rng.random() < 0.5)
    at = start + np.arange(window.frames) * window.stride
    present = at < t
    at = np.minimum(at, t - 1)
    boxes, valid, ids, category = slots(clip, at, window.slots)
    valid &= present[:, None]
    boxes = np.where(valid[..., None], boxes, 0.0)
    frames = np.stack([_resized(clip.frames[i], window.size) for i in at.tolist()])
    if mirrored:
        frames = np.ascontiguousarray(frames[:, :, ::-1])
        boxes = np.where(valid[..., None], boxes[..., [2, 1, 0, 3]] * [-1, 1, -1, 1] + [1, 0, 1, 0], 0.0)
    sentence = next((text for target, text in clip.captions if target == WHOLE_CLIP), "")
    return Batch(
        frames, present, boxes.astype(np.float32), valid, ids, category, np.array(sentence), np.array(clip.name)
    )


def slots(clip: Clip, at: Int[np.ndarray, "t"], count: int) -> tuple[np.ndarray, ...]:
    """Boxes [t, n, 4] as shares, valid [t, n], ids and categories [n] of the targets in some frames of a clip.

    Targets that cover most come first, and those that find no slot are left out.
    """
    rows = clip.rows
    rows = rows.take(rows.visible & ~rows.ignore & np.isfinite(rows.box).all(axis=1) & np.isin(rows.frame, at))
    scale = np.array([clip.width, clip.height] * 2, np.float64)
    share = np.clip(rows.box / scale, 0.0, 1.0)
    area = np.prod(share[:, 2:] - share[:, :2], axis=1)
    targets, of = np.unique(rows.id, return_inverse=True)
    total = np.bincount(of, weights=area, minlength=len(targets))
    chosen = np.argsort(-total, kind="stable")[:count]
    chosen = chosen[total[chosen] > 0]
    boxes, valid = np.zeros((len(at), count, 4)), np.zeros((len(at), count), bool)
    ids, category = np.zeros(count, np.int32), np.full(count, -1, np.int32)
    for slot, target in enumerate(chosen):
        mine = np.flatnonzero((of == target) & (area > 0))
        by_frame = dict(zip(rows.frame[mine].tolist(), mine))
        for step, frame in enumerate(at.tolist()):
            if frame in by_frame:
                boxes[step, slot], valid[step, slot] = share[by_frame[frame]], True
        ids[slot], category[slot] = targets[target], rows.category[mine[0]]
    return boxes, valid, ids, category


def _resized(frame: UInt8[np.ndarray, "h w 3"], size: tuple[int, int]) -> UInt8[np.ndarray, "h2 w2 3"]:
    if frame.shape[1::-1] == tuple(size):
        return frame
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC))
