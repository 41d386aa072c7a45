"""IDF1 (Ristani et al., 2016): how much of the video the right identity was followed, tracks matched as a whole.

Whole tracks are assigned one to one (or to nothing) so that the frames in which both are there and at least 0.5 alike,
IDTP, are as many as possible. The rest of the ground truth is IDFN, the rest of the predictions IDFP.

    IDF1 = IDTP / (IDTP + IDFP / 2 + IDFN / 2)
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from difftrack_jax.metrics import base
from difftrack_jax.metrics.frames import Frame, number


class State(NamedTuple):
    """Detections of rightly identified, missed and wrongly identified targets."""

    idtp: int
    idfn: int
    idfp: int


def evaluate(frames: Sequence[Frame], threshold: float = 0.5) -> State:
    """One sequence."""
    tracks = number(frames)
    together = np.zeros((len(tracks.gt_count), len(tracks.pred_count)), np.int64)
    for gt, pred, similarity in tracks.frames:
        together[gt[:, None], pred[None]] += similarity >= threshold
    # Fewest IDFN + IDFP is most IDTP, for both are totals less IDTP; leaving a track alone costs nothing then.
    rows, columns = linear_sum_assignment(together, maximize=True)
    idtp = int(together[rows, columns].sum())
    return State(idtp, int(tracks.gt_count.sum()) - idtp, int(tracks.pred_count.sum()) - idtp)


merge = base.add


def compute(state: State) -> Mapping[str, float]:
    """TrackEval's names."""
    idtp, idfn, idfp = state
    return {
        "IDF1": base.ratio(idtp, idtp + 0.5 * idfp + 0.5 * idfn),
        "IDR": base.ratio(idtp, idtp + idfn),
        "IDP": base.ratio(idtp, idtp + idfp),
        "IDTP": idtp,
        "IDFN": idfn,
        "IDFP": idfp,
    }
