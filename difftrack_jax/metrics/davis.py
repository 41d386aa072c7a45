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
MATCHING = ("J", "J&F")


class State(NamedTuple):
    """Mean, recall and decay of J and of F, one row an object. q: those six."""

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
    pairs = [(gt[1:-1] == label, pred[1:-1] == label) for label in range(1, objects + 1)]
    scores = [(region(a, b), contour(a, b)) for a, b in pairs]
    shape = (objects, max(len(gt) - 2, 0))
    return tuple(np.reshape([score[i] for score in scores], shape) for i in range(2))


def evaluate_unsupervised(
    gt: UInt8[np.ndarray, "t h w"], pred: UInt8[np.ndarray, "t h w"], matching: str = "J"
) -> State:
    """One sequence, unsupervised. matching: objects are assigned by mean "J" (TrackEval) or "J&F" (davis2017)."""
    pred = np.where(gt == VOID, 0, pred)
    gt = np.where(gt == VOID, 0, gt)
    labels = lambda picture: [label for label in np.unique(picture).tolist() if label]
    truth, found = [[picture == label for label in labels(picture)] for picture in (gt, pred)]
    found += [np.zeros(gt.shape, bool)] * max(0, len(truth) - len(found))
    j = np.array([[region(a, b) for a in truth] for b in found]).reshape(len(found), len(truth), len(gt))
    score = j.mean(axis=2)
    if matching == "J&F":
        f = np.array([[contour(a, b) for a in truth] for b in found]).reshape(j.shape)
        score = (score + f.mean(axis=2)) / 2
    rows, columns = linear_sum_assignment(-score)
    boundary = [contour(truth[column], found[row]) for row, column in zip(rows, columns)]
    return summarise(j[rows, columns], np.reshape(boundary, (len(rows), len(gt))))


merge = base.concatenate


def compute(state: State) -> Mapping[str, float]:
    """The names of the official tables, as fractions; averages over objects."""
    if not len(state.values):
        return dict.fromkeys(NAMES, float("nan"))
    means = dict(zip(NAMES[1:], state.values.mean(axis=0).tolist()))
    return {"J&F-Mean": (means["J-Mean"] + means["F-Mean"]) / 2, **means}


NAMES = ("J&F-Mean", "J-Mean", "J-Recall", "J-Decay", "F-Mean", "F-Recall", "F-Decay")


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


def region(gt: Bool[np.ndarray, "*t h w"], pred: Bool[np.ndarray, "*t h w"]) -> Float[np.ndarray, "*t"]:
    """J of each frame."""
    both, either = (gt & pred).sum(axis=(-2, -1)), (gt | pred).sum(axis=(-2, -1))
    return np.where(either == 0, 1.0, both / np.maximum(either, 1))


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
