"""Multi-object tracking and segmentation: masks as COCO run lengths, for MOTS20 and KITTI MOTS.

The metrics are those of boxes with the IoU of masks; what the MOTS paper (Voigtlaender et al., CVPR 2019) calls
MOTSA, sMOTSA and MOTSP are MOTA, sMOTA and MOTP here. Since masks of a frame never overlap, at most one pair can be
more than half alike. Unmatched predictions that lie more than half in the region to ignore are forgiven.

`evaluate`, `merge` and `compute` here are what the authors' own script (mots_tools) prints besides: MODSP, FAR and its
count of fragments, which, unlike CLEAR's, looks only at frames that contain the target.
"""

import collections
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from pycocotools import mask as coco

from difftrack_jax.metrics import base
from difftrack_jax.metrics.frames import EPS, Frame, match

Rle = dict[str, Any]


def mask_iou(gt: Sequence[Rle], pred: Sequence[Rle]) -> Float[np.ndarray, "g p"]:
    """Intersection over union of every pair; 0 where both are empty."""
    return _pairwise(gt, pred, False)


def preprocess(frame: Frame, masks: Sequence[Rle], region: Rle | None) -> Frame:
    """The frame that is scored. masks: of the predictions. region: to ignore, None where there is none."""
    if region is None or not len(frame.pred):
        return frame
    unmatched = np.ones(len(frame.pred), bool)
    unmatched[match(frame.similarity)[1]] = False
    hidden = _pairwise(masks, [region], True)[:, 0] > 0.5 + EPS
    stay = ~(unmatched & hidden)
    return Frame(frame.gt, frame.pred[stay], frame.similarity[:, stay])


def _pairwise(first, second, over_first):
    """IoU, or the share of each first mask that lies in each second one."""
    if not len(first) or not len(second):
        return np.zeros((len(first), len(second)))
    return np.asarray(coco.iou(list(first), list(second), [over_first] * len(second)), np.float64)


class State(NamedTuple):
    """precision: the summed mean IoU of matches in each frame, 1 where there is none. frames: one more than there
    are.
    """

    fragments: int
    false: int
    precision: float
    frames: int


def evaluate(frames: Sequence[Frame]) -> State:
    """One sequence, after preprocessing."""
    trajectories, precision, matches = collections.defaultdict(list), 0.0, 0
    for gt, pred, similarity in frames:
        rows, columns = np.nonzero(similarity > 0.5)
        found = dict(zip(gt[rows].tolist(), pred[columns].tolist()))
        for target in gt.tolist():
            trajectories[target].append(found.get(target))
        precision += float(similarity[rows, columns].mean()) if len(rows) else 1.0
        matches += len(rows)
    # The script counts frames from 0 to N in sequences numbered 1 to N, so there is always an empty one.
    return State(
        fragments=sum(map(_fragments, trajectories.values())),
        false=sum(len(frame.pred) for frame in frames) - matches,
        precision=precision + 1,
        frames=len(frames) + 1,
    )


merge = base.add


def compute(state: State) -> Mapping[str, float]:
    """mots_tools' names."""
    return {
        "MODSP": state.precision / state.frames,
        "FAR": state.false / state.frames,
        "fragments": state.fragments,
    }


def _fragments(trajectory: Sequence[int | None]) -> int:
    """Times the identity changes for at least two frames (from lost, if it was found before), or in the last frame."""
    last, count = trajectory[0], 0
    for before, now, after in itertools.zip_longest(trajectory, trajectory[1:], trajectory[2:], fillvalue=-1):
        if now is None or now == -1:
            continue
        final = after == -1
        count += before != now and (final or (last is not None and after is not None))
        last = now
    return count
