"""TAP-Vid: point tracks over a whole clip, and results as one npz a clip.

    points     [n, t, 2]    x, y as shares of the width and height of the frame
    occluded   [n, t]       true where the point cannot be seen
    results    NAME.npz with `points` and `occluded` in the order of the queries that `metrics.tapvid` samples, and
               the `queries` [n, 3] themselves: t, y, x, the frame and the point in it as shares

After google-deepmind/tapnet, tapvid/evaluation_datasets.py.
"""

import os
from typing import NamedTuple

import numpy as np

from difftrack_jax.data.records import Rows, make_rows
from difftrack_jax.errors import UserError
from difftrack_jax.typing import Bool, Float


class Tracks(NamedTuple):
    """Points of a clip, or what a tracker found for its queries."""

    points: Float[np.ndarray, "n t 2"]
    occluded: Bool[np.ndarray, "n t"]


def to_rows(tracks: Tracks, size: tuple[int, int]) -> Rows:
    """A row for each track and frame, ids from 0; the point in pixels of (width, height) is the one keypoint."""
    n, t = tracks.occluded.shape
    ids, frame = np.repeat(np.arange(n), t), np.tile(np.arange(t), n)
    pixels = tracks.points.reshape(-1, 2) * np.asarray(size, np.float64)
    visible = ~tracks.occluded.reshape(-1)
    points = np.concatenate([pixels, visible[:, None]], axis=1)[:, None]
    return make_rows(frame, id=ids, visible=visible, keypoints=points)


def from_rows(rows: Rows, size: tuple[int, int], frames: int) -> Tracks:
    """The tracks again, by ascending id; a frame without a row is occluded, at the clip's corner."""
    ids, track = np.unique(rows.id, return_inverse=True)
    points, occluded = np.zeros((len(ids), frames, 2), np.float32), np.ones((len(ids), frames), bool)
    points[track, rows.frame] = rows.keypoints[:, 0, :2] / np.asarray(size, np.float64)
    occluded[track, rows.frame] = ~rows.visible
    return Tracks(points, occluded)


def write(path: str | os.PathLike, tracks: Tracks, queries: Float[np.ndarray, "n 3"]) -> None:
    """One clip's results, in the order of its queries."""
    with open(path, "wb") as file:
        np.savez_compressed(
            file, points=tracks.points.astype(np.float32), occluded=tracks.occluded, queries=queries.astype(np.float32)
        )


def read(path: str | os.PathLike) -> Tracks:
    """Results of one clip."""
    try:
        with np.load(path, allow_pickle=False) as file:
            points, occluded = file["points"], file["occluded"]
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: is not an npz with 'points' and 'occluded' ({error})") from error
    if points.ndim != 3 or points.shape[2] != 2 or points.shape[:2] != occluded.shape:
        raise UserError(f"{path}: points {points.shape} and occluded {occluded.shape} must be [n, t, 2] and [n, t]")
    return Tracks(points.astype(np.float32), occluded.astype(bool))


def from_pickle(entry: object, where: str) -> tuple[object, Tracks]:
    """The video (array [t, h, w, 3], or a list of JPEG bytes) and tracks of one entry of a TAP-Vid pickle."""
    if not isinstance(entry, dict) or not {"video", "points", "occluded"} <= entry.keys():
        raise UserError(f"{where}: must be a dict with 'video', 'points' and 'occluded'")
    points, occluded = np.asarray(entry["points"], np.float32), np.asarray(entry["occluded"], bool)
    if points.shape != (*occluded.shape, 2) or len(entry["video"]) != occluded.shape[1]:
        shapes = f"video of {len(entry['video'])} frames, points {points.shape}, occluded {occluded.shape}"
        raise UserError(f"{where}: {shapes} do not belong together")
    return entry["video"], Tracks(points, occluded)
