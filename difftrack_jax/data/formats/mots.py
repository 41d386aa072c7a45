"""MOTS text, of MOTSChallenge and KITTI MOTS: one mask a line, blanks between, run lengths as in COCO.

    frame id class height width rle

In ground truth id = 1000 class + instance, classes are 1 car and 2 pedestrian, and 10 (id 10000) is a region to
ignore. MOTSChallenge counts frames from 1, KITTI from 0. KITTI's id PNGs hold the same numbers, 16 bits a pixel.
"""

import os
from collections.abc import Sequence

import numpy as np
from PIL import Image

from difftrack_jax.data.formats.rle import Counts, boxes_of, decode, encode
from difftrack_jax.data.formats.text import read_lines
from difftrack_jax.data.records import Rows, concatenate, make_rows
from difftrack_jax.errors import UserError

CAR, PEDESTRIAN, IGNORE = 1, 2, 10


def read(path: str | os.PathLike, first: int) -> tuple[Rows, tuple[int, int] | None]:
    """Rows, and the (height, width) of the masks (None where there are none). first: number of the first frame."""
    fields = [line.split() for line in read_lines(path)]
    for number, line in enumerate(fields, 1):
        if len(line) != 6 or not all(part.lstrip("-").isdigit() for part in line[:5]):
            raise UserError(f"{path}: line {number} is not 'frame id class height width rle'")
    if not fields:
        return make_rows([]), None
    numbers = np.array([line[:5] for line in fields], np.int64)
    sizes = np.unique(numbers[:, 3:5], axis=0)
    if len(sizes) > 1:
        raise UserError(f"{path}: masks of {sizes[0].tolist()} and of {sizes[1].tolist()} in one sequence")
    if numbers[:, 0].min() < first:
        raise UserError(f"{path}: frame {numbers[:, 0].min()}, but frames count from {first}")
    size = (int(sizes[0, 0]), int(sizes[0, 1]))
    return _rows(numbers[:, 0] - first, numbers[:, 1], numbers[:, 2], [line[5] for line in fields], size), size


def read_pictures(paths: Sequence[str | os.PathLike]) -> Rows:
    """Rows of KITTI's id PNGs, one a frame."""
    parts = []
    for frame, path in enumerate(paths):
        try:
            with Image.open(path) as image:
                picture = np.asarray(image)
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: cannot be read as a picture of ids ({error})") from error
        ids = np.unique(picture[picture > 0]).astype(np.int64)
        counts = [encode(picture == target) for target in ids]
        parts.append(_rows(np.full(len(ids), frame), ids, ids // 1000, counts, picture.shape))
    return concatenate(parts)


def _rows(frame, ids, category, counts, size) -> Rows:
    boxes = boxes_of(counts, size)
    return make_rows(frame, id=ids, category=category, ignore=category == IGNORE, segment=counts, box=boxes)


def write(path: str | os.PathLike, rows: Rows, size: tuple[int, int], first: int) -> None:
    """Visible masks by frame and id, made disjoint: where two overlap, the higher score keeps the pixel."""
    lines = []
    for frame in np.unique(rows.frame):
        here = rows.in_frame(frame)
        here = here.take(here.visible & (here.segment != "")).ordered()
        for row, counts in enumerate(disjoint(here.segment, here.score, size)):
            if counts:
                lines.append(f"{frame + first} {here.id[row]} {here.category[row]} {size[0]} {size[1]} {counts}\n")
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(lines)


def disjoint(segments: Counts, score: np.ndarray, size: tuple[int, int]) -> list[str]:
    """The segments with no pixel twice; "" for what nothing is left of. Scores decide, among equals the first row."""
    taken = np.zeros(size, bool)
    out = [""] * len(segments)
    for row in np.argsort(-np.asarray(score), kind="stable"):
        mask = decode(segments[row], size) & ~taken
        taken |= mask
        out[row] = encode(mask) if mask.any() else ""
    return out
