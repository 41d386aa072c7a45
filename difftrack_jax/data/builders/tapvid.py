"""TAP-Vid: points of DAVIS, Kinetics, RGB-Stacking and Kubric, as the pickles that its authors hand out or make.

Pickles are read as data (restricted_pickle.py): nothing in them is run. Their frames have no files of their own, so a
prepared set keeps them: JPEG bytes as they are, raw arrays as PNG, which gives back the same pixels.

Kubric has no file of its own: its reader draws points from MOVi-E through TensorFlow. Save what it yields once, as a
list of {"video": uint8 [t, h, w, 3], "points": float32 [n, t, 2] in 0..1, "occluded": bool [n, t]}, in
tapvid_kubric.pkl.
"""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from difftrack_jax.data.builders.base import Benchmark
from difftrack_jax.data.formats import tapvid
from difftrack_jax.data.frames import ArrayFrames, EncodedFrames
from difftrack_jax.data.records import Clip, make_clip
from difftrack_jax.errors import UserError
from difftrack_jax.restricted_pickle import load_numpy_pickle


class TapVid(Benchmark):
    """One pickle, or numbered shards of one; entries are named by their key, or numbered."""

    splits = ("test",)
    joints = 1
    embedded = True
    categories = ("point",)
    licence = "CC BY 4.0"
    url = "https://github.com/google-deepmind/tapnet/tree/main/tapnet/tapvid"

    def __init__(self, root):
        super().__init__(root)
        self._loaded: tuple[pathlib.Path | None, dict[str, Any]] = (None, {})  # one shard at a time
        self._where: dict[str, pathlib.Path] = {}

    def files(self) -> list[pathlib.Path]:
        return [self.need(f"{self.name}.pkl")]

    def sequences(self, split: str) -> Sequence[str]:
        if not self._where:
            self._where = {name: file for file in self.files() for name in self._entries(file)}
        return list(self._where)

    def read(self, split: str, name: str) -> Clip:
        self.sequences(split)
        entry = self._entries(self._where[name])[name]
        video, tracks = tapvid.from_pickle(entry, f"{self._where[name]}: {name}")
        if isinstance(video, np.ndarray) and video.ndim == 4 and video.dtype == np.uint8:
            frames = ArrayFrames(video)
        elif all(isinstance(frame, bytes) for frame in video):
            frames = EncodedFrames(video, f"{self._where[name]}: {name}")
        else:
            raise UserError(
                f"{self._where[name]}: {name} has a video that is neither uint8 [t, h, w, 3] nor JPEG bytes"
            )
        return make_clip(name, frames, tapvid.to_rows(tracks, frames.size))

    def tracks(self, name: str) -> tapvid.Tracks:
        """The annotation of one video alone, as stored."""
        self.sequences(self.splits[0])
        return tapvid.from_pickle(self._entries(self._where[name])[name], f"{self._where[name]}: {name}")[1]

    def _entries(self, file: pathlib.Path) -> dict[str, Any]:
        if self._loaded[0] != file:
            data = load_numpy_pickle(file)
            if not isinstance(data, (dict, list)) or not data:
                raise UserError(f"{file}: must hold a dict or a list of videos")
            shard = f"{file.name[:4]}_" if len(self._shards()) > 1 else ""
            named = data.items() if isinstance(data, dict) else ((f"{i:04d}", entry) for i, entry in enumerate(data))
            self._loaded = (file, {f"{shard}{name}": entry for name, entry in named})
        return self._loaded[1]

    def _shards(self) -> list[pathlib.Path]:
        return []


class TapVidDavis(TapVid):
    """30 videos of DAVIS 2017 val."""

    name = "tapvid_davis"
    folder = "tapvid_davis"
    layout = "tapvid_davis.pkl"


class TapVidRgbStacking(TapVid):
    """50 simulated videos of a robot."""

    name = "tapvid_rgb_stacking"
    folder = "tapvid_rgb_stacking"
    layout = "tapvid_rgb_stacking.pkl"


class TapVidKubric(TapVid):
    """Simulated videos of falling objects."""

    name = "tapvid_kubric"
    folder = "tapvid_kubric"
    layout = "tapvid_kubric.pkl (see difftrack_jax/data/builders/tapvid.py)"


class TapVidKinetics(TapVid):
    """1144 videos of Kinetics-700 val, in the shards that TAP-Vid's generate_tapvid.py writes."""

    name = "tapvid_kinetics"
    folder = "tapvid_kinetics"
    layout = "0000_of_0010.pkl to 0009_of_0010.pkl"

    def files(self) -> list[pathlib.Path]:
        shards = self._shards()
        total = int(shards[0].stem[-4:]) if shards else 10
        return [self.need(f"{shard:04d}_of_{total:04d}.pkl") for shard in range(total)]

    def _shards(self) -> list[pathlib.Path]:
        return sorted(self.root.glob("[0-9][0-9][0-9][0-9]_of_[0-9][0-9][0-9][0-9].pkl"))


BENCHMARKS = (TapVidDavis, TapVidRgbStacking, TapVidKubric, TapVidKinetics)
