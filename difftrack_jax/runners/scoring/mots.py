"""Masks with identities: MOTS20 (pedestrians) and KITTI MOTS (cars and pedestrians).

Truth and predictions are text, a mask a line. MOTS20: SEQ/gt/gt.txt and SEQ/seqinfo.ini, frames from 1. KITTI MOTS:
instances_txt/SEQ.txt or label_02/SEQ.txt, frames from 0, and an `evaluate_mots.seqmap.SPLIT` beside them if there is
one.
"""

import dataclasses
import pathlib
from collections.abc import Mapping

from pycocotools import mask as coco

from difftrack_jax.data.builders.mots import VAL
from difftrack_jax.data.formats import mot as mot_text
from difftrack_jax.data.formats import mots as text
from difftrack_jax.data.formats import rle
from difftrack_jax.data.records import Rows
from difftrack_jax.errors import UserError
from difftrack_jax.metrics import mot, mots
from difftrack_jax.metrics.base import Metric
from difftrack_jax.metrics.frames import Frame
from difftrack_jax.runners.scoring.base import Files, Scorer
from difftrack_jax.runners.scoring.kitti import check_length, length_of
from difftrack_jax.runners.scoring.mot import by_frame

CLASSES = {"car": text.CAR, "pedestrian": text.PEDESTRIAN}
COLUMNS = ("HOTA", "sMOTA", "MOTA", "MOTP", "IDSW", "IDF1", "CLR_TP", "CLR_FP", "CLR_FN")


@dataclasses.dataclass(frozen=True)
class MotsScorer(Scorer):
    """first: the number of the first frame. classes: of CLASSES; one alone needs no name in results."""

    annotation: str = "{split}/{sequence}/gt/gt.txt, {sequence}/gt/gt.txt"
    prediction: str = "{sequence}.txt, data/{sequence}.txt"
    columns: tuple[str, ...] = COLUMNS
    first: int = 1
    classes: tuple[str, ...] = ("pedestrian",)

    @property
    def metrics(self) -> Mapping[str, Metric]:
        return {self._group(kind): mot for kind in self.classes}

    def unlisted(self, files: Files) -> list[str]:
        """KITTI MOTS divides KITTI's 21 sequences in train and val."""
        names = files.listed(self.annotation)
        return names if self.first else [name for name in names if (name in VAL) == (files.split == "val")]

    def _group(self, kind: str) -> str:
        return kind if len(self.classes) > 1 else ""

    def evaluate(self, files: Files, name: str) -> Mapping[str, mot.State]:
        path = files.place(files.data_dir, self.annotation, name)
        found = files.place(files.predictions, self.prediction, name)
        (gt, size), (pred, other) = (text.read(p, self.first) for p in (path, found))
        if size and other and size != other:
            raise UserError(f"{found}: masks of {other[1]}x{other[0]}, the truth has {size[1]}x{size[0]}")
        info = path.parent.parent / "seqinfo.ini"
        # Lists of KITTI MOTS give the last frame.
        length = length_of(files, self.lists, name, gt, pred, more=1)
        length = mot_text.read_info(info).frames if info.is_file() else length
        for where, rows in ((path, gt), (found, pred)):
            check_length(where, rows, length)
            _check_disjoint(where, rows, size or other or (1, 1), length, self.first)
        args = gt, pred, size or other or (1, 1), length
        return {self._group(kind): mot.evaluate(tuple(_frames(CLASSES[kind], *args))) for kind in self.classes}


def _frames(kind: int, gt: Rows, pred: Rows, size: tuple[int, int], length: int):
    """The frames of one class."""
    code = lambda rows, index: [{"size": list(size), "counts": rows.segment[i].encode()} for i in index]
    for g, p in zip(by_frame(gt, length), by_frame(pred, length)):
        regions = code(gt, g[gt.category[g] == text.IGNORE])
        g, p = g[gt.category[g] == kind], p[pred.category[p] == kind]
        masks = code(pred, p)
        frame = Frame(gt.id[g], pred.id[p], mots.mask_iou(code(gt, g), masks))
        yield mots.preprocess(frame, masks, coco.merge(regions) if regions else None)


def _check_disjoint(path: pathlib.Path, rows: Rows, size: tuple[int, int], length: int, first: int) -> None:
    """Official scripts refuse masks of one frame that overlap; regions to ignore may overlap each other."""
    for time, index in enumerate(by_frame(rows, length)):
        ignored = rows.category[index] == text.IGNORE
        counts = [*rows.segment[index[~ignored]]]
        if ignored.any():
            counts.append(rle.merge(rows.segment[index[ignored]], size))
        if len(counts) > 1 and rle.areas(counts, size).sum() != rle.areas([rle.merge(counts, size)], size)[0]:
            raise UserError(f"{path}: masks overlap in frame {time + first}; a pixel may belong to one object only")
