"""HOTA: higher order tracking accuracy (Luiten et al., IJCV 2021), as TrackEval computes it.

One assignment a frame maximises alignment * similarity, where the alignment of two identities is the Jaccard index of
their whole tracks. For each alpha in 0.05, 0.10, ..., 0.95 the assigned pairs at least alpha alike are true positives
(TP):

    DetA = TP / (TP + FN + FP)      AssA = mean over TP of TPA / (TPA + FNA + FPA)      HOTA = sqrt(DetA * AssA)

where TPA counts the TP of the same two identities, and FNA and FPA the rest of their tracks. LocA is the mean
similarity of the TP. Over sequences everything is summed before it is divided, so AssA weighs each by its TP. The
score is the mean over alpha. Without any detection on one side LocA is 1 and the rest 0.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment

from difftrack_jax.metrics import base
from difftrack_jax.metrics.frames import EPS, Frame, Numbered, number

ALPHAS = np.arange(0.05, 0.99, 0.05)
# As TrackEval's tables name them.
LABELS = tuple(range(5, 100, 5))
_ZEROS = np.zeros(len(ALPHAS))


class State(NamedTuple):
    """Counts and sums over true positives, one for each alpha. a: 19 alphas."""

    tp: Int[np.ndarray, "a"]
    fn: Int[np.ndarray, "a"]
    fp: Int[np.ndarray, "a"]
    localisation: Float[np.ndarray, "a"]
    association: Float[np.ndarray, "a"]
    association_recall: Float[np.ndarray, "a"]
    association_precision: Float[np.ndarray, "a"]


def evaluate(frames: Sequence[Frame]) -> State:
    """One sequence."""
    tracks = number(frames)
    gt, pred, similarity = (np.zeros(0, np.int64),) * 2 + (np.zeros(0),) if tracks.empty else _assign(tracks)
    # How many alphas each pair satisfies; it then counts for that many, from the lowest on.
    level = np.searchsorted(ALPHAS - EPS, similarity, side="right")
    tp = _at_least(level, np.ones(len(level), np.int64))
    pair, index = np.unique(np.stack([gt, pred]), axis=1, return_inverse=True)
    together = np.zeros((len(pair[0]), len(ALPHAS) + 1), np.int64)
    np.add.at(together, (index.reshape(-1), level), 1)
    together = together[:, :0:-1].cumsum(axis=1)[:, ::-1]  # [pairs, a]: TPA
    gt_count, pred_count = tracks.gt_count[pair[0], None], tracks.pred_count[pair[1], None]
    over_tp = lambda share: (together * share).sum(axis=0) + _ZEROS
    return State(
        tp=tp,
        fn=tracks.gt_count.sum() - tp,
        fp=tracks.pred_count.sum() - tp,
        localisation=_at_least(level, similarity),
        association=over_tp(together / np.maximum(1, gt_count + pred_count - together)),
        association_recall=over_tp(together / np.maximum(1, gt_count)),
        association_precision=over_tp(together / np.maximum(1, pred_count)),
    )


merge = base.add


def curves(state: State) -> Mapping[str, Float[np.ndarray, "a"]]:
    """Every quantity for each alpha."""
    tp, fn, fp = state.tp, state.fn, state.fp
    det, ass = base.ratio(tp, tp + fn + fp), base.ratio(state.association, tp)
    recall = base.ratio(tp, tp + fn)
    return {
        "HOTA": np.sqrt(det * ass),
        "DetA": det,
        "AssA": ass,
        "DetRe": recall,
        "DetPr": base.ratio(tp, tp + fp),
        "AssRe": base.ratio(state.association_recall, tp),
        "AssPr": base.ratio(state.association_precision, tp),
        "LocA": np.maximum(1e-10, state.localisation) / np.maximum(1e-10, tp),
        "OWTA": np.sqrt(recall * ass),
        "HOTA_TP": tp,
        "HOTA_FN": fn,
        "HOTA_FP": fp,
    }


def compute(state: State) -> Mapping[str, float]:
    """Means over alpha, and HOTA(0), LocA(0), HOTALocA(0) at the lowest, 0.05."""
    at = curves(state)
    means = {name: float(np.mean(curve)) for name, curve in at.items() if not name.startswith("HOTA_")}
    hota, loca = float(at["HOTA"][0]), float(at["LocA"][0])
    return {**means, "HOTA(0)": hota, "LocA(0)": loca, "HOTALocA(0)": hota * loca}


def _assign(tracks: Numbered):
    """Identities and similarity of all pairs assigned in any frame."""
    overlap = np.zeros((len(tracks.gt_count), len(tracks.pred_count)))
    for gt, pred, similarity in tracks.frames:
        either = similarity.sum(axis=0, keepdims=True) + similarity.sum(axis=1, keepdims=True) - similarity
        share = np.divide(similarity, either, out=np.zeros_like(similarity), where=either > EPS)
        overlap[gt[:, None], pred[None]] += share
    alignment = overlap / (tracks.gt_count[:, None] + tracks.pred_count[None] - overlap)
    found = []
    for gt, pred, similarity in tracks.frames:
        rows, columns = linear_sum_assignment(-alignment[gt[:, None], pred[None]] * similarity)
        found.append((gt[rows], pred[columns], similarity[rows, columns]))
    return tuple(np.concatenate(parts) for parts in zip(*found))


def _at_least(level, weight):
    """The sum of weights of pairs that satisfy each alpha."""
    sums = np.zeros(len(ALPHAS) + 1, weight.dtype)
    np.add.at(sums, level, weight)
    return sums[:0:-1].cumsum()[::-1]
