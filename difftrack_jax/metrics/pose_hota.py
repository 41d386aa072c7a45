"""Keypoint HOTA of PoseTrack21 (Doering et al., CVPR 2022): HOTA of each joint's track, then over joints.

A joint d head sizes off is 1 - d / 0.5001 alike, 0 from half a head on. For each joint and frame detections are
assigned by similarity alone (HOTA proper weighs in how well whole tracks agree), then counted for alpha = 0.05, ...,
0.95 as in `hota`. FragA punishes broken tracks too: its TPA counts only the unbroken stretch of frames a match lies
in. The 16th column is the total: the means over joints for a video, and for a data set the formulas over the videos'
totals.

Difference on request: where a labelled frame has no prediction at all, the reference counts the joints of the whole
video as missed. `whole_video=False` counts that frame's.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import linear_sum_assignment

from difftrack_jax.metrics import base
from difftrack_jax.metrics.frames import EPS, number
from difftrack_jax.metrics.frames import Frame as Pairing
from difftrack_jax.metrics.hota import ALPHAS
from difftrack_jax.metrics.keypoints import JOINTS, MATCH, Frame, distances, present

_SUMS = ("AssA", "AssRe", "AssPr", "FragA", "LocA")


class State(NamedTuple):
    """Counts [19 alphas, 15 joints], and sums over true positives, whose last column is the total's. merged: above 0
    for a data set, 0 for a video.
    """

    tp: Int[np.ndarray, "a j"]
    fn: Int[np.ndarray, "a j"]
    fp: Int[np.ndarray, "a j"]
    sums: Float[np.ndarray, "5 a c"]
    merged: int


class Matches(NamedTuple):
    """All assigned pairs of one joint, frame by frame."""

    gt: Int[np.ndarray, "m"]
    pred: Int[np.ndarray, "m"]
    similarity: Float[np.ndarray, "m"]


def evaluate(frames: Sequence[Frame], whole_video: bool = True) -> State:
    """One video: its labelled frames."""
    tracks = number([Pairing(f.gt, f.pred, np.zeros((len(f.gt), len(f.pred)))) for f in frames])
    gt_there, pred_there = [present(f.gt_joints) for f in frames], [present(f.pred_joints) for f in frames]
    gt_count = _appearances([f.gt for f in tracks.frames], gt_there, len(tracks.gt_count))
    pred_count = _appearances([f.pred for f in tracks.frames], pred_there, len(tracks.pred_count))
    targets, blank = gt_count.sum(axis=0), sum(len(f.gt) > 0 and not len(f.pred) for f in frames)
    if whole_video and blank and not tracks.empty:
        seen = sum(there.sum(axis=0) for f, there in zip(frames, gt_there) if len(f.pred))
        targets = seen + blank * targets
    tp = np.zeros((len(ALPHAS), len(JOINTS)), np.int64)
    sums = np.zeros((len(_SUMS), len(ALPHAS), len(JOINTS)))
    similarity = [np.maximum(1 - distances(frame) / (MATCH + 1e-4), 0) for frame in frames]
    for joint in range(0 if tracks.empty else len(JOINTS)):
        matches = _assign(tracks.frames, [pairs[..., joint] for pairs in similarity])
        for a, alpha in enumerate(ALPHAS):
            kept = Matches(*(field[matches.similarity >= alpha - EPS] for field in matches))
            tp[a, joint] = len(kept.gt)
            sums[:, a, joint] = _sums(kept, gt_count[:, joint], pred_count[:, joint])
    # The total of a video is a mean of ratios; it is kept as what that mean would be the ratio of.
    total = base.ratio(sums, tp).mean(axis=-1) * tp.sum(axis=-1)
    total[-1] = _localisation(sums[-1], tp).mean(axis=-1) * tp.sum(axis=-1)
    return State(tp, targets - tp, pred_count.sum(axis=0) - tp, np.concatenate([sums, total[..., None]], axis=-1), 0)


def merge(states: Sequence[State]) -> State:
    """Sums."""
    return base.add(states)._replace(merged=1)


def curves(state: State) -> Mapping[str, Float[np.ndarray, "a c"] | Int[np.ndarray, "a c"]]:
    """Every quantity for each alpha and joint; the last column is the total."""
    tp, fn, fp = (np.concatenate([c, c.sum(axis=1, keepdims=True)], axis=1) for c in state[:3])
    out = {name: base.ratio(values, tp) for name, values in zip(_SUMS, state.sums)}
    out["LocA"] = _localisation(state.sums[-1], tp)
    out["DetRe"], out["DetPr"] = base.ratio(tp, tp + fn), base.ratio(tp, tp + fp)
    out["DetA"] = base.ratio(tp, tp + fn + fp)
    out["HOTA"], out["RHOTA"] = np.sqrt(out["DetA"] * out["AssA"]), np.sqrt(out["DetRe"] * out["AssA"])
    unbroken = np.sqrt(out["AssA"] * out["FragA"])
    out["FA-HOTA"], out["FA-RHOTA"] = np.sqrt(out["DetA"] * unbroken), np.sqrt(out["DetRe"] * unbroken)
    if not state.merged:
        for values in out.values():
            values[:, -1] = values[:, :-1].mean(axis=1)
    return {**out, "HOTA_TP": tp, "HOTA_FN": fn, "HOTA_FP": fp}


def compute(state: State) -> Mapping[str, float]:
    """Totals, means over alpha; and HOTA, LocA and their product at the lowest alpha, 0.05."""
    total = {name: values[:, -1] for name, values in curves(state).items() if not name.startswith("HOTA_")}
    lowest = {"HOTA(0)": float(total["HOTA"][0]), "LocA(0)": float(total["LocA"][0])}
    return {name: float(values.mean()) for name, values in total.items()} | lowest


def _appearances(
    identities: Sequence[Int[np.ndarray, "_"]], there: Sequence[Bool[np.ndarray, "_ j"]], tracks: int
) -> Int[np.ndarray, "n j"]:
    """Frames in which each joint of each identity is there."""
    count = np.zeros((tracks, len(JOINTS)), np.int64)
    for who, joints in zip(identities, there):
        count[who] += joints
    return count


def _assign(frames: Sequence[Pairing], similarity: Sequence[Float[np.ndarray, "_ _"]]) -> Matches:
    """The best pairs of each frame."""
    found = []
    for frame, pairs in zip(frames, similarity):
        rows, columns = linear_sum_assignment(-pairs)
        found.append((frame.gt[rows], frame.pred[columns], pairs[rows, columns]))
    return Matches(*(np.concatenate(parts) for parts in zip(*found)))


def _sums(matches: Matches, gt_count: Int[np.ndarray, "g"], pred_count: Int[np.ndarray, "p"]) -> list[float]:
    """In the order of `_SUMS`."""
    if not len(matches.gt):
        return [0.0] * len(_SUMS)
    pair, index, together = np.unique(
        np.stack([matches.gt, matches.pred]), axis=1, return_inverse=True, return_counts=True
    )
    mine, theirs = gt_count[pair[0]], pred_count[pair[1]]
    either = np.maximum(1, mine + theirs - together)
    # By target, in time: a stretch ends where the next match of a target has another identity.
    order = np.argsort(matches.gt, kind="stable")
    kind = index.reshape(-1)[order]
    first = np.flatnonzero(np.diff(kind, prepend=-1))
    stretch = np.diff(np.append(first, len(kind)))
    return [
        (together**2 / either).sum(),
        (together**2 / np.maximum(1, mine)).sum(),
        (together**2 / np.maximum(1, theirs)).sum(),
        (stretch**2 / either[kind[first]]).sum(),
        matches.similarity.sum(),
    ]


def _localisation(similarity, tp):
    return np.maximum(1e-10, similarity) / np.maximum(1e-10, tp)
