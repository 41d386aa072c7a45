"""What metrics of several targets see of one frame: identities on both sides, and how alike each pair is."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment

from difftrack_jax.errors import UserError

# Similarities are compared as the official evaluators do: equal to a threshold, up to rounding, is enough.
EPS = np.finfo(np.float64).eps


class Frame(NamedTuple):
    """gt and pred: identities, each at most once a frame; any integers. similarity: in [0, 1], IoU for boxes and
    masks.
    """

    gt: Int[np.ndarray, "g"]
    pred: Int[np.ndarray, "p"]
    similarity: Float[np.ndarray, "g p"]


class Numbered(NamedTuple):
    """Frames whose identities are 0 to gt - 1 and 0 to pred - 1, and how often each identity appears."""

    frames: tuple[Frame, ...]
    gt_count: Int[np.ndarray, "gt"]
    pred_count: Int[np.ndarray, "pred"]

    @property
    def empty(self) -> bool:
        """One side has no detection at all; official evaluators then stop at once."""
        return not len(self.gt_count) or not len(self.pred_count)


def number(frames: Sequence[Frame]) -> Numbered:
    """Frames with their identities numbered from 0."""
    gt, gt_count = _number([frame.gt for frame in frames], "ground truth")
    pred, pred_count = _number([frame.pred for frame in frames], "predicted")
    numbered = tuple(Frame(g, p, frame.similarity) for g, p, frame in zip(gt, pred, frames))
    return Numbered(numbered, gt_count, pred_count)


def _number(identities, side):
    if not identities:
        return [], np.zeros(0, np.int64)
    lengths = [len(present) for present in identities]
    _, numbers, counts = np.unique(np.concatenate(identities), return_inverse=True, return_counts=True)
    time = np.repeat(np.arange(len(lengths)), lengths)
    places = np.sort(time * len(counts) + numbers)
    twice = places[1:][np.diff(places) == 0]
    if len(twice):
        frame = twice[0] // len(counts)
        raise UserError(f"frame {frame} (from 0): a {side} identity appears twice, once is right")
    return np.split(numbers, np.cumsum(lengths)[:-1]), counts


def match(similarity: Float[np.ndarray, "g p"], threshold: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """The pairs (rows, columns) of the best one-to-one assignment, among those at least `threshold` alike."""
    score = np.where(similarity < threshold - EPS, 0.0, similarity)
    rows, columns = linear_sum_assignment(-score)
    kept = score[rows, columns] > EPS
    return rows[kept], columns[kept]
