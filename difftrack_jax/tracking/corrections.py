"""What a detector saw, as targets, and as corrections of targets that are being followed.

Boxes are what detections and targets are matched by. A pose's is the extent of its joints, a mask's is its own.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from difftrack_jax.detectors.base import Detections, around
from difftrack_jax.errors import UserError
from difftrack_jax.tracking.indicators import Box, Pose, Segment, Target, Targets
from difftrack_jax.tracking.session import Session, Tracker
from difftrack_jax.typing import Array, Bool

_SMALLEST = 1.0  # pixels; no detection of less is an object
_MOVING = ("anchor", "size", "mask", "mask_window")  # fields of `Targets` that say where a target is
_MARGIN, _LEAST_WINDOW = 1.3, 16.0  # of the window around a mask: times its longer side, and at least so many pixels


def usable(detections: Detections, size: tuple[int, int], joint: float) -> Detections:
    """Those with a finite box that has an area inside frames of (height, width), labelled, joints with a flag.

    joint: least confidence of a joint that is there. Raises UserError when the fields are not of one length.
    """
    boxes, scores = np.asarray(detections.boxes, float).reshape(-1, 4), np.asarray(detections.scores, float).reshape(-1)
    labels = tuple(detections.labels) or ("",) * len(boxes)
    if len({len(boxes), len(scores), len(labels)}) > 1:
        raise UserError(f"detections: {len(boxes)} boxes, {len(scores)} scores and {len(labels)} labels")
    masks, keypoints = detections.masks, detections.keypoints
    if masks is not None and masks.shape != (len(boxes), *size):
        raise UserError(f"detections: masks {masks.shape}, but {len(boxes)} boxes in frames of {size[1]}x{size[0]}")
    if masks is not None:
        boxes = around(masks)
    elif keypoints is not None:
        keypoints = _flagged(np.asarray(keypoints, float), size, joint)
        boxes = np.array([_extent(joints) for joints in keypoints]).reshape(-1, 4)
    good = np.isfinite(boxes).all(1) & np.isfinite(scores) & (boxes[:, 2:] > boxes[:, :2] + _SMALLEST).all(1)
    good &= (boxes[:, 2:] > _SMALLEST).all(1) & (boxes[:, :2] < np.array(size[::-1]) - _SMALLEST).all(1)
    return Detections(boxes, scores, labels, masks, keypoints).take(good)


def target(detections: Detections, index: int) -> Target:
    """A usable detection as what it shows: a segment, a pose, or else a box."""
    if detections.masks is not None:
        return Segment(detections.masks[index])
    if detections.keypoints is not None:
        return Pose(detections.keypoints[index].astype(np.float32))
    return Box(*detections.boxes[index].tolist())


def corrected(tracker: Tracker, session: Session, given: Mapping[int, Target]) -> Session:
    """The session with targets put where they are now, by id; their memory stays. Joints not visible stay as they were.

    Raises UserError for an id that is not followed.
    """
    boxes = {number: one for number, one in given.items() if isinstance(one, Box)}
    if boxes:
        corners = {number: np.array([one.x0, one.y0, one.x1, one.y1]) for number, one in boxes.items()}
        session = tracker.move(session, corners)
    rest = {number: one for number, one in given.items() if number not in boxes}
    return _marked(session, rest) if rest else session


def _marked(session: Session, given: Mapping[int, Segment | Pose]) -> Session:
    old = session.pure.targets
    fields = {name: np.array(getattr(old, name)) for name in _MOVING}
    here = np.zeros(session.ids.shape, bool)
    for number, one in given.items():
        slots = [tuple(slot) for slot in np.argwhere(session.ids == number)]
        if not slots:
            raise UserError(f"target {number}: not being followed")
        joints = one.joints if isinstance(one, Pose) else [None]
        for slot, joint in zip(slots, joints):
            if joint is None:
                put = _segment(one.mask, fields["mask"].shape[-1])
            elif joint[2] > 0:
                half = fields["size"][slot] / 2
                put = {"anchor": joint[:2], "mask_window": np.concatenate([joint[:2] - half, joint[:2] + half])}
            else:
                continue
            here[slot] = True
            for name, value in put.items():
                fields[name][slot] = value
    targets = _put(old, tuple(fields.values()), jnp.asarray(here))
    return session._replace(pure=session.pure._replace(targets=targets))


def _segment(mask: Bool[np.ndarray, "h w"], cells: int) -> dict[str, np.ndarray]:
    """Anchor, size and soft membership of a mask, on a grid with a margin around it."""
    box = around(mask[None])[0]
    centre, size = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
    half = max(_MARGIN * size.max(), _LEAST_WINDOW) / 2
    window = np.rint(np.concatenate([centre - half, centre + half]))
    picture = Image.fromarray(mask.astype(np.uint8) * 255).crop(tuple(window.astype(int).tolist()))
    grid = np.asarray(picture.resize((cells, cells), Image.Resampling.BILINEAR)) / 255.0
    return {"anchor": centre, "size": size, "mask": grid, "mask_window": window}


@jax.jit
def _put(old: Targets, new: tuple[Array, ...], here: Bool[Array, "w m"]) -> Targets:
    put = lambda a, b: jnp.where(here.reshape(here.shape + (1,) * (a.ndim - 2)), b, a)
    moved = {name: put(getattr(old, name), value) for name, value in zip(_MOVING, new)}
    return old._replace(**moved, visible=old.visible | (here & old.valid))


def _flagged(keypoints: np.ndarray, size: tuple[int, int], joint: float) -> np.ndarray:
    """x, y, 1 of joints that are there and inside the frame, 0, 0, 0 of the others."""
    x, y, score = np.moveaxis(keypoints, -1, 0)
    seen = np.isfinite(keypoints).all(-1) & (score >= joint) & (x >= 0) & (y >= 0) & (x < size[1]) & (y < size[0])
    return np.where(seen[..., None], np.stack([x, y, np.ones_like(x)], axis=-1), 0.0)


def _extent(joints: np.ndarray) -> np.ndarray:
    seen = joints[joints[:, 2] > 0, :2]
    return np.concatenate([seen.min(0), seen.max(0)]) if len(seen) else np.full(4, np.nan)
