"""PoseTrack21 and PoseTrack18: several people, 17 joints each, some frames labelled, regions to ignore."""

import pathlib
from collections.abc import Sequence

from difftrack_jax.data.builders.base import Benchmark
from difftrack_jax.data.formats import posetrack
from difftrack_jax.data.frames import PathFrames
from difftrack_jax.data.images import natural
from difftrack_jax.data.records import Clip, make_clip
from difftrack_jax.errors import UserError


class PoseTrack21(Benchmark):
    """One json a video; heads' boxes are the extra columns."""

    name = "posetrack21"
    folder = "PoseTrack21"
    layout = "images/val/SEQ/000000.jpg and posetrack_data/val/SEQ.json"
    splits = ("val", "train")
    joints = len(posetrack.JOINTS)
    extra = posetrack.EXTRA
    categories = ("person",)
    licence = "non-commercial, by signed agreement"
    url = "https://github.com/anDoer/PoseTrack21"
    homes = ("posetrack_data", "annotations")

    def sequences(self, split: str) -> Sequence[str]:
        home = self.need(*(f"{home}/{split}" for home in self.homes))
        names = sorted((path.stem for path in home.glob("*.json")), key=natural)
        if not names:
            raise UserError(f"{home}: holds no json files; {self.name} needs {self.layout}")
        return names

    def read(self, split: str, name: str) -> Clip:
        path = self.need(*(f"{home}/{split}/{name}.json" for home in self.homes))
        files = posetrack.read(path).files
        if not files:
            raise UserError(f"{path}: lists no images")
        for file in files:
            if not (self.root / pathlib.PurePosixPath(file)).is_file():
                raise UserError(f"{self.root / file}: is missing, but {path.name} lists it; needs {self.layout}")
        frames = PathFrames(self.root, files)
        width, height = frames.size
        video = posetrack.read(path, (height, width))
        size = {"width": width, "height": height, "fps": 25.0}
        return make_clip(
            name, frames, video.rows, frame_ids=video.frame_ids, labelled=video.labelled, extra=self.extra, **size
        )


class PoseTrack18(PoseTrack21):
    """The same videos with their first annotations."""

    name = "posetrack18"
    folder = "posetrack18"
    layout = "images/val/SEQ/000000.jpg and annotations/val/SEQ.json"
    homes = ("annotations", "posetrack_data")
    url = "https://posetrack.net"


BENCHMARKS = (PoseTrack21, PoseTrack18)
