"""A detector is a function of one frame. Whatever has this shape can begin tracks:

    def detect(frame):                                          # uint8 [h, w, 3] RGB
        return Detections(boxes, scores, labels)

An attribute `names` may list the classes it knows: another class is then refused before a video is begun.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from difftrack_jax.errors import UserError
from difftrack_jax.ops.boxes import iou
from difftrack_jax.typing import Bool, Float, HostFrame, Int


class Detections(NamedTuple):
    """What was found in one frame, n of it, in no order.

    boxes: x0, y0, x1, y1 in pixels. scores: the detector's confidences. labels: class names, empty where there are no
    classes. masks: over the frame. keypoints: x, y in pixels and a confidence in [0, 1], of j joints.
    """

    boxes: Float[np.ndarray, "n 4"]
    scores: Float[np.ndarray, "n"]
    labels: tuple[str, ...] = ()
    masks: Bool[np.ndarray, "n h w"] | None = None
    keypoints: Float[np.ndarray, "n j 3"] | None = None

    @property
    def count(self) -> int:
        """Detections (a NamedTuple's own length is its number of fields)."""
        return len(self.boxes)

    def take(self, index: np.ndarray) -> "Detections":
        """Some of them, by boolean mask or indices."""
        some = lambda field: None if field is None else field[index]
        labels = tuple(np.array(self.labels, object)[index]) if self.labels else ()
        return Detections(self.boxes[index], self.scores[index], labels, some(self.masks), some(self.keypoints))


@runtime_checkable
class Detector(Protocol):
    """A function of a frame."""

    def __call__(self, frame: HostFrame) -> Detections:
        """Everything that may be an object, doubtful ones too: who uses it draws the line."""
        ...


Seen = Callable[[int, HostFrame], Detections]  # detections of frame t, which a file knows without the frame


def nothing() -> Detections:
    return Detections(np.zeros((0, 4)), np.zeros(0))


def chosen(detections: Detections, min_score: float = -np.inf, classes: Sequence[str] = ()) -> Detections:
    """Those with at least this score and, where classes are named, of one of these."""
    keep = detections.scores >= min_score
    if classes and detections.labels:
        keep &= np.isin(np.array(detections.labels), list(classes))
    return detections.take(keep)


def check_classes(classes: Sequence[str], names: Sequence[str], where: str) -> None:
    """Raise UserError for a class that the detector does not know."""
    for name in classes:
        if names and name not in names:
            shown = ", ".join(list(names)[:8]) + (", ..." if len(names) > 8 else "")
            raise UserError(f"classes: {where} knows no {name!r}; it knows {shown}")


def distinct(boxes: Float[np.ndarray, "n 4"], scores: Float[np.ndarray, "n"], overlap: float) -> Int[np.ndarray, "k"]:
    """Indices of the boxes that overlap no better one by more than this IoU, best first (non-maximum suppression)."""
    order, kept = np.argsort(-scores, kind="stable"), []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        order = order[iou(boxes[best][None], boxes[order]) <= overlap]
    return np.array(kept, np.int64)


def around(masks: Bool[np.ndarray, "n h w"]) -> Float[np.ndarray, "n 4"]:
    """The box of each mask; NaN for an empty one."""
    out = np.full((len(masks), 4), np.nan)
    for row, mask in enumerate(masks):
        y, x = (np.nonzero(mask.any(axis=axis))[0] for axis in (1, 0))
        if len(x):
            out[row] = x[0], y[0], x[-1] + 1, y[-1] + 1
    return out
