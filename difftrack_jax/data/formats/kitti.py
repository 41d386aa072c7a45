"""KITTI tracking labels and results: one object a line, blanks between, frames and pixels from 0.

    frame id type truncated occluded alpha left top right bottom h w l x y z rotation_y [score]

`DontCare` regions have id -1 and are to be ignored. Results need -1, -1, -10 and -1000 where nothing is known.
"""

import os

import numpy as np

from difftrack_jax.data.formats.text import read_lines
from difftrack_jax.data.records import Rows, make_rows
from difftrack_jax.errors import UserError

TYPES = (
    "Car", "Van", "Truck", "Pedestrian", "Person", "Person_sitting", "Cyclist", "Tram", "Misc", "DontCare",
)  # numbered from 1 in this order, as TrackEval does up to Cyclist  # fmt: skip
DONT_CARE = TYPES.index("DontCare") + 1
EXTRA = ("truncated", "occluded", "alpha", "height", "width", "length", "x", "y", "z", "rotation_y")


def read(path: str | os.PathLike) -> Rows:
    """Labels or results. What belongs to no type that is known raises UserError with its line."""
    names = {name.lower(): number for number, name in enumerate(TYPES, 1)}
    fields = [line.split() for line in read_lines(path)]
    for number, line in enumerate(fields, 1):
        if len(line) not in (17, 18):
            raise UserError(f"{path}: line {number} has {len(line)} fields, 17 or 18 are needed")
        if line[2].lower() not in names:
            raise UserError(f"{path}: line {number} has an object of type {line[2]!r}; known are {', '.join(TYPES)}")
    try:
        table = np.array([line[:2] + line[3:17] for line in fields], np.float64).reshape(-1, 16)
        score = np.array([float(line[17]) if len(line) > 17 else 1.0 for line in fields])
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
    category = np.array([names[line[2].lower()] for line in fields], np.int32)
    extra = np.concatenate([table[:, 2:5], table[:, 9:]], axis=1)
    return make_rows(
        table[:, 0], id=table[:, 1], category=category, box=table[:, 5:9], score=score, ignore=category == DONT_CARE,
        extra=extra,
    )  # fmt: skip


def write(path: str | os.PathLike, rows: Rows) -> None:
    """Visible boxes with a type, as results."""
    rows = rows.take(rows.visible & np.isfinite(rows.box).all(axis=1)).ordered()
    with open(path, "w", encoding="utf-8") as file:
        for row in range(rows.count):
            box = " ".join(f"{side:.6f}" for side in rows.box[row])
            kind = TYPES[rows.category[row] - 1]
            unknown = "-1 -1 -1 -1000 -1000 -1000 -10"
            file.write(f"{rows.frame[row]} {rows.id[row]} {kind} -1 -1 -10 {box} {unknown} {rows.score[row]:.6f}\n")
