"""YouTube-VIS: tracks of 40 classes as masks, or as boxes where results have those.

Truth: a json with annotations (of train, or of a part of it kept aside; the official valid set's are not public).
Predictions: results.json, or a folder that holds it.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Mapping

from difftrack_jax.data.formats import ytvis as text
from difftrack_jax.data.records import Rows
from difftrack_jax.errors import UserError
from difftrack_jax.metrics import ytvis
from difftrack_jax.metrics.base import Metric
from difftrack_jax.runners.scoring.base import Files, Scorer


@dataclasses.dataclass(frozen=True)
class YoutubeVisScorer(Scorer):
    """kind: what is compared, "mask" or "box". Sequences are named by their folder of frames."""

    annotation: str = "instances_{split}_sub.json, {split}.json, annotations/{split}.json, {split}/instances.json"
    prediction: str = "results.json"
    columns: tuple[str, ...] = ("AP", "AP50", "AP75", "AR1", "AR10", "AR100")
    kind: str = "mask"

    @property
    def metrics(self) -> Mapping[str, Metric]:
        return {"": ytvis}

    def sequences(self, files: Files) -> list[str]:
        return [video.name for video in _truth(self._path(files)).videos]

    def evaluate(self, files: Files, name: str) -> Mapping[str, ytvis.State]:
        if self.kind not in ytvis.KINDS:
            raise UserError(f"kind {self.kind!r}: known are {', '.join(ytvis.KINDS)}")
        path = self._path(files)
        truth = _truth(path)
        if not any(rows.count for rows in truth.rows.values()):
            raise UserError(f"{path}: has no annotations; the official valid and test sets keep theirs")
        video = next(video for video in truth.videos if video.name == name)
        results = files.predictions
        results = results if results.is_file() else files.place(results, self.prediction)
        found = _results(results, path)[video.id]
        tracks = [_tracks(rows, video, self.kind) for rows in (truth.rows[video.id], found)]
        return {"": ytvis.evaluate(video.id, *tracks, self.kind)}

    def _path(self, files: Files) -> pathlib.Path:
        home = files.data_dir
        return home if home.is_file() else files.place(home, self.annotation)


@functools.lru_cache(maxsize=2)
def _truth(path: pathlib.Path) -> text.Annotations:
    return text.read_truth(path)


@functools.lru_cache(maxsize=2)
def _results(path: pathlib.Path, truth: pathlib.Path) -> dict[int, Rows]:
    return text.read_results(path, {video.id: (video.height, video.width) for video in _truth(truth).videos})


def _tracks(rows: Rows, video: text.Video, kind: str) -> list[ytvis.Track]:
    """One track for each id, in the order of the file."""
    tracks = {}
    for row in range(rows.count):
        target = int(rows.id[row])
        if target not in tracks:
            empty = [None] * len(video.files)
            tracks[target] = ytvis.Track(int(rows.category[row]), empty, float(rows.score[row]), bool(rows.ignore[row]))
        if kind == "mask":
            place = {"size": [video.height, video.width], "counts": rows.segment[row].encode()}
        else:
            x0, y0, x1, y1 = rows.box[row].tolist()
            place = (x0, y0, x1 - x0, y1 - y0)
        tracks[target].tube[int(rows.frame[row])] = place
    return list(tracks.values())
