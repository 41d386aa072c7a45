"""Single objects: one box a line, frame after frame. OTB, LaSOT, GOT-10k, VOT.

    x,y,w,h                     OTB (also tabs or blanks), LaSOT, GOT-10k; left and top count from 1 as in MATLAB
    x1,y1,x2,y2,x3,y3,x4,y4     VOT's corners, from 1
    mX,Y,W,H,runs...            VOT 2020 on: a mask in the frame X, Y, W, H, rows first, beginning with background

Results go where the toolkits look: LaSOT and OTB `NAME.txt`; GOT-10k `NAME/NAME_001.txt` and `NAME/NAME_time.txt`.
"""

import os
import pathlib
from collections.abc import Sequence

import numpy as np

from difftrack_jax.data.formats import rle
from difftrack_jax.data.formats.text import read_lines, read_numbers
from difftrack_jax.data.records import Rows, make_rows
from difftrack_jax.errors import UserError
from difftrack_jax.typing import Bool, Float


def read_boxes(path: str | os.PathLike) -> Float[np.ndarray, "t 4"]:
    """x0, y0, x1, y1 from 0, as many rows as lines; boxes without size (absent targets) keep their place."""
    table = read_numbers(path, (4,))
    corner = table[:, :2] - 1
    return np.concatenate([corner, corner + table[:, 2:]], axis=1)


def write_boxes(path: str | os.PathLike, boxes: Float[np.ndarray, "t 4"]) -> None:
    """x,y,w,h with pixels from 1. A box that is not finite is written as the last one that was."""
    with open(path, "w", encoding="utf-8") as file:
        for x0, y0, x1, y1 in held(boxes).tolist():
            file.write(f"{x0 + 1:.4f},{y0 + 1:.4f},{x1 - x0:.4f},{y1 - y0:.4f}\n")


def write_times(path: str | os.PathLike, seconds: Float[np.ndarray, "t"]) -> None:
    """GOT-10k's seconds a frame."""
    pathlib.Path(path).write_text("".join(f"{value:.8f}\n" for value in seconds), encoding="utf-8")


def held(boxes: Float[np.ndarray, "t 4"]) -> Float[np.ndarray, "t 4"]:
    """Every box finite: one that is not repeats the one before (the first must be)."""
    good = np.isfinite(boxes).all(axis=1)
    return boxes[np.maximum.accumulate(np.where(good, np.arange(len(boxes)), 0))]


def read_flags(path: str | os.PathLike) -> Bool[np.ndarray, "t"]:
    """0 and 1, on one line (LaSOT's full_occlusion.txt, out_of_view.txt) or one a line (absent, absence.label)."""
    return read_levels(path) > 0


def read_levels(path: str | os.PathLike) -> Float[np.ndarray, "t"]:
    """Whole numbers on one line or one a line (GOT-10k's cover.label: 0 to 8 eighths in sight)."""
    fields = " ".join(read_lines(path)).replace(",", " ").split()
    try:
        return np.array([float(field) for field in fields])
    except ValueError as error:
        raise UserError(f"{path}: is not a list of numbers ({error})") from error


def single(boxes: Float[np.ndarray, "t 4"], **columns) -> Rows:
    """Rows of one target, id 1, one a frame; boxes without size are not visible."""
    sized = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    visible = columns.pop("visible", np.ones(len(boxes), bool)) & sized
    n = len(boxes)
    return make_rows(np.arange(n), id=np.ones(n), category=np.ones(n), box=boxes, visible=visible, **columns)


def read_vot(path: str | os.PathLike, size: tuple[int, int]) -> Rows:
    """Boxes around VOT's rectangles, polygons (kept as four `keypoints`) or masks; size: (height, width)."""
    lines = read_lines(path)
    if lines and lines[0].startswith("m"):
        counts = [_vot_mask(line, size, f"{path}: line {number}") for number, line in enumerate(lines, 1)]
        return single(rle.boxes_of(counts, size), segment=counts)
    table = read_numbers(path, (8, 4))
    if table.shape[1] == 4:
        return single(read_boxes(path))
    corners = table.reshape(-1, 4, 2) - 1
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    return single(boxes, keypoints=np.concatenate([corners, np.ones((len(corners), 4, 1))], axis=2))


def _vot_mask(line: str, size: Sequence[int], where: str) -> str:
    """One mask of VOT's toolkit as COCO's counts."""
    try:
        x, y, width, height, *runs = map(int, line.removeprefix("m").split(","))
        flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
        flat = np.pad(flat, (0, width * height - len(flat)))  # trailing background may be left out
    except ValueError as error:
        raise UserError(f"{where} is not a mask 'mX,Y,W,H,runs...' ({error})") from error
    inside, whole = flat.reshape(height, width), np.zeros(size, bool)
    top, left = max(y, 0), max(x, 0)
    part = inside[top - y : size[0] - y, left - x : size[1] - x]
    whole[top : top + part.shape[0], left : left + part.shape[1]] = part
    return rle.encode(whole)
