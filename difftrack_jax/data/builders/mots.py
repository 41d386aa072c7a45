"""MOTS20 and KITTI MOTS: the masks of pedestrians and cars, as run lengths in text or as pictures of ids.

KITTI MOTS needs KITTI tracking's images (image_02) beside its `instances_txt` or `instances`; a folder label_02 of run
lengths, as evaluation kits lay it out, is read too.
"""

import pathlib
from collections.abc import Sequence

import numpy as np

from difftrack_jax.data.builders.base import Benchmark
from difftrack_jax.data.formats import mot, mots
from difftrack_jax.data.records import Clip, Rows, make_clip, no_rows
from difftrack_jax.errors import UserError

VAL = ("0002", "0006", "0007", "0008", "0010", "0013", "0014", "0016", "0018")


class Mots20(Benchmark):
    """MOTSChallenge: four sequences of MOT17 to train on, four to test."""

    name = "mots20"
    folder = "MOTS"
    layout = "train/SEQ/{img1/000001.jpg, gt/gt.txt, seqinfo.ini}, test/SEQ/... without gt"
    splits = ("train", "test")
    hidden = ("test",)
    categories = ("car", "pedestrian")
    licence = "CC BY-NC-SA 3.0"
    url = "https://motchallenge.net/data/MOTS"

    def sequences(self, split: str) -> Sequence[str]:
        return self.folders(split)

    def read(self, split: str, name: str) -> Clip:
        folder = self.need(f"{split}/{name}")
        info = mot.read_info(self.need(folder / "seqinfo.ini"))
        frames = self.images(folder / info.folder, info.frames)
        labels, pictures = folder / "gt" / "gt.txt", folder / "instances"
        rows = no_rows()
        if labels.is_file():
            rows = _sized(mots.read(labels, first=1), (info.height, info.width), labels)
        elif pictures.is_dir():
            rows = mots.read_pictures([self.root / path for path in self.images(pictures, info.frames).paths])
        elif split not in self.hidden:
            self.need(labels)
        size = {"width": info.width, "height": info.height, "fps": info.fps}
        labelled = np.full(len(frames), split not in self.hidden)
        return make_clip(name, frames, rows, frame_ids=np.arange(1, len(frames) + 1), labelled=labelled, **size)


class KittiMots(Benchmark):
    """Nine sequences of KITTI tracking to validate on, twelve to train."""

    name = "kitti_mots"
    layout = "training/image_02/0002/000000.png and instances_txt/0002.txt (or instances/0002/000000.png)"
    splits = ("val", "train")
    categories = ("car", "pedestrian")
    licence = "CC BY-NC-SA 3.0"
    url = "https://www.vision.rwth-aachen.de/page/mots"

    def sequences(self, split: str) -> Sequence[str]:
        names = VAL if split == "val" else tuple(f"{n:04d}" for n in range(21) if f"{n:04d}" not in VAL)
        return self.published(names, lambda name: self._pictures() / name)

    def _pictures(self) -> pathlib.Path:
        return self.need("training/image_02", "image_02")

    def read(self, split: str, name: str) -> Clip:
        frames = self.images(self._pictures() / name)
        homes = ("", "training/")
        texts = [f"{home}{kind}/{name}.txt" for kind in ("instances_txt", "label_02") for home in homes]
        label = self.need(*texts, *(f"{home}instances/{name}" for home in homes))
        if label.is_dir():
            rows = mots.read_pictures([self.root / path for path in self.images(label, len(frames)).paths])
        else:
            width, height = frames.size
            rows = _sized(mots.read(label, first=0), (height, width), label)
        return make_clip(name, frames, rows, fps=10.0)


def _sized(read: tuple[Rows, tuple[int, int] | None], size: tuple[int, int], path: pathlib.Path) -> Rows:
    """Rows whose masks fit the frames."""
    rows, found = read
    if found is not None and found != size:
        raise UserError(f"{path}: masks of {found[1]}x{found[0]} for frames of {size[1]}x{size[0]}")
    return rows


BENCHMARKS = (Mots20, KittiMots)
