"""Tracks on disk: tracks.json and MOT text, written so that a kill at any moment leaves nothing false behind; and
`to_rows`, from which `data.formats` writes what every benchmark's server takes.

While a video runs, `TrackWriter` appends one line a frame to `tracks.partial.jsonl`; a torn last line is all
that a kill can cost. `finish` assembles `tracks.json` beside it and moves it into place. Numbers are rounded
(coordinates to 1/100 pixel, scores to 1/10000), so equal runs give equal bytes. Not finite is left out.

MOT text follows MOTChallenge: frames count from 1, and so do pixels, so our x0 (0 at the left edge) becomes
left = x0 + 1, and y0 top = y0 + 1; width and height stay. Points have no box and are not written, nor is a
target that cannot be seen.
"""

import itertools
import json
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from difftrack_jax.data.formats import mot, rle
from difftrack_jax.data.records import Rows, concatenate, make_rows
from difftrack_jax.errors import UserError
from difftrack_jax.typing import Prediction
from difftrack_jax.visualize.files import atomic_write, disk_errors
from difftrack_jax.visualize.reading import read_tracks
from difftrack_jax.visualize.segments import decode_segment, encode_segment, write_masks

__all__ = [
    "KEYS",
    "TrackWriter",
    "atomic_write",
    "decode_segment",
    "encode_segment",
    "read_tracks",
    "to_rows",
    "write_masks",
    "write_mot",
]

KEYS = {
    "point": ("point",),
    "box": ("point", "box"),
    "text": ("point", "box"),
    "segment": ("point", "box", "segment"),
    "pose": ("point", "box", "pose"),
}


class TrackWriter:
    """Writes the tracks of one video, frame by frame, and survives being killed.

    writer = TrackWriter(workdir, {"path": ..., "width": ..., "height": ..., "fps": ...})
    writer.resume(n)             # only when going on after n frames
    writer.append(prediction)    # each frame
    writer.finish()              # tracks.json
    """

    def __init__(self, workdir: str | os.PathLike, video: Mapping[str, Any], targets: Sequence[Mapping] = ()):
        """targets: {"id", "kind", "start"} of those known before; others start where they first appear."""
        self.path = pathlib.Path(workdir) / "tracks.json"
        self.partial = pathlib.Path(workdir) / "tracks.partial.jsonl"
        self._video, self._targets, self._file = dict(video), [dict(t) for t in targets], None

    def recorded(self) -> int:
        """Frames that lie whole in the partial file."""
        return sum(1 for _ in self._lines())

    def resume(self, frames_done: int) -> None:
        """Goes on after `frames_done` frames and forgets any later ones."""
        lines = list(itertools.islice(self._lines(), frames_done))
        if len(lines) < frames_done:
            raise UserError(f"{self.partial}: holds {len(lines)} frames, {frames_done} were expected; start anew")
        self.close()
        with disk_errors(self.partial):
            if frames_done:
                os.truncate(self.partial, sum(len(line) for line in lines))
            self._file = self._open("ab" if frames_done else "wb")

    def append(self, prediction: Prediction) -> None:
        line = json.dumps(_frame(prediction), separators=(",", ":"), allow_nan=False) + "\n"
        with disk_errors(self.partial):
            self._file = self._file or self._open("wb")
            self._file.write(line.encode())
            self._file.flush()

    def finish(self) -> pathlib.Path:
        """tracks.json from the lines so far, which are then removed."""
        self.close()
        known = {target["id"]: target for target in self._targets}
        frames = 0
        for frame in map(json.loads, self._lines()):
            frames += 1
            for target in frame["targets"]:
                first = {"id": target["id"], "kind": target["kind"], "start": frame["frame"]}
                label = {"label": target["label"]} if "label" in target else {}
                known.setdefault(target["id"], first | label)
        with atomic_write(self.path) as temporary, open(temporary, "w", encoding="utf-8") as file:
            file.write(f'{{"video": {json.dumps({**self._video, "frames": frames})},\n')
            file.write(f'"targets": {json.dumps(list(known.values()))},\n"frames": [')
            for index, frame in enumerate(map(json.loads, self._lines())):
                for target in frame["targets"]:
                    del target["kind"]
                    target.pop("label", None)
                file.write((",\n" if index else "\n") + json.dumps(frame, separators=(",", ":")))
            file.write("]}\n")
        self.partial.unlink(missing_ok=True)
        return self.path

    def close(self) -> None:
        if self._file:
            self._file.close()
        self._file = None

    def _open(self, mode: str) -> Any:
        self.partial.parent.mkdir(parents=True, exist_ok=True)
        return open(self.partial, mode)

    def _lines(self) -> Iterator[bytes]:
        if not self.partial.exists():
            return
        with open(self.partial, "rb") as file:
            for line in file:
                if not line.endswith(b"\n") or not _is_json(line):
                    return
                yield line


