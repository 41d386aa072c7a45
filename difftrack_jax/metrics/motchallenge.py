"""MOTChallenge's preprocessing: what is neither right nor wrong to track is taken out before anything is counted.

Predictions are assigned to ground truth boxes of every class, and those that fall on a distractor (a person on a
vehicle, somebody standing still behind glass, a mannequin, a reflection) are forgiven. Then only pedestrians whose
flag is not 0 stay in the ground truth. Visibility plays no part. MOT15 has no classes: only the flag counts there.
"""

import numpy as np
from jaxtyping import Float, Int

from difftrack_jax.metrics.frames import Frame, match

PEDESTRIAN = 1
# person on vehicle, static person, distractor, reflection; MOT20 adds non-motorised vehicles.
DISTRACTORS = {"MOT16": (2, 7, 8, 12), "MOT17": (2, 7, 8, 12), "MOT20": (2, 7, 8, 12, 6)}


def preprocess(
    frame: Frame,
    classes: Int[np.ndarray, "g"],
    flags: Float[np.ndarray, "g"],
    distractors: tuple[int, ...] | None = DISTRACTORS["MOT17"],
) -> Frame:
    """The frame that is scored. classes, flags: of all ground truth boxes. distractors: None where classes do not
    count.
    """
    if distractors is None:
        kept = flags != 0
        return Frame(frame.gt[kept], frame.pred, frame.similarity[kept])
    rows, columns = match(frame.similarity)
    forgiven = columns[np.isin(classes[rows], distractors)]
    stay = np.ones(len(frame.pred), bool)
    stay[forgiven] = False
    kept = (flags != 0) & (classes == PEDESTRIAN)
    return Frame(frame.gt[kept], frame.pred[stay], frame.similarity[kept][:, stay])
