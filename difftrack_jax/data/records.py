"""What every benchmark comes down to: a `Clip` of lazily decoded frames, and `Rows` that say where targets are in it.

One row is one target in one frame. Ground truth, public detections and predictions are all rows, so each official
format needs one reader and one writer, and adding a benchmark means turning its files into rows. Conventions inside:
frames count from 0; boxes are x0, y0, x1, y1 in pixels, where pixel i covers [i, i + 1); coordinates are float64, so
that official evaluators print the same digits before and after.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from difftrack_jax.data.frames import Frames
from difftrack_jax.typing import Bool, Float, Int

WHOLE_CLIP = 0  # the caption id that means the clip, not one of its targets


class Rows(NamedTuple):
    """Targets by frame, as columns of equal length r; what a format does not know is NaN, -1 or "".

    id and category: the official numbers. score: a detection's confidence, or the official flag of a ground truth.
    visible: the target can be seen. ignore: evaluation leaves this row out (crowds, distractors, ignore regions).
    segment: COCO's compressed run lengths over the whole frame. keypoints: x, y, visible, for j joints, for the one
    point of point tracks, or for the corners of a polygon. extra: what only this benchmark knows (`Clip.extra`
    names the columns).
    """

    frame: Int[np.ndarray, "r"]
    id: Int[np.ndarray, "r"]
    category: Int[np.ndarray, "r"]
    box: Float[np.ndarray, "r 4"]
    score: Float[np.ndarray, "r"]
    visible: Bool[np.ndarray, "r"]
    ignore: Bool[np.ndarray, "r"]
    segment: np.ndarray
    keypoints: Float[np.ndarray, "r j 3"]
    extra: Float[np.ndarray, "r e"]

    @property
    def count(self) -> int:
        """Rows (a NamedTuple's own length is its number of columns)."""
        return len(self.frame)

    def take(self, index: np.ndarray | slice) -> "Rows":
        """Some of the rows, by boolean mask or indices."""
        return Rows(*(column[index] for column in self))

    def in_frame(self, frame: int | np.integer) -> "Rows":
        return self.take(self.frame == frame)

    def ordered(self) -> "Rows":
        """By frame, then by id."""
        return self.take(np.lexsort((self.id, self.frame)))


class Clip(NamedTuple):
    """One sequence of a benchmark.

    frame_ids: what the official files call each frame (MOT counts from 1, KITTI from 0, PoseTrack has image ids).
    labelled: frames whose ground truth is complete. captions: (target id, sentence); id 0 speaks of the whole clip.
    extra: names of the columns of `rows.extra`. detections: public detections, where the benchmark hands them out.
    """

    name: str
    frames: Frames
    width: int
    height: int
    fps: float
    frame_ids: Int[np.ndarray, "t"]
    labelled: Bool[np.ndarray, "t"]
    rows: Rows
    detections: Rows
    captions: tuple[tuple[int, str], ...] = ()
    extra: tuple[str, ...] = ()


class Clips(Sequence):
    """Clips by index, each read when it is asked for."""

    def __init__(self, length: int, read: Callable[[int], Clip]):
        self._length, self._read = length, read

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Clip:
        return self._read(index)


def make_rows(frame: Any, **columns: Any) -> Rows:
    """Rows from the columns that are known; the others say that nothing is."""
    frame = np.asarray(frame, np.int32).reshape(-1)
    n = len(frame)
    defaults = {
        "id": np.full(n, -1),
        "category": np.full(n, -1),
        "box": np.full((n, 4), np.nan),
        "score": np.ones(n),
        "visible": np.ones(n, bool),
        "ignore": np.zeros(n, bool),
        "segment": [""] * n,
        "keypoints": np.zeros((n, 0, 3)),
        "extra": np.zeros((n, 0)),
    }
    if unknown := columns.keys() - defaults.keys():
        raise TypeError(f"rows have no column {', '.join(sorted(unknown))}")
    full = {name: columns.get(name, default) for name, default in defaults.items()}
    kinds = {"id": np.int64, "category": np.int32, "visible": bool, "ignore": bool, "segment": object}
    typed = {name: np.asarray(value, kinds.get(name, np.float64)) for name, value in full.items()}
    for name, shape in (("box", (n, 4)), ("segment", (n,))):
        typed[name] = typed[name].reshape(shape)  # empty lists have lost their trailing axes
    if any(len(column) != n for column in typed.values()):
        raise ValueError(f"columns of lengths { {name: len(column) for name, column in typed.items()} } for {n} rows")
    return Rows(frame, **typed)


def no_rows() -> Rows:
    return make_rows([])


def concatenate(parts: Iterable[Rows]) -> Rows:
    """Rows one after the other. Parts without rows may lack joints or extra columns."""
    parts = list(parts)
    full = [part for part in parts if part.count] or parts[:1]
    return Rows(*(np.concatenate(columns) for columns in zip(*full))) if full else no_rows()


def make_clip(name: str, frames: Frames, rows: Rows | None = None, **fields: Any) -> Clip:
    """A clip whose size comes from its first frame, every frame labelled and numbered from 0, unless told otherwise."""
    if "width" not in fields:
        fields["width"], fields["height"] = frames.size
    t = len(frames)
    fields["frame_ids"] = np.asarray(fields.get("frame_ids", np.arange(t)), np.int64)
    fields["labelled"] = np.asarray(fields.get("labelled", np.ones(t, bool)), bool)
    defaults: Mapping[str, Any] = {"fps": 25.0, "detections": no_rows()}
    return Clip(name, frames, rows=no_rows() if rows is None else rows, **{**defaults, **fields})
