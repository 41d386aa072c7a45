"""GOT-10k: average overlap (AO) and success rates (SR) over all frames together.

The first frame is given, and not scored; neither are frames in which nothing of the target is visible (cover 0).
Boxes are clipped to the image. Frames of all sequences, and of all runs of a tracker that is not deterministic, are
pooled, so long sequences weigh more. The server's test set has a ranking by class besides, which needs annotations
that are not public.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from difftrack_jax.errors import UserError
from difftrack_jax.metrics import base, sot

THRESHOLDS = np.linspace(0, 1, 101)


class State(NamedTuple):
    """Sums over frames. above: frames with IoU > t, for t = 0, 0.01, ..., 1."""

    frames: int
    overlap: float
    above: np.ndarray
    above_75: int


def evaluate(
    gt: Float[np.ndarray, "t 4"],
    runs: Sequence[Float[np.ndarray, "_ 4"]],
    cover: Float[np.ndarray, "t"] | None = None,
    size: tuple[int, int] | None = None,
) -> State:
    """One sequence. Boxes are x, y, w, h. runs: results of each repetition.

    cover: of the target, 0 to 8 eighths, all of it where not known. size: width and height of the image, to clip
    boxes to.
    """
    overlaps = np.concatenate([frame_overlaps(gt, run, cover, size) for run in runs])
    above = (overlaps[:, None] > THRESHOLDS).sum(axis=0)
    return State(len(overlaps), float(overlaps.sum()), above, int((overlaps > 0.75).sum()))


def frame_overlaps(
    gt: Float[np.ndarray, "t 4"],
    pred: Float[np.ndarray, "_ 4"],
    cover: Float[np.ndarray, "t"] | None = None,
    size: tuple[int, int] | None = None,
) -> Float[np.ndarray, "u"]:
    """IoU of the frames that are scored."""
    if len(pred) != len(gt):
        raise UserError(f"{len(pred)} boxes for {len(gt)} frames; a box a frame is needed")
    scored = np.arange(len(gt)) > 0 if cover is None else (np.arange(len(gt)) > 0) & (cover > 0)
    gt, pred = (boxes if size is None else _clip(boxes, size) for boxes in (gt[scored], pred[scored]))
    # The toolkit adds a little to the union, which keeps an overlap of exactly 1 just below it.
    return sot.overlap(gt, pred, np.finfo(np.float64).eps)


merge = base.add


def compute(state: State) -> Mapping[str, float]:
    """AO, SR_0.50 and SR_0.75."""
    total = state.frames
    mean = lambda value: float(value / total) if total else float("nan")
    return {"AO": mean(state.overlap), "SR_0.50": mean(state.above[50]), "SR_0.75": mean(state.above_75)}


def curves(state: State) -> Mapping[str, Float[np.ndarray, "101"]]:
    """Share of frames above each of 101 overlaps."""
    return {"success": state.above / max(state.frames, 1)}


def _clip(boxes, size):
    corner = np.clip(boxes[:, :2], 0, size)
    return np.concatenate([corner, np.clip(boxes[:, 2:], 0, size - corner)], axis=1)
