"""Masks on disk: COCO run lengths for JSON, and indexed PNG pictures as DAVIS keeps them."""

import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco

from difftrack_jax.errors import UserError
from difftrack_jax.typing import Bool, Int, Prediction, UInt8
from difftrack_jax.visualize.files import atomic_write


def encode_segment(segment: Bool[np.ndarray, "h w"]) -> dict[str, Any]:
    """{"size": [h, w], "counts": str}, the compressed run lengths of COCO, columns first."""
    code = coco.encode(np.asfortranarray(segment, dtype=np.uint8))
    return {"size": [int(side) for side in code["size"]], "counts": code["counts"].decode("ascii")}


def decode_segment(code: Mapping[str, Any]) -> Bool[np.ndarray, "h w"]:
    """The mask again; ValueError unless the runs fill it exactly, which pycocotools would leave unchecked."""
    height, width = code["size"]
    runs = _run_lengths(code["counts"])
    if (runs < 0).any() or runs.sum() != height * width:
        raise ValueError(f"the run lengths do not fill {height}x{width} pixels")
    values = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return np.ascontiguousarray(values.reshape(width, height).T)


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


def davis_palette() -> UInt8[np.ndarray, "256 3"]:
    """Colours of DAVIS and VOC: the bits of a label dealt in turn to red, green, blue, top bits first."""
    labels = np.arange(256)[:, None]
    bits = (labels >> np.arange(8)) & 1  # [256, 8]
    colours = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        colours[:, bit % 3] |= (bits[:, bit] << (7 - bit // 3)).astype(np.uint8)
    return colours


def label_map(
    prediction: Prediction, size: tuple[int, int], labels: Mapping[int, int] | None = None
) -> UInt8[np.ndarray, "h w"]:
    """The label of each pixel, 0 for background; where visible targets overlap, the higher score wins."""
    picture = np.zeros(size, np.uint8)
    for row in np.argsort(prediction.score, kind="stable"):
        segment = prediction.segment[row]
        if segment is None or not prediction.visible[row]:
            continue
        if segment.shape != tuple(size):
            raise ValueError(f"frame {prediction.frame}: a mask of {segment.shape} in a video of {tuple(size)}")
        target = int(prediction.id[row])
        label = labels[target] if labels else target
        if not 1 <= label <= 255:
            raise UserError(f"masks: target {target} has label {label}, indexed PNG needs 1 to 255")
        picture[segment] = label
    return picture


def write_masks(
    folder: str | os.PathLike,
    predictions: Iterable[Prediction],
    size: tuple[int, int],
    labels: Mapping[int, int] | None = None,
) -> None:
    """One indexed PNG a frame, `00000.png` on; a target's label is its id unless `labels` maps it."""
    palette = davis_palette().tobytes()
    for prediction in predictions:
        picture = Image.fromarray(label_map(prediction, size, labels), mode="P")
        picture.putpalette(palette)
        with atomic_write(pathlib.Path(folder) / f"{prediction.frame:05d}.png") as temporary:
            picture.save(temporary)
