"""DAVIS 2016 and 2017: masks as pictures of labels.

Truth: Annotations/480p/SEQ/00000.png. Predictions: SEQ/00000.png, a picture a frame with the labels of the first
frame's truth (semi-supervised) or any labels (unsupervised); for 2016 whatever is not 0.
"""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
from pycocotools import mask as coco

from difftrack_jax.data.formats import davis as pictures
from difftrack_jax.errors import UserError
from difftrack_jax.metrics import davis, mot, mots
from difftrack_jax.metrics.base import Metric
from difftrack_jax.metrics.frames import Frame
from difftrack_jax.runners.scoring.base import Files, Scorer


@dataclasses.dataclass(frozen=True)
class DavisScorer(Scorer):
    """single: everything not 0 is the one object. unsupervised: objects are found, not given; all frames count, objects
    are matched by mean J or J&F (`matching`), and TrackEval's HOTA, CLEAR and identity of masks are reported too.
    """

    annotation: str = "Annotations/480p/{sequence}, Annotations_unsupervised/480p/{sequence}"
    prediction: str = "{sequence}"
    lists: str = "ImageSets/2017/{split}.txt"
    columns: tuple[str, ...] = davis.NAMES
    single: bool = False
    unsupervised: bool = False
    matching: str = "J"

    @property
    def metrics(self) -> Mapping[str, Metric]:
        return {"": davis, **({"tracking": mot} if self.unsupervised else {})}

    def read_list(self, path: pathlib.Path) -> list[str]:
        names = [pathlib.PurePosixPath(name) for name in super().read_list(path)]
        # 2016's own lists name every picture.
        return list(dict.fromkeys(name.parent.name if name.suffix else name.name for name in names))

    def evaluate(self, files: Files, name: str) -> Mapping[str, davis.State | mot.State]:
        home = files.place(files.data_dir, self.annotation, name)
        folder = files.place(files.predictions, self.prediction, name)
        paths = sorted(home.glob("*.png"))
        if not paths:
            raise UserError(f"{home}: holds no png pictures")
        scored = paths if self.unsupervised else paths[1:-1]
        gt = self._read(paths)
        pred = np.zeros_like(gt)
        for path, picture in zip(scored, self._read([folder / path.name for path in scored])):
            if picture.shape != gt.shape[1:]:
                raise UserError(f"{folder / path.name}: is {picture.shape[::-1]}, the truth {gt.shape[:0:-1]}")
            pred[paths.index(path)] = picture
        if not self.unsupervised:
            return {"": davis.evaluate(gt, pred)}
        if self.matching not in davis.MATCHING:
            raise UserError(f"matching {self.matching!r}: known are {', '.join(davis.MATCHING)}")
        states = davis.evaluate_unsupervised(gt, pred, self.matching)
        return {"": states, "tracking": mot.evaluate(tuple(map(_frame, gt, pred)))}

    def _read(self, paths: Sequence[pathlib.Path]) -> np.ndarray:
        found = [pictures.read_picture(path) for path in paths]
        if any(picture.shape != found[0].shape for picture in found):
            raise UserError(f"{paths[0].parent}: pictures are of different sizes")
        stack = np.stack(found) if found else np.zeros((0, 0, 0), np.uint8)
        return (stack > 0).astype(np.uint8) if self.single else stack


def _frame(gt: np.ndarray, pred: np.ndarray) -> Frame:
    """Objects of one frame. Overlaps are with the predictions as they are, void pixels too, as in TrackEval."""
    sides = []
    for picture in (np.where(gt == davis.VOID, 0, gt), pred):
        labels = davis.labels_in(picture)
        sides.append((labels, [coco.encode(np.asfortranarray(picture == label, dtype=np.uint8)) for label in labels]))
    (truth, masks), (found, others) = sides
    return Frame(np.array(truth, np.int64), np.array(found, np.int64), mots.mask_iou(masks, others))
