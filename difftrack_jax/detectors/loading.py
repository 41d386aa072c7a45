"""Detectors by name, as recipes and the command line say them.

    rtdetr:FOLDER   dfine:   detr:   boxes:            any object detector of transformers     (hub.py)
    mask2former:FOLDER                masks:            Mask2Former                             (hub.py)
    yolox:FILE.onnx                                     an official export                      (yolox.py)
    ...+vitpose:FOLDER                ...+hrnet:FILE.onnx      and joints in its boxes          (hub.py, hrnet.py)

FOLDER is a local one, or OWNER/REPO on the Hub.
"""

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from difftrack_jax.detectors import hrnet, hub, yolox
from difftrack_jax.detectors.base import Detections, Detector, Seen, check_classes, chosen
from difftrack_jax.detectors.files import DetectionsFile
from difftrack_jax.errors import UserError
from difftrack_jax.typing import HostFrame

BOXES: Mapping[str, Callable[[str], Detector]] = {
    "rtdetr": hub.Objects, "dfine": hub.Objects, "detr": hub.Objects, "boxes": hub.Objects,
    "mask2former": hub.Instances, "masks": hub.Instances, "yolox": yolox.Yolox,
}  # fmt: skip
JOINTS = {"vitpose": hub.Poses, "hrnet": hrnet.HeatMaps}
_AND = re.compile(rf"\+(?=(?:{'|'.join(JOINTS)}):)")  # a path may have a + of its own
_PERSON = "person"  # whose joints pose models know


def of_file(path: str, min_score: float = -np.inf, classes: Sequence[str] = ()) -> Seen:
    """Detections of a file by frame. Raises UserError for a wrong file, or classes that it has not."""
    file = DetectionsFile(path)
    if classes and not file.names:
        raise UserError(f"classes: the detections in {path} are of no class; leave it empty")
    check_classes(classes, file.names, path)
    return lambda index, frame: chosen(file(index, frame), min_score, classes)


def of_detector(detector: Detector, min_score: float = -np.inf, classes: Sequence[str] = ()) -> Seen:
    """Detections by a detector in each frame as it comes. Raises UserError for classes that it does not know."""
    check_classes(classes, _names(detector), "the detector")
    return lambda index, frame: chosen(detector(frame), min_score, classes)


def load(spec: str, min_score: float = -np.inf, classes: Sequence[str] = ()) -> Seen:
    """The detections of a detector named as above; see `of_detector`.

    With joints, and no classes named, only people are looked at where the detector knows them.
    """
    first, *more = _AND.split(spec)
    if len(more) > 1:
        raise UserError(f"detector {spec!r}: names two pose models")
    detector = _make(first, BOXES)
    if not more:
        return of_detector(detector, min_score, classes)
    people = classes or ((_PERSON,) if _PERSON in _names(detector) else ())
    return _with_joints(of_detector(detector, min_score, people), _make(more[0], JOINTS))


def _names(detector: Detector) -> Sequence[str]:
    return getattr(detector, "names", ())


def _make(spec: str, known: Mapping[str, Callable]):
    kind, colon, name = spec.partition(":")
    if kind not in known or not colon or not name:
        raise UserError(f"detector {spec!r}: needs KIND:PATH, where KIND is one of {', '.join(known)}")
    return known[kind](name)


def _with_joints(seen: Seen, joints: Callable) -> Seen:
    """Boxes first, then joints in each; masks are let go, as the joints say where the body is."""

    def detect(index: int, frame: HostFrame) -> Detections:
        found = seen(index, frame)
        found = found.take(np.isfinite(found.boxes).all(1) & (found.boxes[:, 2:] > found.boxes[:, :2] + 1).all(1))
        if not found.count:
            return found
        return found._replace(masks=None, keypoints=joints(frame, found.boxes))

    return detect
