"""YouTube-VIS 2019 and 2021: every instance of 40 classes as masks in every fifth frame.

tfds's `youtube_vis` keeps videos as its Video feature, which cannot be built or read without TensorFlow and ffmpeg and
re-encodes the frames; this one refers to the JPEG files of the archive.
"""

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from difftrack_jax.data.builders.base import Benchmark
from difftrack_jax.data.formats import ytvis
from difftrack_jax.data.frames import PathFrames
from difftrack_jax.data.records import Clip, make_clip
from difftrack_jax.errors import UserError

_CLASSES = """
person giant_panda lizard parrot skateboard sedan ape dog snake monkey hand rabbit duck cat cow fish train horse turtle
bear motorbike giraffe leopard fox deer owl surfboard airplane truck zebra tiger elephant snowboard boat shark mouse
frog eagle earless_seal tennis_racket
"""
_CLASSES_2021 = """
airplane bear bird boat car cat cow deer dog duck earless_seal elephant fish flying_disc fox frog giant_panda giraffe
horse leopard lizard monkey motorbike mouse parrot person rabbit shark skateboard snake snowboard squirrel surfboard
tennis_racket tiger train truck turtle whale zebra
"""


class YoutubeVis2019(Benchmark):
    """One json a split; the official valid and test files have no annotations. `train_sub` and `val_sub` are cut from
    train by the evaluation kit.
    """

    name = "youtube_vis_2019"
    layout = "valid/JPEGImages/VIDEO/00000.jpg and valid.json (or instances_val_sub.json), train/..., test/..."
    splits = ("val", "valid", "train", "test")
    hidden = ("valid", "test")
    extra = ("box_area",)
    categories = tuple(_CLASSES.split())
    licence = "CC BY 4.0 annotations, videos for research"
    url = "https://youtube-vos.org/dataset/vis"
    files: Mapping[str, Sequence[str]] = {
        # A val with its truth is a part of train.
        "val": ("instances_val_sub.json", "annotations/instances_val_sub.json"),
        "valid": ("valid.json", "annotations/valid.json", "valid/instances.json"),
        "train": ("train.json", "annotations/train.json", "train/instances.json", "instances_train_sub.json"),
        "test": ("test.json", "annotations/test.json", "test/instances.json"),
    }

    def __init__(self, root):
        super().__init__(root)
        self._read: dict[str, ytvis.Annotations] = {}

    def truth(self, split: str) -> ytvis.Annotations:
        """The annotations of a split; the file is parsed once."""
        if split not in self._read:
            self._read[split] = ytvis.read_truth(self.need(*self.files[split]))
        return self._read[split]

    def sequences(self, split: str) -> Sequence[str]:
        return [video.name for video in self.truth(split).videos]

    def read(self, split: str, name: str) -> Clip:
        truth = self.truth(split)
        video = next(video for video in truth.videos if video.name == name)
        first = pathlib.PurePosixPath(video.files[0])
        homes = ("train", "valid", "test", "")
        folders = [f"{home}/JPEGImages".lstrip("/") for home in ({"val": "train"}.get(split, split), *homes)]
        found = self.need(*(f"{folder}/{first}" for folder in folders), f"JPEGImages/480p/{first}", str(first))
        home = found.relative_to(self.root).as_posix().removesuffix(first.as_posix())
        frames = PathFrames(self.root, [home + file for file in video.files])
        lacking = next((path for path in frames.paths if not (self.root / path).is_file()), None)
        if lacking:
            raise UserError(f"{self.root / lacking}: is missing; {self.name} needs {self.layout}")
        rows = truth.rows[video.id]
        rows = rows._replace(extra=np.prod(rows.box[:, 2:] - rows.box[:, :2], axis=1, keepdims=True))
        annotated = any(rows.count for rows in truth.rows.values())
        size = {"width": video.width, "height": video.height, "fps": 6.0}
        stems = [pathlib.PurePath(file).stem for file in video.files]
        ids = [int(stem) if stem.isdecimal() else index for index, stem in enumerate(stems)]
        labelled = np.full(len(frames), annotated)
        return make_clip(name, frames, rows, frame_ids=ids, labelled=labelled, extra=self.extra, **size)


class YoutubeVis2021(YoutubeVis2019):
    """More videos, and 40 other classes."""

    name = "youtube_vis_2021"
    layout = "train/{JPEGImages/VIDEO/00000.jpg, instances.json}, valid/..., test/..."
    splits = ("valid", "train", "val", "test")
    categories = tuple(_CLASSES_2021.split())


BENCHMARKS = (YoutubeVis2019, YoutubeVis2021)
