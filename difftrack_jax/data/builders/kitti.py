"""KITTI tracking, left colour camera: cars, pedestrians and cyclists as boxes, regions nobody is asked about ignored.

tfds's `kitti` is the detection set, without tracks.
"""

from collections.abc import Sequence

import numpy as np

from difftrack_jax.data.builders.base import Benchmark
from difftrack_jax.data.builders.mots import VAL
from difftrack_jax.data.formats import kitti
from difftrack_jax.data.records import Clip, make_clip


class KittiTracking(Benchmark):
    """21 labelled sequences; `train` and `val` divide them as KITTI MOTS does."""

    name = "kitti"
    layout = "training/image_02/0000/000000.png, training/label_02/0000.txt, testing/image_02/..."
    splits = ("training", "testing", "train", "val")
    hidden = ("testing",)
    extra = kitti.EXTRA
    categories = kitti.TYPES
    licence = "CC BY-NC-SA 3.0"
    url = "https://www.cvlibs.net/datasets/kitti/eval_tracking.php"

    def sequences(self, split: str) -> Sequence[str]:
        if split == "testing":
            return self.folders("testing/image_02")
        names = [name for name in self.folders("training/image_02", "image_02")]
        return [name for name in names if split == "training" or (name in VAL) == (split == "val")]

    def read(self, split: str, name: str) -> Clip:
        if split == "testing":
            frames = self.images(self.need(f"testing/image_02/{name}"))
            return make_clip(name, frames, fps=10.0, labelled=np.zeros(len(frames)))
        frames = self.images(self.need(f"training/image_02/{name}", f"image_02/{name}"))
        rows = kitti.read(self.need(f"training/label_02/{name}.txt", f"label_02/{name}.txt"))
        return make_clip(name, frames, rows, fps=10.0, extra=self.extra)


BENCHMARKS = (KittiTracking,)
