"""TAP-Vid: points by two protocols of queries.

Truth: the official pickle (tapvid_davis.pkl, shards of Kinetics, ...), or a folder with a NAME.npz a video that holds
`points` [n, t, 2] in 0..1 and `occluded` [n, t]. Predictions: the same two for every query, in the
order in which `metrics.tapvid` samples them: for `first` track by track, for `strided` frame by frame.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Mapping

import numpy as np

from difftrack_jax.data import registry
from difftrack_jax.data.formats import tapvid as text
from difftrack_jax.data.formats.json_file import Entries, read_json
from difftrack_jax.errors import UserError
from difftrack_jax.metrics import tapvid
from difftrack_jax.metrics.base import Metric
from difftrack_jax.runners.scoring.base import Files, Scorer


@dataclasses.dataclass(frozen=True)
class TapvidScorer(Scorer):
    """pickles: of which benchmark. queries: "first" or "strided"."""

    annotation: str = "{sequence}.npz, {sequence}.json"
    prediction: str = "{sequence}.npz, {sequence}.json"
    columns: tuple[str, ...] = ("average_jaccard", "average_pts_within_thresh", "occlusion_accuracy")
    pickles: str = "tapvid_davis"
    queries: str = "strided"

    @property
    def metrics(self) -> Mapping[str, Metric]:
        return {"": tapvid}

    def sequences(self, files: Files) -> list[str]:
        return files.listed(self.annotation) if self._arrays(files) else self._pickles(files).names(files.split)

    def evaluate(self, files: Files, name: str) -> Mapping[str, tapvid.State]:
        if self.queries not in tapvid.MODES:
            raise UserError(f"queries {self.queries!r}: known are {', '.join(tapvid.MODES)}")
        truth = self._truth(files, name)
        sample = tapvid.sample_first if self.queries == "first" else tapvid.sample_strided
        asked = sample(truth.points, truth.occluded)
        path = files.place(files.predictions, self.prediction, name)
        found = _read(path)
        if found.occluded.shape != (len(asked.track), truth.occluded.shape[1]):
            need = f"{len(asked.track)} {self.queries} queries in {truth.occluded.shape[1]} frames"
            raise UserError(f"{path}: {found.occluded.shape[0]} tracks of {found.occluded.shape[1]} frames, for {need}")
        scale = np.float64(tapvid.RASTER)
        state = tapvid.evaluate(
            asked.points, truth.occluded[asked.track], truth.points[asked.track] * scale, found.occluded,
            found.points * scale, self.queries,
        )  # fmt: skip
        return {"": state}

    def _truth(self, files: Files, name: str) -> text.Tracks:
        if self._arrays(files):
            return _read(files.place(files.data_dir, self.annotation, name))
        return self._pickles(files).tracks(name)

    def _arrays(self, files: Files) -> bool:
        return any(path.suffix in (".npz", ".json") for path in files.data_dir.iterdir())

    def _pickles(self, files: Files):
        return _open(self.pickles, files.data_dir)


def _read(path: pathlib.Path) -> text.Tracks:
    """Arrays, or lists of lists in json."""
    if path.suffix != ".json":
        return text.read(path)
    data = read_json(path, dict, ("points", "occluded"))
    with Entries(path, "the file"):
        occluded = np.array(data["occluded"], bool)
        return text.Tracks(np.array(data["points"], np.float32).reshape(*occluded.shape, 2), occluded)


@functools.lru_cache(maxsize=1)
def _open(benchmark: str, folder: pathlib.Path):
    """The official pickles; the same object, for it keeps a shard that it has read."""
    return registry.benchmark(benchmark, folder)
