"""The CLEAR metrics (Bernardin and Stiefelhagen, 2008) as TrackEval counts them: MOTA, MOTP and what goes with them.

In every frame ground truth and predictions are assigned one to one among the pairs at least 0.5 alike: as many pairs as
possible go on from the previous frame, and the similarity is the largest among those. A switch (IDSW) is a match with
another identity than the target's last, however long ago that was.

    MOTA = (TP - FP - IDSW) / GT      MOTP = mean similarity of TP      sMOTA = (sum of similarity - FP - IDSW) / GT

MT, PT and ML count targets matched in more than 80 %, at least 20 %, and less of their frames; Frag counts the times a
target was lost and found again, for whatever reason: one that leaves the ground truth for a while counts too. "The
previous frame" is the last one with detections on both sides.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from difftrack_jax.metrics import base
from difftrack_jax.metrics.frames import EPS, Frame, number

NOBODY = -1
# Outweighs any similarity, so that going on comes first.
_GO_ON = 1000


class State(NamedTuple):
    """Counts, and the summed similarity of true positives."""

    tp: int
    fn: int
    fp: int
    switches: int
    mostly_tracked: int
    partly_tracked: int
    mostly_lost: int
    fragments: int
    frames: int
    similarity: float


def evaluate(frames: Sequence[Frame], threshold: float = 0.5) -> State:
    """One sequence. A side without any detection leaves `frames` at 0, as in the official evaluator."""
    tracks = number(frames)
    gt_total, pred_total = int(tracks.gt_count.sum()), int(tracks.pred_count.sum())
    if tracks.empty:
        return State(0, gt_total, pred_total, 0, 0, 0, len(tracks.gt_count), 0, 0, 0.0)
    last = np.full(len(tracks.gt_count), NOBODY)
    previous = last.copy()
    matched, found = np.zeros_like(last), np.zeros_like(last)
    tp, switches, summed = 0, 0, 0.0
    for gt, pred, similarity in tracks.frames:
        if not len(gt) or not len(pred):
            continue
        score = _GO_ON * (pred[None] == previous[gt][:, None]) + similarity
        score[similarity < threshold - EPS] = 0
        rows, columns = linear_sum_assignment(-score)
        kept = score[rows, columns] > EPS
        rows, columns = rows[kept], columns[kept]
        who, whom = gt[rows], pred[columns]
        switches += int(((last[who] != NOBODY) & (last[who] != whom)).sum())
        matched[who] += 1
        found[who] += previous[who] == NOBODY
        previous[:] = NOBODY
        previous[who] = last[who] = whom
        tp += len(who)
        summed += float(similarity[rows, columns].sum())
    share = matched / tracks.gt_count
    mostly, partly = int((share > 0.8).sum()), int((share >= 0.2).sum())
    return State(
        tp=tp,
        fn=gt_total - tp,
        fp=pred_total - tp,
        switches=switches,
        mostly_tracked=mostly,
        partly_tracked=partly - mostly,
        mostly_lost=len(share) - partly,
        fragments=int(np.maximum(found - 1, 0).sum()),
        frames=len(frames),
        similarity=summed,
    )


merge = base.add


def compute(state: State) -> Mapping[str, float]:
    """TrackEval's names. MOTAL counts only the logarithm of the switches."""
    tp, fn, fp, switches = state.tp, state.fn, state.fp, state.switches
    targets, total = state.mostly_tracked + state.partly_tracked + state.mostly_lost, tp + fn
    return {
        # Without ground truth there is nothing to divide by, and the official evaluator says 0, not minus the FP.
        "MOTA": base.ratio(tp - fp - switches, total) if total else 0.0,
        "MOTP": base.ratio(state.similarity, tp),
        "MODA": base.ratio(tp - fp, total) if total else 0.0,
        "CLR_Re": base.ratio(tp, total),
        "CLR_Pr": base.ratio(tp, tp + fp),
        "MTR": base.ratio(state.mostly_tracked, targets),
        "PTR": base.ratio(state.partly_tracked, targets),
        "MLR": base.ratio(state.mostly_lost, targets) if total else 1.0,
        "sMOTA": base.ratio(state.similarity - fp - switches, total) if total else 0.0,
        "CLR_F1": base.ratio(tp, tp + 0.5 * fn + 0.5 * fp),
        "FP_per_frame": base.ratio(fp, state.frames) if state.frames else 0.0,
        "MOTAL": base.ratio(tp - fp - (math.log10(switches) if switches else 0), total) if total else 0.0,
        "MOTP_sum": state.similarity,
        "CLR_TP": tp,
        "CLR_FN": fn,
        "CLR_FP": fp,
        "IDSW": switches,
        "MT": state.mostly_tracked,
        "PT": state.partly_tracked,
        "ML": state.mostly_lost,
        "Frag": state.fragments,
        "CLR_Frames": state.frames,
    }
