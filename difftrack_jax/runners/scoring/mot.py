"""MOTChallenge and its kin: MOT15, MOT17, MOT20, DanceTrack, Refer-KITTI, GroOT.

Truth: a folder with SEQ/gt/gt.txt (and SEQ/seqinfo.ini, which has the number of frames), as in the official archives
and TrackEval's folders. Predictions: SEQ.txt, or data/SEQ.txt as TrackEval has it.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Mapping

import numpy as np

from difftrack_jax.data.formats import mot as text
from difftrack_jax.data.formats import referring
from difftrack_jax.data.images import natural
from difftrack_jax.data.records import Rows
from difftrack_jax.errors import UserError
from difftrack_jax.metrics import accumulator, mot, motchallenge
from difftrack_jax.metrics.base import Metric
from difftrack_jax.metrics.frames import Frame
from difftrack_jax.ops.boxes import iou
from difftrack_jax.runners.scoring.base import Files, Scorer

TRACKING = ("HOTA", "DetA", "AssA", "LocA", "MOTA", "MOTP", "IDSW", "IDF1", "CLR_FP", "CLR_FN")


@dataclasses.dataclass(frozen=True)
class MotScorer(Scorer):
    """distractors: whose (MOT16, MOT17, MOT20); "" takes nothing out and counts all classes, as for MOT15. threshold:
    of CLEAR and identity.
    """

    annotation: str = "{split}/{sequence}/gt/gt.txt, {sequence}/gt/gt.txt, {sequence}/gt.txt"
    prediction: str = "{sequence}.txt, data/{sequence}.txt"
    columns: tuple[str, ...] = TRACKING
    distractors: str = ""
    threshold: float = 0.5
    py_motmetrics: bool = False

    @property
    def metrics(self) -> Mapping[str, Metric]:
        return {"": mot, **({"py-motmetrics": accumulator} if self.py_motmetrics else {})}

    def evaluate(self, files: Files, name: str) -> Mapping[str, mot.State | accumulator.State]:
        if self.distractors and self.distractors not in motchallenge.DISTRACTORS:
            raise UserError(f"distractors {self.distractors!r}: known are {', '.join(motchallenge.DISTRACTORS)}")
        path, gt, length = self.truth(files, name)
        found = files.place(files.predictions, self.prediction, name)
        pred = text.read_results(found)
        length = length or 1 + int(max(gt.frame.max(initial=-1), pred.frame.max(initial=-1)))
        for where, rows in ((path, gt), (found, pred)):
            if (rows.frame >= length).any():
                raise UserError(f"{where}: has frame {rows.frame.max() + 1}, but {name} has {length} frames")
        classes = motchallenge.DISTRACTORS.get(self.distractors)
        frames = []
        for g, p in zip(by_frame(gt, length), by_frame(pred, length)):
            frame = Frame(gt.id[g], pred.id[p], iou(gt.box[g][:, None], pred.box[p][None]))
            frames.append(motchallenge.preprocess(frame, gt.category[g], gt.score[g], classes))
        states = {"": mot.evaluate(tuple(frames), self.threshold)}
        if self.py_motmetrics:
            pairs = accumulator.from_similarity(frames, self.threshold)
            states["py-motmetrics"] = accumulator.evaluate(pairs)
        return states

    def truth(self, files: Files, name: str) -> tuple[pathlib.Path, Rows, int]:
        """The file, its rows, and the number of frames if it is told anywhere, else 0."""
        path = files.place(files.data_dir, self.annotation, name)
        info = path.parent.parent / "seqinfo.ini"
        return path, text.read_truth(path), text.read_info(info).frames if info.is_file() else 0


@dataclasses.dataclass(frozen=True)
class GrootScorer(MotScorer):
    """All videos of a split are in one json."""

    annotation: str = (
        "annotations/v1.0/mot17_{split}_coco.json, annotations/mot17_{split}_coco.json, mot17_{split}_coco.json"
    )

    def sequences(self, files: Files) -> list[str]:
        return sorted(_groot(files.place(files.data_dir, self.annotation)), key=natural)

    def truth(self, files: Files, name: str) -> tuple[pathlib.Path, Rows, int]:
        path = files.place(files.data_dir, self.annotation)
        video = _groot(path)[name]
        return path, video.rows._replace(score=1.0 - video.rows.ignore), len(video.files)


@functools.lru_cache(maxsize=1)
def _groot(path: pathlib.Path) -> dict[str, referring.Captioned]:
    return referring.read_groot(path)


def by_frame(rows: Rows, length: int) -> list[np.ndarray]:
    """Indices of the rows of each frame, in their order."""
    order = np.argsort(rows.frame, kind="stable")
    return np.split(order, np.searchsorted(rows.frame[order], np.arange(1, length)))
