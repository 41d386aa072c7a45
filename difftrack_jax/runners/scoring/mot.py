"""MOTChallenge and its kin: MOT15, MOT17, MOT20, DanceTrack, Refer-KITTI, GroOT.

Truth: a folder with SEQ/gt/gt.txt (and SEQ/seqinfo.ini, which has the number of frames), as in the official archives
and TrackEval's folders. Predictions: SEQ.txt, or data/SEQ.txt as TrackEval has it.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from difftrack_jax.data.formats import mot as text
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
        path = files.place(files.data_dir, self.annotation, name)
        found = files.place(files.predictions, self.prediction, name)
        gt, pred = text.read_truth(path), text.read_results(found)
        info = path.parent.parent / "seqinfo.ini"
        length = text.read_info(info).frames if info.is_file() else 1 + int(max(*_ends(gt, pred)))
        late = next((rows for rows, _ in ((gt, path), (pred, found)) if (rows.frame >= length).any()), None)
        if late is not None:
            where = path if late is gt else found
            raise UserError(f"{where}: has frame {late.frame.max() + 1}, but {name} has {length} frames")
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


def by_frame(rows: Rows, length: int) -> list[np.ndarray]:
    """Indices of the rows of each frame, in their order."""
    order = np.argsort(rows.frame, kind="stable")
    return np.split(order, np.searchsorted(rows.frame[order], np.arange(1, length)))


def _ends(*parts: Rows) -> list[int]:
    return [int(rows.frame.max(initial=-1)) for rows in parts]
