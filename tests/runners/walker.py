"""A tracker without a network: every target walks one pixel to the right in each step, and counts its steps."""

from typing import NamedTuple

import numpy as np

from difftrack_jax.tracking.indicators import Box, Point, Pose, Segment
from difftrack_jax.tracking.session import Tracker
from difftrack_jax.tracking.settings import PRESETS
from difftrack_jax.typing import Prediction


class State(NamedTuple):
    kind: tuple
    box: np.ndarray
    masks: tuple
    poses: tuple
    steps: int
    size: tuple


class Walker(Tracker):
    """`sessions` lists what was followed: the number of targets and the pixels of the frames, by their first value."""

    def __init__(self):
        self.sessions, self.settings, self.seed = [], PRESETS["fast"], 0

    def init(self, frame, targets):
        self.sessions.append((len(targets), [int(frame[0, 0, 0])]))
        boxes = [_box(target) for target in targets]
        masks = tuple(target.mask if isinstance(target, Segment) else None for target in targets)
        poses = tuple(target.joints if isinstance(target, Pose) else None for target in targets)
        kinds = tuple(target.kind for target in targets)
        return State(kinds, np.array(boxes, np.float64), masks, poses, 0, frame.shape[:2])

    def step(self, session, frame):
        self.sessions[-1][1].append(int(frame[0, 0, 0]))
        masks = tuple(None if mask is None else np.roll(mask, 1, axis=1) for mask in session.masks)
        poses = tuple(None if pose is None else pose + [1, 0, 0] for pose in session.poses)
        moved = session._replace(box=session.box + [1, 0, 1, 0], masks=masks, poses=poses, steps=session.steps + 1)
        return moved, self.predict(moved)

    def predict(self, session):
        n = len(session.kind)
        return Prediction(
            frame=session.steps, id=np.arange(1, n + 1), kind=session.kind, point=session.box[:, :2], box=session.box,
            segment=session.masks, pose=session.poses, visible=np.ones(n, bool), score=np.full(n, 0.5),
        )  # fmt: skip


def _box(target):
    if isinstance(target, Box):
        return target.x0, target.y0, target.x1, target.y1
    if isinstance(target, Point):
        return target.x, target.y, target.x, target.y
    if isinstance(target, Pose):
        x, y = target.joints[target.joints[:, 2] > 0, :2].T
        return x.min(), y.min(), x.max(), y.max()
    rows, columns = np.nonzero(target.mask)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
