"""Average precision of joints in multi-person poses, as poseval and PoseTrack21's kit compute it.

In each frame a prediction stands for the truth that most of its joints match, and a truth takes the best of those
predictions. Joints of the pair are right where they match; all joints of other predictions are wrong. For each joint
the detections of all frames are ranked by score, and AP is the area under the precision that recall reaches (VOC, all
points). The total is the mean over the 15 joints.

Detections with equal scores are ranked as numpy's sort happens to leave them, as in the reference; where there are
many, that moves AP in the fifth digit. A video's frames are those that are labelled and have somebody in them, which
is what both references evaluate; where everybody is in a region to ignore, all predictions outside of it are wrong.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from difftrack_jax.metrics.keypoints import JOINTS, MATCH, PARTS, Frame, distances, present


class State(NamedTuple):
    """Detected joints, and joints in the truth. joint: its index."""

    joint: Int[np.ndarray, "d"]
    score: Float[np.ndarray, "d"]
    right: Bool[np.ndarray, "d"]
    total: Int[np.ndarray, "j"]


def evaluate(frames: Sequence[Frame]) -> State:
    """One video: its labelled frames."""
    total = np.zeros(len(JOINTS), np.int64)
    joint, score, right = [np.zeros(0, np.int64)], [np.zeros(0)], [np.zeros(0, bool)]
    for frame in frames:
        there, detected = present(frame.gt_joints), present(frame.pred_joints)
        total += there.sum(axis=0)
        correct = np.zeros(detected.shape, bool)
        if len(frame.gt) and len(frame.pred):
            match = distances(frame) <= MATCH
            for gt, pred in _pairs(match.sum(axis=2) / np.maximum(there.sum(axis=1), 1)[:, None]):
                correct[pred] = match[gt, pred]
        joint.append(np.nonzero(detected)[1])
        score.append(frame.score[detected])
        right.append(correct[detected])
    return State(*(np.concatenate(parts) for parts in (joint, score, right)), total)


def merge(states: Sequence[State]) -> State:
    """All detections together."""
    parts = [np.concatenate(field) for field in list(zip(*states))[:3]]
    return State(*parts, np.sum([state.total for state in states], axis=0))


def compute(state: State) -> Mapping[str, float]:
    """mAP, precision and recall of body parts and in total, as fractions; NaN where nothing was detected."""
    out = {}
    for name, values in per_joint(state).items():
        parts = {part: values[list(joints)].mean() for part, joints in PARTS.items()}
        parts["Total"] = values[~np.isnan(values)].mean()
        out |= {f"{name}_{part}": float(value) for part, value in parts.items()}
    return out


def per_joint(state: State) -> Mapping[str, Float[np.ndarray, "j"]]:
    """AP, precision and recall of each joint, 0 where nothing was detected."""
    rows = [_average_precision(state, joint) for joint in range(len(JOINTS))]
    return dict(zip(("AP", "precision", "recall"), np.array(rows).T))


def _average_precision(state, joint):
    mine = state.joint == joint
    score, right = state.score[mine], state.right[mine]
    if not len(score):
        return 0.0, 0.0, 0.0
    right = right[np.argsort(score)[::-1]].cumsum()
    precision, recall = right / np.arange(1, len(right) + 1), right / max(state.total[joint], 1)
    best = np.maximum.accumulate(np.append(precision, 0)[::-1])[::-1]
    step = np.diff(recall, prepend=0, append=1.0)
    return float((step * best)[: len(step)].sum()), float(precision[-1]), float(recall[-1])


def _pairs(share: Float[np.ndarray, "g p"]):
    """(truth, prediction) of poses that stand for each other."""
    choice = share.argmax(axis=0)
    kept = np.where(np.arange(len(share))[:, None] == choice, share, 0)
    best = kept.argmax(axis=1)
    return [(gt, pred) for gt, pred in enumerate(best) if kept[gt, pred] > 0]
