"""KITTI tracking: boxes of cars and of pedestrians, scored apart.

Truth: label_02/SEQ.txt (training/label_02/SEQ.txt). An `evaluate_tracking.seqmap.SPLIT` beside it, if there is one,
says which sequences are meant and how long they are. Predictions: SEQ.txt or data/SEQ.txt in KITTI's columns.
"""

import dataclasses
import pathlib
from collections.abc import Mapping

import numpy as np

from difftrack_jax.data.formats import kitti as text
from difftrack_jax.data.records import Rows
from difftrack_jax.errors import UserError
from difftrack_jax.metrics import kitti, mot
from difftrack_jax.metrics.base import Metric
from difftrack_jax.metrics.frames import Frame
from difftrack_jax.ops.boxes import iou
from difftrack_jax.runners.scoring.base import Files, Scorer
from difftrack_jax.runners.scoring.mot import TRACKING, by_frame

CLASSES = ("car", "pedestrian")
_NUMBER = {name.lower(): number for number, name in enumerate(text.TYPES, 1)}


def read_seqmap(path: pathlib.Path) -> dict[str, int]:
    """The last column of lines `0005 empty 000000 000297`: frames (KITTI) or the last one's number (KITTI MOTS)."""
    lengths = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        fields = line.split()
        if fields and (len(fields) < 4 or not fields[3].isdigit()):
            raise UserError(f"{path}: line {number} is not 'name empty first frames'")
        if fields:
            lengths[fields[0]] = int(fields[3])
    return lengths


def length_of(files: Files, lists: str, name: str, *parts: Rows, more: int = 0) -> int:
    """Frames of a sequence: what the list says and `more`, else what the files reach to."""
    for pattern in files.fill(lists):
        path = files.data_dir / pattern
        if path.is_file() and name in (lengths := read_seqmap(path)):
            return lengths[name] + more
    return 1 + max(int(rows.frame.max(initial=-1)) for rows in parts)


def check_length(path: pathlib.Path, rows: Rows, length: int) -> None:
    """Raise UserError for rows of frames that there are not."""
    if rows.count and int(rows.frame.max()) >= length:
        raise UserError(f"{path}: has frame {rows.frame.max()}, but frames are 0 to {length - 1}")


@dataclasses.dataclass(frozen=True)
class KittiScorer(Scorer):
    """Both classes, each a group of results."""

    annotation: str = "label_02/{sequence}.txt, training/label_02/{sequence}.txt, {sequence}.txt"
    prediction: str = "{sequence}.txt, data/{sequence}.txt"
    lists: str = "evaluate_tracking.seqmap.{split}, training/evaluate_tracking.seqmap.{split}"
    columns: tuple[str, ...] = TRACKING

    @property
    def metrics(self) -> Mapping[str, Metric]:
        return dict.fromkeys(CLASSES, mot)

    def evaluate(self, files: Files, name: str) -> Mapping[str, mot.State]:
        path = files.place(files.data_dir, self.annotation, name)
        found = files.place(files.predictions, self.prediction, name)
        gt, pred = text.read(path), text.read(found)
        length = length_of(files, self.lists, name, gt, pred)
        check_length(path, gt, length)
        check_length(found, pred, length)
        regions, gt = gt.take(gt.ignore), gt.take(~gt.ignore & (gt.id >= 0))
        pred = pred.take(pred.id >= 0)
        split = [by_frame(rows, length) for rows in (gt, pred, regions)]
        return {kind: mot.evaluate(tuple(_frames(kind, gt, pred, regions, split))) for kind in CLASSES}


def _frames(kind: str, gt: Rows, pred: Rows, regions: Rows, split):
    """The frames of one class."""
    scored = gt.category == _NUMBER[kind]
    distractors = [number for name, number in _NUMBER.items() if name.startswith(kitti.DISTRACTORS[kind])]
    wanted = scored | np.isin(gt.category, distractors)
    mine = pred.category == _NUMBER[kind]
    for g, p, r in zip(*split):
        g, p = g[wanted[g]], p[mine[p]]
        frame = Frame(gt.id[g], pred.id[p], iou(gt.box[g][:, None], pred.box[p][None]))
        truncated, occluded = gt.extra[g, 0].astype(np.int64), gt.extra[g, 1].astype(np.int64)
        yield kitti.preprocess(frame, scored[g], occluded, truncated, pred.box[p], regions.box[r])
