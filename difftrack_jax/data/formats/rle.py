"""COCO's compressed run lengths: masks [h, w] as short text, columns first."""

from collections.abc import Sequence

import numpy as np
from pycocotools import mask as coco

from difftrack_jax.typing import Bool, Float, Int

Counts = Sequence[str] | np.ndarray  # one a mask; an array of Python strings as in `Rows.segment`


def encode(mask: Bool[np.ndarray, "h w"]) -> str:
    """The counts of a mask; its size is kept elsewhere, once for a clip."""
    return coco.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"].decode("ascii")


def decode(counts: str, size: Sequence[int]) -> Bool[np.ndarray, "h w"]:
    """The mask again; ValueError unless the runs fill (height, width), which pycocotools would leave unchecked."""
    height, width = size
    runs = _run_lengths(counts)
    if (runs < 0).any() or runs.sum() != height * width:
        raise ValueError(f"the run lengths do not fill {height}x{width} pixels")
    values = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return np.ascontiguousarray(values.reshape(width, height).T)


def boxes_of(counts: Counts, size: Sequence[int]) -> Float[np.ndarray, "n 4"]:
    """x0, y0, x1, y1 around each mask, in pixels; NaN around empty ones."""
    if not len(counts):
        return np.zeros((0, 4))
    box = np.asarray(coco.toBbox(_codes(counts, size)), np.float64)
    box[:, 2:] += box[:, :2]
    box[areas(counts, size) == 0] = np.nan
    return box


def areas(counts: Counts, size: Sequence[int]) -> Int[np.ndarray, "n"]:
    """Pixels of each mask. One at a time: pycocotools 2.0.11 overflows on lists of more than 255."""
    return np.array([coco.area(code) for code in _codes(counts, size)], np.int64)


def from_polygon(x: Sequence[float | int], y: Sequence[float | int], size: Sequence[int]) -> str:
    """The counts of a polygon's pixels, as COCO fills them."""
    flat = np.stack([np.asarray(x, np.float64), np.asarray(y, np.float64)], axis=1).reshape(-1).tolist()
    return coco.merge(coco.frPyObjects([flat], int(size[0]), int(size[1])))["counts"].decode("ascii")


def merge(counts: Counts, size: Sequence[int]) -> str:
    """The union of masks."""
    return coco.merge(_codes(counts, size))["counts"].decode("ascii")


def from_uncompressed(runs: Sequence[int], size: Sequence[int]) -> str:
    """The compressed counts of plain run lengths, as YouTube-VIS stores its ground truth."""
    code = {"size": [int(side) for side in size], "counts": [int(run) for run in runs]}
    return coco.frPyObjects(code, int(size[0]), int(size[1]))["counts"].decode("ascii")


def _codes(counts: Counts, size: Sequence[int]) -> list[dict]:
    return [{"size": [int(side) for side in size], "counts": count.encode("ascii")} for count in counts]


def _run_lengths(counts: str) -> Int[np.ndarray, "runs"]:
    """COCO's letters hold 5 bits each, lowest first, signed; runs from the fourth on are differences."""
    runs, value, shift = [], 0, 0
    for letter in counts.encode("ascii"):
        bits = letter - 48
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        value -= (1 << shift) if bits & 16 else 0
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value, shift = 0, 0
    return np.array(runs, np.int64)
