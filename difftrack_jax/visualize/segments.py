"""Masks on disk: COCO run lengths for JSON, and indexed PNG pictures as DAVIS keeps them."""

import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from PIL import Image

from difftrack_jax.data.formats import rle
from difftrack_jax.data.formats.davis import davis_palette
from difftrack_jax.errors import UserError
from difftrack_jax.typing import Bool, Prediction, UInt8
from difftrack_jax.visualize.files import atomic_write


def encode_segment(segment: Bool[np.ndarray, "h w"]) -> dict[str, Any]:
    """{"size": [h, w], "counts": str}, the compressed run lengths of COCO, columns first."""
    return {"size": [int(side) for side in segment.shape], "counts": rle.encode(segment)}


def decode_segment(code: Mapping[str, Any]) -> Bool[np.ndarray, "h w"]:
    """The mask again; ValueError unless the runs fill it exactly."""
    return rle.decode(code["counts"], code["size"])


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
