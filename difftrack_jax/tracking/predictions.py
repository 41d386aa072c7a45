"""From slots to what a user reads: one row a target, the joints of a pose gathered into one."""

from typing import NamedTuple

import numpy as np

from difftrack_jax.tracking.indicators import KINDS, POSE, Targets, boxes
from difftrack_jax.typing import Prediction


class _Row(NamedTuple):
    point: np.ndarray
    box: np.ndarray
    segment: np.ndarray | None
    pose: np.ndarray | None
    visible: bool
    score: float


def of_slots(frame: int, targets: Targets, ids: np.ndarray, masks: dict[int, np.ndarray]) -> Prediction:
    """targets, ids: numpy, flat over slots; id 0 is free. masks: over the frame, of slots that show one."""
    groups = [np.nonzero(ids == number)[0] for number in dict.fromkeys(ids[ids > 0].tolist())]
    if not groups:
        return nothing(frame)
    place = np.asarray(boxes(targets))
    rows = [
        _of_pose(targets, group) if targets.kind[group[0]] == POSE else _of_one(targets, place, masks, group[0])
        for group in groups
    ]
    point, box, segment, pose, visible, score = zip(*rows)
    first = [group[0] for group in groups]
    kinds = tuple(KINDS[targets.kind[slot]] for slot in first)
    stack = lambda values: np.stack(values).astype(np.float32)
    return Prediction(
        frame, ids[first], kinds, stack(point), stack(box), segment, pose, np.array(visible), np.float32(score)
    )


def nothing(frame: int = 0) -> Prediction:
    """The prediction of a frame without targets."""
    none, flags = np.zeros((0,), np.float32), np.zeros((0,), bool)
    ids, points, place = np.zeros((0,), np.int64), none.reshape(0, 2), none.reshape(0, 4)
    return Prediction(frame, ids, (), points, place, (), (), flags, none)


def _of_one(targets, place, masks, slot):
    return _Row(
        targets.anchor[slot], place[slot], masks.get(int(slot)), None, targets.visible[slot], targets.score[slot]
    )


def _of_pose(targets, group):
    """x, y, visible of every joint (NaN for one that was never given); the box is the joints' extent."""
    known = targets.valid[group]
    joints = np.concatenate([targets.anchor[group], targets.visible[group, None]], axis=1).astype(np.float32)
    given = joints[known, :2]
    joints[~known] = np.nan, np.nan, 0.0
    box = np.concatenate([given.min(0), given.max(0)])
    seen, score = targets.visible[group][known].any(), targets.score[group][known].mean()
    return _Row(given.mean(0), box, None, joints, seen, score)
