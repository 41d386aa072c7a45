"""OTB-100 and VOT: folders of images with one box, polygon or mask a frame."""

import pathlib
from collections.abc import Sequence

import numpy as np

from difftrack_jax.data.builders.base import Benchmark, match_frames, part
from difftrack_jax.data.formats import sot
from difftrack_jax.data.formats.text import read_lines, read_text
from difftrack_jax.data.frames import PathFrames
from difftrack_jax.data.images import natural
from difftrack_jax.data.records import Clip, make_clip

TB50 = """
Basketball Biker Bird1 BlurBody BlurCar2 BlurFace BlurOwl Bolt Box Car1 Car4 CarDark CarScale ClifBar Couple Crowds
David Deer Diving DragonBaby Dudek Football Freeman4 Girl Human3 Human4-2 Human6 Human9 Ironman Jump Jumping Liquor
Matrix MotorRolling Panda RedTeam Shaking Singer2 Skating1 Skating2-1 Skating2-2 Skiing Soccer Surfer Sylvester Tiger2
Trellis Walking Walking2 Woman
"""
# Images from the first to the last, counted from 1, that are annotated; of the other sequences all are.
SPANS = {"David": (300, 770), "Football1": (1, 74), "Freeman3": (1, 460), "Freeman4": (1, 283), "Diving": (1, 215)}


class Otb(Benchmark):
    """Sequences with several targets have one name a target: Jogging-1, Jogging-2."""

    name = "otb"
    folder = "OTB100"
    layout = "SEQ/{img/0001.jpg, groundtruth_rect.txt}"
    splits = ("all", "tb50")
    licence = "none stated; for research"
    url = "http://cvlab.hanyang.ac.kr/tracker_benchmark"

    def sequences(self, split: str) -> Sequence[str]:
        if split == "tb50":
            return self.published(TB50.split(), self._labels)
        names = []
        for folder in self.root.iterdir():
            files = sorted(folder.glob("groundtruth_rect*.txt")) if folder.is_dir() else []
            for file in files:
                number = file.stem.removeprefix("groundtruth_rect").lstrip(".")
                if read_text(file).strip():  # the first target of Human4 has an empty file
                    names.append(f"{folder.name}-{number}" if number else folder.name)
        if not names:
            self.need("Basketball/groundtruth_rect.txt")
        return sorted(names, key=natural)

    def _labels(self, name: str) -> pathlib.Path:
        folder, _, number = name.rpartition("-")
        if folder and number.isdecimal() and not (self.root / name).is_dir():
            return self.root / folder / f"groundtruth_rect.{number}.txt"
        return self.root / name / "groundtruth_rect.txt"

    def read(self, split: str, name: str) -> Clip:
        labels = self.need(self._labels(name))
        boxes = sot.read_boxes(labels)
        frames = self.images(labels.parent / "img")
        first = 1
        if name in SPANS and len(frames) != len(boxes):
            first, last = SPANS[name]
            frames = part(frames, range(first - 1, min(last, len(frames))))
        match_frames(frames, len(boxes), labels)
        return make_clip(name, frames, sot.single(boxes), fps=30.0, frame_ids=np.arange(len(frames)) + first)


class Vot(Benchmark):
    """Boxes around VOT's rectangles, polygons or masks; the polygon's corners are `keypoints`."""

    name = "vot"
    layout = "SEQ/{groundtruth.txt, color/00000001.jpg or 00000001.jpg}, and list.txt if not all are meant"
    splits = ("all",)
    joints = 4
    licence = "of each year's challenge; for research"
    url = "https://www.votchallenge.net"

    def sequences(self, split: str) -> Sequence[str]:
        if (self.root / "list.txt").is_file():
            return read_lines(self.root / "list.txt")
        names = [path.parent.name for path in self.root.glob("*/groundtruth.txt")]
        if not names:
            self.need("SEQ/groundtruth.txt")
        return sorted(names, key=natural)

    def read(self, split: str, name: str) -> Clip:
        labels = self.need(f"{name}/groundtruth.txt")
        colour = labels.parent / "color"
        frames: PathFrames = self.images(colour if colour.is_dir() else labels.parent)
        width, height = frames.size
        rows = sot.read_vot(labels, (height, width))
        match_frames(frames, rows.count, labels)
        if not rows.keypoints.shape[1]:
            rows = rows._replace(keypoints=np.zeros((rows.count, self.joints, 3)))
        return make_clip(name, frames, rows, fps=30.0, frame_ids=np.arange(1, len(frames) + 1))


BENCHMARKS = (Otb, Vot)
