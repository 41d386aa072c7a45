"""Poses of several people in one frame, and how far apart they are in units of head size.

Distances are divided by the head size, 0.6 times the diagonal of the head's box in the truth; joints at most 0.5
apart match (PCKh@0.5). PoseTrack scores 15 of the 17 joints in its files: not the ears. Which joints count as missing
differs: PoseTrack21's kit takes those whose x or y is not above 0, poseval those that are 0, 0 and not flagged. Here
they are NaN.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

JOINTS = (
    "nose", "head_bottom", "head_top", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist",
    "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip
# The columns of the official tables: joints by index.
PARTS = {
    "Head": (0, 1, 2), "Shou": (3, 4), "Elb": (5, 6), "Wri": (7, 8), "Hip": (9, 10), "Knee": (11, 12), "Ankl": (13, 14),
}  # fmt: skip
EARS = (3, 4)
MATCH = 0.5


class Frame(NamedTuple):
    """Everybody in one labelled frame. gt, pred: identities. joints: x, y in pixels, NaN where missing. head: sizes in
    pixels. score: of predicted joints.
    """

    gt: Int[np.ndarray, "g"]
    gt_joints: Float[np.ndarray, "g j 2"]
    head: Float[np.ndarray, "g"]
    pred: Int[np.ndarray, "p"]
    pred_joints: Float[np.ndarray, "p j 2"]
    score: Float[np.ndarray, "p j"]


def positive(joints: Float[np.ndarray, "n 17 3"]) -> Float[np.ndarray, "n 15 2"]:
    """The scored joints, in the order of `JOINTS`, of the x, y, flag in files; missing by PoseTrack21's rule."""
    return _scored(joints, (joints[..., :2] > 0).all(axis=-1))


def annotated(joints: Float[np.ndarray, "n 17 3"]) -> Float[np.ndarray, "n 15 2"]:
    """The same, missing by poseval's rule."""
    return _scored(joints, (joints != 0).any(axis=-1))


def without_ears(values: Float[np.ndarray, "n 17 *c"]) -> Float[np.ndarray, "n 15 *c"]:
    """What belongs to the scored joints."""
    return np.delete(values, EARS, axis=1)


def _scored(joints, there):
    return without_ears(np.where(there[..., None], joints[..., :2], np.nan))


def head_size(box: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n"]:
    """Of boxes x, y, w, h."""
    return 0.6 * np.linalg.norm(box[:, 2:], axis=1)


def present(joints: Float[np.ndarray, "n j 2"]) -> Bool[np.ndarray, "n j"]:
    """Joints that are there."""
    return ~np.isnan(joints).any(axis=-1)


def distances(frame: Frame) -> Float[np.ndarray, "g p j"]:
    """In head sizes; infinite where a joint is missing on either side."""
    apart = np.linalg.norm(frame.gt_joints[:, None] - frame.pred_joints[None], axis=-1) / frame.head[:, None, None]
    return np.where(np.isnan(apart), np.inf, apart)


def ignore(frame: Frame, regions: Sequence[Float[np.ndarray, "_ 2"]]) -> Frame:
    """Joints inside a polygon are taken out on both sides, and with them people who have no other."""
    if not len(regions):
        return frame
    gt, gt_stay = _outside(frame.gt_joints, regions)
    pred, stay = _outside(frame.pred_joints, regions)
    return Frame(frame.gt[gt_stay], gt, frame.head[gt_stay], frame.pred[stay], pred, frame.score[stay])


def _outside(joints, regions):
    flat = joints.reshape(-1, 2)
    hidden = np.any([inside(flat, region) for region in regions], axis=0).reshape(joints.shape[:2])
    joints = np.where(hidden[..., None], np.nan, joints)
    stay = present(joints).any(axis=1)
    return joints[stay], stay


def inside(points: Float[np.ndarray, "n 2"], polygon: Float[np.ndarray, "k 2"]) -> Bool[np.ndarray, "n"]:
    """Points that a ray to the right leaves the polygon from; those on its border are outside."""
    start, end = polygon, np.roll(polygon, -1, axis=0)
    x, y = points[:, :1], points[:, 1:]
    crosses = (start[:, 1] > y) != (end[:, 1] > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = start[:, 0] + (y - start[:, 1]) * (end[:, 0] - start[:, 0]) / (end[:, 1] - start[:, 1])
    side = (end[:, 0] - start[:, 0]) * (y - start[:, 1]) - (end[:, 1] - start[:, 1]) * (x - start[:, 0])
    within = ((points[:, None] - start) * (points[:, None] - end)).sum(axis=-1) <= 0
    return ((crosses & (x < at)).sum(axis=1) % 2 == 1) & ~((side == 0) & within).any(axis=1)
