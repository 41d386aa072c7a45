"""Refer-KITTI and GroOT: targets named by sentences. A sequence is a video and a sentence."""

import pathlib
from collections.abc import Sequence

import numpy as np

from difftrack_jax.data.builders.base import Benchmark
from difftrack_jax.data.formats import mot, referring
from difftrack_jax.data.images import natural
from difftrack_jax.data.records import WHOLE_CLIP, Clip, make_clip
from difftrack_jax.errors import UserError

_TEST = ("0005", "0011", "0013")


class ReferKitti(Benchmark):
    """Sequences are VIDEO+EXPRESSION; their rows are the targets the expression speaks of, while it does."""

    name = "refer_kitti"
    folder = "refer-kitti"
    layout = (
        "expression/0005/EXPRESSION.json, KITTI/training/image_02/0005/000000.png and "
        "KITTI/labels_with_ids/image_02/0005/000000.txt"
    )
    splits = ("test", "train")
    categories = ("car", "pedestrian")
    licence = "CC BY-NC-SA 3.0"
    url = "https://github.com/wudongming97/RMOT"

    def sequences(self, split: str) -> Sequence[str]:
        videos = [video for video in self.folders("expression") if (video in _TEST) == (split == "test")]
        names = [
            f"{video}+{path.stem}"
            for video in videos
            for path in sorted((self.root / "expression" / video).glob("*.json"))
        ]
        if not names:
            raise UserError(f"{self.root}/expression: holds no expressions of split {split}; needs {self.layout}")
        return names

    def read(self, split: str, name: str) -> Clip:
        video, _, expression = name.partition("+")
        said = referring.read_expression(self.need(f"expression/{video}/{expression}.json"))
        frames = self.images(self.need(f"KITTI/training/image_02/{video}"))
        labels = self.need(f"KITTI/labels_with_ids/image_02/{video}")
        rows = referring.referred(referring.read_labels(labels, len(frames), frames.size), said)
        return make_clip(name, frames, rows, fps=10.0, captions=((WHOLE_CLIP, said.sentence),))


class Groot(Benchmark):
    """MOT17 with captions of every track (appearance, action). The published test annotations lie on the results of a
    tracker (BoT-SORT), so `test` compares with that, not with ground truth.
    """

    name = "groot"
    folder = "GroOT"
    layout = "annotations/v1.0/mot17_train_coco.json and MOT17/train/SEQ/img1/000001.jpg"
    splits = ("train", "test")
    categories = ("pedestrian",)
    licence = "CC BY-NC-SA 3.0"
    url = "https://github.com/uark-cviu/Type-to-Track"

    def __init__(self, root):
        super().__init__(root)
        self._read: dict[str, dict[str, referring.Captioned]] = {}

    def _videos(self, split: str) -> dict[str, referring.Captioned]:
        if split not in self._read:
            file = f"mot17_{split}_coco.json"
            path = self.need(f"annotations/v1.0/{file}", f"annotations/{file}", file)
            self._read[split] = referring.read_groot(path)
        return self._read[split]

    def sequences(self, split: str) -> Sequence[str]:
        return sorted(self._videos(split), key=natural)

    def read(self, split: str, name: str) -> Clip:
        video = self._videos(split)[name]
        # Captions belong to a video, whichever detector's folder its images are taken from.
        homes = [pathlib.Path(home) for home in (f"MOT17/{split}", split)]
        folders = [home / f"{name}{detector}" for home in homes for detector in ("", "-FRCNN", "-DPM", "-SDP")]
        folder = self.need(*folders)
        info = mot.read_info(self.need(folder / "seqinfo.ini"))
        frames = self.images(folder / info.folder, len(video.files))
        size = {"width": info.width, "height": info.height, "fps": info.fps}
        return make_clip(
            name, frames, video.rows, captions=video.captions, frame_ids=np.arange(1, len(frames) + 1), **size
        )


BENCHMARKS = (ReferKitti, Groot)
