"""DAVIS (Perazzi et al., 2016; Pont-Tuset et al., 2017): region similarity J and contour accuracy F of masks.

    J   intersection over union of the object's masks; 1 where both are empty F   F-measure of their boundaries, one
    pixel wide; a boundary pixel is right when one of the other mask's lies within
        ceil(0.008 * diagonal) pixels, 8 at 480p; 1 where both are empty, 0 where only one is

Each has a mean over frames, a recall (share of frames above 0.5) and a decay (mean of the first quarter less that of
the last). They are averaged over objects, of all sequences alike, and J&F is the mean of the two means.

Semi-supervised: objects are those of the first frame's truth, in its labels; first and last frame are not scored, and
the void label 255 is background in the truth. Unsupervised: all frames are scored, each object takes the predicted
one with the best mean J (and F), and void pixels are cut out of predictions.

Difference from the reference: its bins for the decay are 8-bit numbers, which wrap in sequences of more than 256
frames; DAVIS has none. Ours do not.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree

from difftrack_jax.errors import UserError
from difftrack_jax.metrics import base

VOID = 255
BOUND = 0.008
# A label that nothing has, for void is taken out of truth and predictions first.
ABSENT = VOID
MATCHING = ("J", "J&F")


class State(NamedTuple):
    """Mean, recall and decay of J and of F, one row an object."""

    values: Float[np.ndarray, "objects 6"]


def evaluate(gt: UInt8[np.ndarray, "t h w"], pred: UInt8[np.ndarray, "t h w"]) -> State:
    """One sequence, semi-supervised: pictures of labels, 0 for background."""
    j, f = frame_scores(gt, pred)
    return summarise(j, f)


def frame_scores(
    gt: UInt8[np.ndarray, "t h w"], pred: UInt8[np.ndarray, "t h w"]
) -> tuple[Float[np.ndarray, "n s"], Float[np.ndarray, "n s"]]:
    """J and F of n objects in the s = t - 2 frames that are scored."""
    gt = np.where(gt == VOID, 0, gt)
    objects = int(gt[0].max())
    if int(pred.max(initial=0)) > objects:
        raise UserError(f"label {int(pred.max())} is predicted, but the first frame has objects 1 to {objects} only")
    gt, pred = gt[1:-1], pred[1:-1]
    labels = list(range(1, objects + 1))
    j = np.diagonal(_regions(gt, pred, labels, labels), axis1=0, axis2=1).T
    f = [contour(gt == label, pred == label) for label in labels]
    return j.reshape(objects, len(gt)), np.reshape(f, (objects, len(gt)))


def evaluate_unsupervised(
    gt: UInt8[np.ndarray, "t h w"], pred: UInt8[np.ndarray, "t h w"], matching: str = "J"
) -> State:
    """One sequence, unsupervised. matching: objects are assigned by mean "J" (TrackEval) or "J&F" (davis2017)."""
    pred = np.where(gt == VOID, 0, pred)
    gt = np.where(gt == VOID, 0, gt)
    truth, found = labels_in(gt), labels_in(pred)
    # Where there are more objects than predictions the rest is assigned to what is nowhere.
    found += [ABSENT] * max(0, len(truth) - len(found))
    j = _regions(gt, pred, truth, found)
    score = j.mean(axis=2)
    if matching == "J&F":
        f = [[contour(gt == a, pred == b).mean() for b in found] for a in truth]
        score = (score + np.reshape(f, score.shape)) / 2
    rows, columns = linear_sum_assignment(-score)
    boundary = [contour(gt == truth[row], pred == found[column]) for row, column in zip(rows, columns)]
    return summarise(j[rows, columns], np.reshape(boundary, (len(rows), len(gt))))


merge = base.concatenate


def compute(state: State) -> Mapping[str, float]:
    """The names of the official tables, as fractions; averages over objects."""
    if not len(state.values):
        return dict.fromkeys(NAMES, float("nan"))
    means = dict(zip(NAMES[1:], state.values.mean(axis=0).tolist()))
    return {"J&F-Mean": (means["J-Mean"] + means["F-Mean"]) / 2, **means}


NAMES = ("J&F-Mean", "J-Mean", "J-Recall", "J-Decay", "F-Mean", "F-Recall", "F-Decay")


def labels_in(pictures: UInt8[np.ndarray, "*t h w"]) -> list[int]:
    """Labels above 0 that any pixel has."""
    count = sum(np.bincount(rows, minlength=256) for rows in pictures.reshape(len(pictures), -1))
    return [label for label in np.flatnonzero(count).tolist() if label]


def summarise(j: Float[np.ndarray, "n s"], f: Float[np.ndarray, "n s"]) -> State:
    """Mean, recall and decay of each object."""
    rows = [[*statistics(a), *statistics(b)] for a, b in zip(j, f)]
    return State(np.array(rows, np.float64).reshape(len(rows), 6))


def statistics(values: Float[np.ndarray, "s"]) -> tuple[float, float, float]:
    """Mean, recall and decay over frames."""
    if not len(values):
        return (float("nan"),) * 3
    edges = bin_edges(len(values))
    first, last = values[edges[0] : edges[1] + 1], values[edges[3] : edges[4] + 1]
    return float(values.mean()), float((values > 0.5).mean()), float(first.mean() - last.mean())


def bin_edges(frames: int) -> Int[np.ndarray, "5"]:
    """First and last frames of four bins of equal length, which share their borders."""
    return (np.round(np.linspace(1, frames, 5) + 1e-10) - 1).astype(np.int64)


def region(gt: Bool[np.ndarray, "t h w"], pred: Bool[np.ndarray, "t h w"]) -> Float[np.ndarray, "t"]:
    """J of each frame."""
    return _regions(gt.astype(np.uint8), pred.astype(np.uint8), [1], [1])[0, 0]


def _regions(gt: UInt8[np.ndarray, "t h w"], pred: UInt8[np.ndarray, "t h w"], truth: list[int], found: list[int]):
    """J of every pair of labels in each frame, [truth, found, t]."""
    out = np.zeros((len(truth), len(found), len(gt)))
    for time, (a, b) in enumerate(zip(gt, pred)):
        # How many pixels have each pair of labels: all intersections and areas at once.
        pairs = np.bincount((a.astype(np.uint16) << 8 | b).reshape(-1), minlength=1 << 16).reshape(256, 256)
        both = pairs[np.ix_(truth, found)]
        either = pairs.sum(axis=1)[truth][:, None] + pairs.sum(axis=0)[found][None] - both
        out[..., time] = np.where(either == 0, 1.0, both / np.maximum(either, 1))
    return out


def contour(
    gt: Bool[np.ndarray, "t h w"], pred: Bool[np.ndarray, "t h w"], bound: float = BOUND
) -> Float[np.ndarray, "t"]:
    """F of each frame. bound: how far boundaries may be apart, as a share of the diagonal, or in pixels from 1 on."""
    radius = float(bound if bound >= 1 else math.ceil(bound * math.hypot(*gt.shape[1:])))
    return np.array([_f_measure(_boundary(a), _boundary(b), radius) for a, b in zip(gt, pred)], np.float64)


def _f_measure(gt: Int[np.ndarray, "a 2"], pred: Int[np.ndarray, "b 2"], radius: float) -> float:
    """The F-measure of two boundaries, given as pixels."""
    if not len(gt) or not len(pred):
        return float(len(gt) == len(pred))
    precision, recall = _near(pred, gt, radius), _near(gt, pred, radius)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _near(points, others, radius):
    """The share of points within a disc of the radius around another: what dilating the others with it would cover."""
    # Squared distances are whole numbers, so half a unit decides without rounding.
    reach = math.sqrt(radius**2 + 0.5)
    distance, _ = cKDTree(others).query(points, distance_upper_bound=reach)
    return float((distance < reach).mean())


def _boundary(mask: Bool[np.ndarray, "h w"]) -> Int[np.ndarray, "n 2"]:
    """Pixels that differ from the one to the right, below, or diagonally below."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return np.zeros((0, 2), np.int64)
    # Only the surroundings of the mask are looked at; a pixel beyond the picture equals the one at its border.
    top, left = max(rows[0] - 1, 0), max(columns[0] - 1, 0)
    inner = np.pad(mask, ((0, 1), (0, 1)), mode="edge")[top : rows[-1] + 2, left : columns[-1] + 2]
    here = inner[:-1, :-1]
    edge = (here != inner[:-1, 1:]) | (here != inner[1:, :-1]) | (here != inner[1:, 1:])
    return np.argwhere(edge) + [top, left]
