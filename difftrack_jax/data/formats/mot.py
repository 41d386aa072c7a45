"""MOTChallenge text: MOT15/16/17/20, DanceTrack, and the expressions of Refer-KITTI and GroOT.

    ground truth   frame, id, left, top, width, height, flag, class, visibility      flag 0: not scored
    detections     frame, -1, left, top, width, height, confidence [, -1, -1, -1]
    results        frame, id, left, top, width, height, confidence, -1, -1, -1

Frames and pixels count from 1: the box from our corner (0, 0) has left = top = 1.
"""

import os
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from difftrack_jax.data.formats.text import integers, read_ini, read_numbers
from difftrack_jax.data.records import Rows, make_rows
from difftrack_jax.errors import UserError

EXTRA = ("visibility",)
CLASSES = (
    "pedestrian", "person on vehicle", "car", "bicycle", "motorbike", "non motorized vehicle", "static person",
    "distractor", "occluder", "occluder on the ground", "occluder full", "reflection", "crowd",
)  # numbered from 1  # fmt: skip
PEDESTRIAN = 1


class SequenceInfo(NamedTuple):
    """What seqinfo.ini says."""

    name: str
    folder: str
    suffix: str
    frames: int
    fps: float
    width: int
    height: int


def read_info(path: str | os.PathLike) -> SequenceInfo:
    """A seqinfo.ini."""
    fields = read_ini(path, "Sequence")
    try:
        return SequenceInfo(
            fields["name"], fields.get("imdir", "img1"), fields.get("imext", ".jpg"), int(fields["seqlength"]),
            float(fields.get("framerate", 25)), int(fields["imwidth"]), int(fields["imheight"]),
        )  # fmt: skip
    except (KeyError, ValueError) as error:
        raise UserError(f"{path}: {error} is missing or not a number") from error


def read_truth(path: str | os.PathLike) -> Rows:
    """A gt.txt. `ignore` marks what is not a scored pedestrian: flag 0, or another class than 1."""
    table = read_numbers(path, (9, 6, 7, 8, 10))
    n, columns = table.shape
    flag = table[:, 6] if columns > 6 else np.ones(n)
    # MOT15 has ten columns: the world's x, y, z follow the flag, and there are no classes.
    classes = integers(table[:, 7], path, "class") if columns in (8, 9) else np.full(n, PEDESTRIAN)
    visibility = table[:, 8] if columns == 9 else np.ones(n)
    return _rows(table, path)._replace(
        category=classes.astype(np.int32),
        score=flag,
        ignore=(flag == 0) | (classes != PEDESTRIAN),
        extra=visibility[:, None],
    )


def read_results(path: str | os.PathLike) -> Rows:
    """Detections (ids -1) or a tracker's results; the confidence is `score`."""
    table = read_numbers(path, (10, 6, 7, 8, 9))
    score = table[:, 6] if table.shape[1] > 6 else np.ones(len(table))
    return _rows(table, path)._replace(score=score)


def _rows(table: np.ndarray, path: str | os.PathLike) -> Rows:
    frame = integers(table[:, 0], path, "frame")
    if len(frame) and frame.min() < 1:
        raise UserError(f"{path}: frame {frame.min()}, but frames count from 1")
    corner = table[:, 2:4] - 1
    box = np.concatenate([corner, corner + table[:, 4:6]], axis=1)
    return make_rows(frame - 1, id=integers(table[:, 1], path, "id"), box=box)


def write_truth(path: str | os.PathLike, rows: Rows) -> None:
    """A gt.txt; `extra` is the visibility, where there is one, and what is ignored has the flag 0."""
    rows = rows.take(np.isfinite(rows.box).all(axis=1)).ordered()
    seen = rows.extra[:, 0] if rows.extra.shape[1] else np.ones(rows.count)
    kind = np.where(rows.category < 1, PEDESTRIAN, rows.category)
    flag = np.where(rows.ignore & (kind == PEDESTRIAN), 0, rows.score)
    with open(path, "w", encoding="utf-8") as file:
        for row, (x0, y0, x1, y1) in enumerate(rows.box.tolist()):
            place = ",".join(f"{value:.10g}" for value in (x0 + 1, y0 + 1, x1 - x0, y1 - y0))
            facts = f"{flag[row]:g},{kind[row]},{seen[row]:.10g}"
            file.write(f"{rows.frame[row] + 1},{rows.id[row]},{place},{facts}\n")


def write_results(path: str | os.PathLike, rows: Rows) -> None:
    """The ten columns of a submission, visible boxes only, by frame and id."""
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(result_lines(rows))


def result_lines(rows: Rows) -> Iterable[str]:
    rows = rows.take(rows.visible & np.isfinite(rows.box).all(axis=1)).ordered()
    for frame, target, (x0, y0, x1, y1), score in zip(rows.frame, rows.id, rows.box.tolist(), rows.score):
        place = f"{x0 + 1:.2f},{y0 + 1:.2f},{x1 - x0:.2f},{y1 - y0:.2f}"
        yield f"{frame + 1},{target},{place},{score:.4f},-1,-1,-1\n"
