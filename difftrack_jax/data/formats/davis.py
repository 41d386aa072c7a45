"""DAVIS pictures: one indexed PNG a frame, its value the object, 0 background, 255 not to be judged.

DAVIS-2016 has one object, drawn as 255: there every value but 0 is the object.
"""

import os
import pathlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

from difftrack_jax.data.formats.rle import boxes_of, decode, encode
from difftrack_jax.data.records import Rows, concatenate, make_rows
from difftrack_jax.errors import UserError
from difftrack_jax.typing import Int, UInt8

VOID = 255


def read_picture(path: str | os.PathLike) -> UInt8[np.ndarray, "h w"]:
    """The object of every pixel. A picture in colours is taken as one object wherever it is not black."""
    try:
        with Image.open(path) as image:
            values = np.asarray(image)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except (OSError, ValueError, SyntaxError) as error:
        raise UserError(f"{path}: cannot be read as a picture of objects ({error})") from error
    return values.astype(np.uint8) if values.ndim == 2 else values[..., :3].any(axis=-1).astype(np.uint8)


def read(paths: Sequence[str | os.PathLike | None], single: bool = False) -> Rows:
    """Rows of pictures, one a frame (None where a frame has none). single: all that is not 0 is object 1."""
    parts = [rows_of(read_picture(path), frame, single) for frame, path in enumerate(paths) if path is not None]
    return concatenate(parts)


def rows_of(picture: UInt8[np.ndarray, "h w"], frame: int, single: bool = False) -> Rows:
    """The objects of one picture; void pixels are a row of id 255 to ignore."""
    picture = (picture > 0).astype(np.uint8) if single else picture
    ids = np.unique(picture[picture > 0]).astype(np.int64)
    counts = [encode(picture == target) for target in ids]
    boxes = boxes_of(counts, picture.shape)
    return make_rows(np.full(len(ids), frame), id=ids, segment=counts, box=boxes, ignore=ids == VOID)


def write(folder: str | os.PathLike, rows: Rows, names: Sequence[str], size: tuple[int, int]) -> None:
    """`NAME.png` for each frame's name, with DAVIS's colours; where objects overlap, the higher score is on top."""
    folder, palette = pathlib.Path(folder), davis_palette().tobytes()
    folder.mkdir(parents=True, exist_ok=True)
    for frame, name in enumerate(names):
        picture = Image.fromarray(picture_of(rows.in_frame(frame), size), mode="P")
        picture.putpalette(palette)
        picture.save(folder / f"{name}.png")


def picture_of(rows: Rows, size: tuple[int, int]) -> UInt8[np.ndarray, "h w"]:
    """The picture of one frame's visible rows."""
    picture = np.zeros(size, np.uint8)
    for row in np.argsort(rows.score, kind="stable"):
        if rows.visible[row] and rows.segment[row]:
            if not 1 <= rows.id[row] <= VOID:
                raise UserError(f"masks: target {rows.id[row]} cannot be drawn, indexed PNG needs 1 to 255")
            picture[decode(rows.segment[row], size)] = rows.id[row]
    return picture


def davis_palette() -> UInt8[np.ndarray, "256 3"]:
    """Colours of DAVIS and VOC: the bits of a label dealt in turn to red, green, blue, top bits first."""
    labels: Int[np.ndarray, "256 1"] = np.arange(256)[:, None]
    bits = (labels >> np.arange(8)) & 1  # [256, 8]
    colours = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        colours[:, bit % 3] |= (bits[:, bit] << (7 - bit // 3)).astype(np.uint8)
    return colours
