"""TAP-Vid (Doersch et al., NeurIPS 2022): points tracked through a video, each from a query in one frame.

    OA     occlusion accuracy: share of frames whose visibility is told rightly
    delta  share of the points visible in truth that are within 1, 2, 4, 8, 16 pixels, visible or not in prediction;
           the mean of 5
    AJ     Jaccard = TP / (visible in truth + FP) for each of those distances; the mean of 5. A TP is visible on both
           sides and within; an FP is predicted visible, but hidden or too far

The distance must be smaller, not equal. Pixels are those of a 256x256 raster: normalised coordinates times 256,
whatever the resolution predicted at. The query frame is never scored; with `first` queries nothing before it either,
with `strided` ones all other frames are. Numbers are computed per video and averaged over videos.

Difference from the reference (tapnet): a video with nothing visible to score has no delta and no AJ; there it makes the
data set's mean NaN, here it is left out of the mean and counted as `undefined`.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from difftrack_jax.metrics import base

THRESHOLDS = (1, 2, 4, 8, 16)
MODES = ("first", "strided")
RASTER = 256
STRIDE = 5


class State(NamedTuple):
    """Fractions, one row a video (or a track); NaN where nothing could be scored. d: distances."""

    occlusion_accuracy: Float[np.ndarray, "v"]
    within: Float[np.ndarray, "v d"]
    jaccard: Float[np.ndarray, "v d"]


def evaluate(
    query_points: Float[np.ndarray, "n 3"],
    gt_occluded: Bool[np.ndarray, "n t"],
    gt_tracks: Float[np.ndarray, "n t 2"],
    pred_occluded: Bool[np.ndarray, "n t"],
    pred_tracks: Float[np.ndarray, "n t 2"],
    query_mode: str,
    valid: Bool[np.ndarray, "n t"] | None = None,
    per_track: bool = False,
) -> State:
    """One video.

    query_points: t, y, x; t is rounded to a frame. gt_tracks, pred_tracks: x, y in pixels of the raster. query_mode:
    "first" or "strided". valid: False for padding. per_track: one row a query, not one for the video.
    """
    if query_mode not in MODES:
        raise ValueError(f"query_mode must be one of {', '.join(MODES)}, not {query_mode!r}")
    n, t = gt_occluded.shape
    query = np.round(query_points[:, :1]).astype(np.int64)
    scored = np.arange(t)[None] > query if query_mode == "first" else np.arange(t)[None] != query
    scored = scored if valid is None else scored & valid
    near = np.square(pred_tracks - gt_tracks).sum(axis=-1)[..., None] < np.square(THRESHOLDS)
    visible, shown = ~gt_occluded & scored, ~pred_occluded & scored
    axis = (1,) if per_track else (0, 1)
    total = visible.sum(axis=axis)[..., None]
    right = (near & visible[..., None]).sum(axis=axis)
    positive = (near & (visible & shown)[..., None]).sum(axis=axis)
    false = shown.sum(axis=axis)[..., None] - positive
    with np.errstate(invalid="ignore", divide="ignore"):
        accuracy = ((pred_occluded == gt_occluded) & scored).sum(axis=axis) / scored.sum(axis=axis)
        within, jaccard = right / total, positive / (total + false)
    rows = n if per_track else 1
    shape = (rows, len(THRESHOLDS))
    return State(np.reshape(accuracy, rows), within.reshape(shape), jaccard.reshape(shape))


merge = base.concatenate


def columns(state: State) -> Mapping[str, Float[np.ndarray, "v"]]:
    """Every number of every row, by tapnet's names."""
    names = [(f"pts_within_{d}", f"jaccard_{d}") for d in THRESHOLDS]
    per_distance = {
        name: values
        for (within, jaccard), w, j in zip(names, state.within.T, state.jaccard.T)
        for name, values in ((within, w), (jaccard, j))
    }
    return {
        "average_jaccard": state.jaccard.mean(axis=1),
        "average_pts_within_thresh": state.within.mean(axis=1),
        "occlusion_accuracy": state.occlusion_accuracy,
        **per_distance,
    }


def compute(state: State) -> Mapping[str, float]:
    """tapnet's names: means over the videos in which they are defined. videos: all; undefined: those without AJ."""
    means = {name: _mean(values) for name, values in columns(state).items()}
    undefined = int(np.isnan(state.jaccard).any(axis=1).sum())
    return {**means, "videos": len(state.jaccard), "undefined": undefined}


def _mean(values):
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


class Queries(NamedTuple):
    """points: t, y, x, scaled as the tracks are. track: the row of the annotation that each query comes from."""

    points: Float[np.ndarray, "q 3"]
    track: Int[np.ndarray, "q"]


def sample_first(tracks: Float[np.ndarray, "n t 2"], occluded: Bool[np.ndarray, "n t"]) -> Queries:
    """Each track's first visible point; tracks that are never visible have none."""
    track = np.flatnonzero(~occluded.all(axis=1))
    return _at(tracks, track, np.argmin(occluded[track], axis=1))


def sample_strided(
    tracks: Float[np.ndarray, "n t 2"], occluded: Bool[np.ndarray, "n t"], stride: int = STRIDE
) -> Queries:
    """Every point visible in frames 0, stride, 2 stride, ..., frame by frame."""
    step, track = np.nonzero(~occluded[:, ::stride].T)
    return _at(tracks, track, step * stride)


def _at(tracks, track, frame):
    place = tracks[track, frame]
    return Queries(np.stack([frame, place[:, 1], place[:, 0]], axis=1).astype(np.float64), track)
