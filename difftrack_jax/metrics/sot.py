"""One-pass evaluation of a single box (OTB, LaSOT): success, precision, normalised precision.

    success      share of frames with IoU > t, for t = 0, 0.05, ..., 1; its mean is the area under the curve (AUC).
                 A perfect tracker has 20/21, for no IoU exceeds 1
    precision    share of frames whose centres are at most d pixels apart, d = 0, 1, ..., 50; reported at 20
    normalised   the same with distances divided by the true box's width and height, 0, 0.01, ..., 0.5. Two scores go by
                 this name: the value at 0.20 (pytracking) and the mean of the curve (the LaSOT paper, got10k)

The first box of a result is replaced by the true one, and counts. Scores are means over sequences. Evaluators agree on
all of this and differ in what they do with frames that cannot be compared: `Rules` says what, one for each evaluator.
Boxes are x, y, width, height as the files have them; nothing here depends on where pixels begin.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from difftrack_jax.errors import UserError
from difftrack_jax.metrics import base

# As MATLAB, numpy and torch count by steps of 0.05; 0.6, say, comes out larger than 0.6.
STEPS = tuple((np.arange(21) * 0.05).tolist())
TWENTIETHS = tuple((np.arange(21) / 20).tolist())
PIXELS = np.arange(51.0)
SHARES = np.arange(51) / 100
HIT, MISS = -1.0, np.inf


class Rules(NamedTuple):
    """How one evaluator treats what is not a plain pair of boxes.

    short: results with fewer boxes than frames are refused ("error"), lost from there on ("zeros"), or compared as
    far as they go ("cut"). hold: a result without a size repeats the previous frame's. sizeless: errors, in pixels
    and normalised, of frames whose true box has no size, HIT or MISS (overlap is a miss); None judges them like the
    rest. corner: a true x or y of 0 or less counts as no size too. absent: frames flagged absent are missed, whatever
    the result; else they are judged like the rest. floor: the least width and height that distances are divided by.
    overlaps: the thresholds of success. rates: over "all" frames, over "valid" ones (with a size, not absent), or
    over those with "numbers" (no NaN).
    """

    short: str = "error"
    hold: bool = True
    sizeless: tuple[float, float] | None = (MISS, HIT)
    corner: bool = False
    absent: bool = True
    floor: float = 0.0
    overlaps: tuple[float, ...] = STEPS
    rates: str = "all"


RULES = {
    # HengLan/LaSOT_Evaluation_Toolkit, in MATLAB: the official numbers of LaSOT.
    "lasot": Rules(sizeless=(HIT, HIT), corner=True),
    # jwlim/tracker_benchmark: the published numbers of OTB.
    "otb": Rules(hold=False, sizeless=(HIT, HIT), corner=True, overlaps=TWENTIETHS),
    # STVIR/pysot on OTB.
    "pysot": Rules(hold=False, sizeless=(HIT, HIT)),
    # pytracking's branches for its data sets.
    "pytracking_lasot": Rules(),
    "pytracking_otb": Rules(short="zeros"),
    "pytracking_uav": Rules(short="zeros", sizeless=(HIT, HIT)),
    # The got10k toolkit knows no absent targets.
    "got10k": Rules(short="cut", hold=False, sizeless=None, absent=False, floor=1.0, rates="numbers"),
}


class Errors(NamedTuple):
    """Frame by frame. Overlap is -1 where it is not judged; HIT and MISS stand where the rules decide. frames: what
    rates are divided by. valid: frames with a size and a target.
    """

    overlap: Float[np.ndarray, "t"]
    centre: Float[np.ndarray, "t"]
    normalised: Float[np.ndarray, "t"]
    valid: Bool[np.ndarray, "t"]
    frames: int


class State(NamedTuple):
    """Curves and the mean overlap of valid frames, one row a sequence."""

    success: Float[np.ndarray, "s 21"]
    precision: Float[np.ndarray, "s 51"]
    normalised: Float[np.ndarray, "s 51"]
    overlap: Float[np.ndarray, "s"]


def evaluate(
    gt: Float[np.ndarray, "t 4"],
    pred: Float[np.ndarray, "u 4"],
    absent: Bool[np.ndarray, "t"] | None = None,
    rules: Rules = RULES["lasot"],
) -> State:
    """One sequence. absent: frames in which the target is flagged as not there."""
    errors = frame_errors(gt, pred, absent, rules)
    rate = lambda hit: hit.sum(axis=0)[None] / max(errors.frames, 1)
    overlap = errors.overlap[errors.valid]
    return State(
        rate(errors.overlap[:, None] > np.array(rules.overlaps)),
        rate(errors.centre[:, None] <= PIXELS),
        rate(errors.normalised[:, None] <= SHARES),
        np.array([overlap.mean() if len(overlap) else np.nan]),
    )


merge = base.concatenate


def curves(state: State) -> Mapping[str, Float[np.ndarray, "thresholds"]]:
    """Means over sequences."""
    names = ("success", "precision", "norm_precision")
    return dict(zip(names, (curve.mean(axis=0) for curve in state[:3])))


def compute(state: State) -> Mapping[str, float]:
    """Means over sequences; average_overlap over those with a valid frame."""
    mean, overlap = curves(state), state.overlap[~np.isnan(state.overlap)]
    return {
        "success": float(mean["success"].mean()),
        "precision": float(mean["precision"][20]),
        "norm_precision": float(mean["norm_precision"][20]),
        "norm_precision_auc": float(mean["norm_precision"].mean()),
        "average_overlap": float(overlap.mean()) if len(overlap) else float("nan"),
    }


def frame_errors(
    gt: Float[np.ndarray, "t 4"],
    pred: Float[np.ndarray, "u 4"],
    absent: Bool[np.ndarray, "t"] | None = None,
    rules: Rules = RULES["lasot"],
) -> Errors:
    """Overlap and distances under the rules."""
    gt, pred = _equal_length(gt, _held(pred[: len(gt)], gt) if rules.hold else pred, rules)
    pred = np.concatenate([gt[:1], pred[1:]])
    gone = absent[: len(gt)].astype(bool) if absent is not None and rules.absent else np.zeros(len(gt), bool)
    size = (gt[:, 2:] > 0).all(axis=1) & ((gt[:, :2] > 0).all(axis=1) | (not rules.corner))
    valid, centre_rule, normalised_rule = size & ~gone, *(rules.sizeless or (MISS, MISS))
    judged = size if rules.sizeless else np.ones(len(gt), bool)
    offset = pred[:, :2] + (pred[:, 2:] - 1) / 2 - gt[:, :2] - (gt[:, 2:] - 1) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        unit = np.maximum(gt[:, 2:], rules.floor)
        # Divided first, for the official evaluators do, and a distance rounded up to a threshold misses it.
        shares = (pred[:, :2] + (pred[:, 2:] - 1) / 2) / unit - (gt[:, :2] + (gt[:, 2:] - 1) / 2) / unit
    distance = lambda vector, rule: np.where(gone, MISS, np.where(judged, np.sqrt((vector**2).sum(axis=1)), rule))
    counts = {"all": len(gt), "valid": valid.sum(), "numbers": (~np.isnan(gt).any(axis=1)).sum()}
    return Errors(
        np.where(judged & ~gone, overlap(gt, pred), -1.0),
        distance(offset, centre_rule),
        distance(shares, normalised_rule),
        valid,
        int(counts[rules.rates]),
    )


def _equal_length(gt, pred, rules):
    """Boxes beyond the last frame are cut off; missing ones are dealt with as the rules say."""
    missing = len(gt) - len(pred)
    if missing > 0 and rules.short == "error":
        raise UserError(f"{len(pred)} boxes for {len(gt)} frames; a box a frame is needed")
    if missing > 0 and rules.short == "zeros":
        return gt, np.concatenate([pred, np.zeros((missing, 4))])
    length = min(len(gt), len(pred))
    return gt[:length], pred[:length]


def _held(pred, gt):
    """Results without a size repeat the last that had one; frames whose truth is NaN are left as they are."""
    good = np.isfinite(pred).all(axis=1) & (pred[:, 2:] > 0).all(axis=1)
    good |= np.isnan(gt[: len(pred)]).any(axis=1)
    return pred[np.maximum.accumulate(np.where(good, np.arange(len(pred)), 0))]


def overlap(a: Float[np.ndarray, "t 4"], b: Float[np.ndarray, "t 4"], extra: float = 0.0) -> Float[np.ndarray, "t"]:
    """IoU of x, y, w, h row by row, 0 where both are empty; extra: added to the union."""
    low, high = np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:])
    inner = np.prod(np.maximum(high - low, 0), axis=1)
    # Areas are w * h, not differences of rounded corners: thresholds are strict.
    union = np.prod(a[:, 2:], axis=1) + np.prod(b[:, 2:], axis=1) - inner + extra
    return np.clip(np.divide(inner, union, out=np.zeros(len(a)), where=union > 0), 0, 1)
