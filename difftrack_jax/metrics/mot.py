"""All that a multi-object benchmark reports: HOTA, CLEAR, identity and plain counts, from the same frames."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from difftrack_jax.metrics import base, clear, hota, identity
from difftrack_jax.metrics.frames import Frame, number

LABELS = hota.LABELS


class Counts(NamedTuple):
    """Detections and identities of predictions and ground truth."""

    pred: int
    gt: int
    pred_ids: int
    gt_ids: int


class State(NamedTuple):
    """One state of each metric."""

    hota: hota.State
    clear: clear.State
    identity: identity.State
    counts: Counts


def evaluate(frames: Sequence[Frame], threshold: float = 0.5) -> State:
    """One sequence, every frame of it, those without anything too. threshold: of CLEAR and identity."""
    tracks = number(frames)
    return State(
        hota=hota.evaluate(frames),
        clear=clear.evaluate(frames, threshold),
        identity=identity.evaluate(frames, threshold),
        counts=Counts(
            int(tracks.pred_count.sum()), int(tracks.gt_count.sum()), len(tracks.pred_count), len(tracks.gt_count)
        ),
    )


def merge(states: Sequence[State]) -> State:
    """Sums."""
    return State(*(base.add(parts) for parts in zip(*states)))


def compute(state: State) -> Mapping[str, float]:
    """TrackEval's names."""
    counts = dict(zip(("Dets", "GT_Dets", "IDs", "GT_IDs"), state.counts))
    return {
        **hota.compute(state.hota),
        **clear.compute(state.clear),
        **identity.compute(state.identity),
        **counts,
    }


def curves(state: State) -> Mapping[str, Float[np.ndarray, "a"]]:
    """HOTA's for each alpha."""
    return hota.curves(state.hota)
