"""Keypoint MOTA of PoseTrack17 and 18, as poseval computes it: py-motmetrics' counts for each joint, averaged.

A joint is matched within half a head size. Two habits of the reference are kept, for its numbers are the published
ones: the last frame of every video is left out, and a frame in which nobody is predicted, or nobody is in the truth,
counts as one missed and one false joint. Its MOTP sums the distances of all possible pairs and of matches again.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from difftrack_jax.metrics import accumulator, base
from difftrack_jax.metrics.keypoints import JOINTS, MATCH, PARTS, Frame, distances, present


class State(NamedTuple):
    """One state a joint."""

    joints: tuple[accumulator.State, ...]


def evaluate(frames: Sequence[Frame]) -> State:
    """One video: its labelled frames."""
    apart = [np.where(d <= MATCH, d, np.inf) for d in map(distances, frames)]
    return State(tuple(accumulator.evaluate(_of_joint(frames[:-1], apart, joint)) for joint in range(len(JOINTS))))


def merge(states: Sequence[State]) -> State:
    """Sums."""
    return State(tuple(base.add(parts) for parts in zip(*(state.joints for state in states))))


def compute(state: State) -> Mapping[str, float]:
    """MOTA of body parts and in total; MOTP, precision and recall in total, all as fractions."""
    joints = per_joint(state)
    parts = {part: joints["MOTA"][list(which)].mean() for part, which in PARTS.items()}
    mean = lambda values: values[~np.isnan(values)].mean() if not np.isnan(values).all() else np.nan
    totals = {f"{name}_Total": mean(values) for name, values in joints.items()}
    return {key: float(value) for key, value in {**{f"MOTA_{k}": v for k, v in parts.items()}, **totals}.items()}


def per_joint(state: State) -> Mapping[str, np.ndarray]:
    """MOTA, MOTP, precision and recall of each joint; NaN where there is nothing to divide by."""
    rows = []
    for joint in state.joints:
        numbers, found = accumulator.compute(joint), joint.matches + joint.switches
        overlap = 1 - joint.all_distances / found if found else 0.0
        rows.append((numbers["mota"], overlap, numbers["precision"], numbers["recall"]))
    return dict(zip(("MOTA", "MOTP", "Prec", "Rec"), np.array(rows).T))


def _of_joint(frames, apart, joint):
    """One joint's identities and distances in every frame."""
    pairs = []
    for frame, distance in zip(frames, apart):
        if not len(frame.gt) or not len(frame.pred):
            pairs.append(accumulator.Pairs(np.zeros(1, np.int64), np.zeros(1, np.int64), np.full((1, 1), np.inf)))
            continue
        gt, pred = present(frame.gt_joints)[:, joint], present(frame.pred_joints)[:, joint]
        pairs.append(accumulator.Pairs(frame.gt[gt], frame.pred[pred], distance[gt][:, pred, joint]))
    return pairs