def _is_json(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _frame(prediction: Prediction) -> dict[str, Any]:
    return {
        "frame": int(prediction.frame),
        "targets": [_target(prediction, i) for i in range(len(prediction.id))],
    }


def _target(prediction: Prediction, row: int) -> dict[str, Any]:
    kind = prediction.kind[row]
    fields = {
        "id": int(prediction.id[row]),
        "kind": kind,  # Kept in the partial file only.
        "visible": bool(prediction.visible[row]),
        "score": _round(prediction.score[row], 4),
    }
    if any(prediction.label):
        fields["label"] = prediction.label[row]  # As the kind: the target has it, not every frame.
    for key in KEYS[kind]:
        value = getattr(prediction, key)[row]
        if value is None or (key in ("point", "box") and not np.isfinite(value).all()):
            continue
        if key == "segment":
            fields[key] = encode_segment(value)
        else:
            fields[key] = [[_round(x) for x in v] if np.ndim(v) else _round(v) for v in value]
    return fields


def _round(value: Any, digits: int = 2) -> float | None:
    return round(float(value), digits) + 0.0 if np.isfinite(value) else None  # + 0.0 turns -0.0 into 0.0.


def write_mot(path: str | os.PathLike, predictions: Iterable[Prediction]) -> None:
    """frame,id,left,top,width,height,score,-1,-1,-1 with frames and pixels from 1; visible boxes only."""
    with atomic_write(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        for prediction in predictions:
            rows = to_rows([prediction])
            file.writelines(mot.result_lines(rows.take(np.array([k != "point" for k in prediction.kind], bool))))


def to_rows(predictions: Iterable[Prediction]) -> Rows:
    """Predictions as rows, which every official format of `data.formats` can write.

    A point is the one keypoint of its row; joints keep their visibility. Targets that cannot be seen stay in, as such.
    """
    parts = [_rows(prediction) for prediction in predictions]
    joints = max((part.keypoints.shape[1] for part in parts), default=0)
    return concatenate(part._replace(keypoints=_padded(part.keypoints, joints)) for part in parts)


def _rows(prediction: Prediction) -> Rows:
    n = len(prediction.id)
    poses = [_keypoints(prediction, row) for row in range(n)]
    joints = max((len(pose) for pose in poses), default=0)
    return make_rows(
        np.full(n, prediction.frame),
        id=prediction.id,
        box=np.asarray(prediction.box, np.float64).reshape(n, 4),
        score=prediction.score,
        visible=prediction.visible,
        segment=["" if mask is None else rle.encode(mask) for mask in prediction.segment],
        keypoints=np.stack([_padded(pose, joints) for pose in poses]) if n else np.zeros((0, 0, 3)),
    )


def _keypoints(prediction: Prediction, row: int) -> np.ndarray:
    if prediction.pose[row] is not None:
        return np.asarray(prediction.pose[row], np.float64)
    if prediction.kind[row] != "point":
        return np.zeros((0, 3))
    return np.array([[*prediction.point[row], prediction.visible[row]]], np.float64)


def _padded(keypoints: np.ndarray, joints: int) -> np.ndarray:
    missing = joints - keypoints.shape[-2]
    return np.pad(keypoints, [(0, 0)] * (keypoints.ndim - 2) + [(0, missing), (0, 0)]) if missing else keypoints
