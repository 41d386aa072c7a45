"""KITTI tracking's preprocessing, for cars or for pedestrians.

Vans are no mistakes for cars, nor people sitting for pedestrians; nor is what is largely occluded (level above 2) or
truncated (level above 0). Predictions assigned to such ground truth are forgiven; so are unmatched ones at most 25
pixels high, or more than half inside a region that nobody labelled (DontCare). Then only visible ground truth of the
class stays.
"""

import numpy as np
from jaxtyping import Float, Int

from difftrack_jax.metrics.frames import EPS, Frame, match

DISTRACTORS = {"car": "van", "pedestrian": "person"}
MAX_OCCLUSION, MAX_TRUNCATION, MIN_HEIGHT = 2, 0, 25


def preprocess(
    frame: Frame,
    scored: np.ndarray,
    occluded: Int[np.ndarray, "g"],
    truncated: Int[np.ndarray, "g"],
    boxes: Float[np.ndarray, "p 4"],
    regions: Float[np.ndarray, "r 4"],
) -> Frame:
    """The frame that is scored.

    frame: ground truth of the class and its distractor, predictions of the class. scored: [g] bool, ground truth of the
    class itself. occluded, truncated: its levels. boxes: of the predictions, x0, y0, x1, y1. regions: DontCare boxes.
    """
    counts = scored & (occluded <= MAX_OCCLUSION) & (truncated <= MAX_TRUNCATION)
    rows, columns = match(frame.similarity)
    unmatched = np.ones(len(frame.pred), bool)
    unmatched[columns] = False
    low = boxes[:, 3] - boxes[:, 1] <= MIN_HEIGHT + EPS
    hidden = (_inside(boxes, regions) > 0.5 + EPS).any(axis=1)
    stay = ~(unmatched & (low | hidden))
    stay[columns[~counts[rows]]] = False
    return Frame(frame.gt[counts], frame.pred[stay], frame.similarity[counts][:, stay])


def _inside(boxes: Float[np.ndarray, "p 4"], regions: Float[np.ndarray, "r 4"]) -> Float[np.ndarray, "p r"]:
    """The share of each box that lies in each region."""
    low = np.maximum(boxes[:, None, :2], regions[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], regions[None, :, 2:])
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1, keepdims=True)
    overlap = np.prod(np.maximum(high - low, 0), axis=-1)
    return np.divide(overlap, area, out=np.zeros_like(overlap), where=area > EPS)
