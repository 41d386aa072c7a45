"""GOT-10k: short videos of one target each, no class of object twice in train and test; the test truth is withheld."""

from collections.abc import Sequence

import numpy as np

from difftrack_jax.data.builders.base import Benchmark, match_frames
from difftrack_jax.data.formats import sot
from difftrack_jax.data.formats.text import read_ini, read_lines
from difftrack_jax.data.records import WHOLE_CLIP, Clip, make_clip


class Got10k(Benchmark):
    """`cover` says how many eighths of the target are in sight; 0, or `absence`, means that it cannot be seen."""

    name = "got10k"
    layout = "val/list.txt and val/SEQ/{00000001.jpg, groundtruth.txt, absence.label, cover.label, meta_info.ini}"
    splits = ("val", "test", "train")
    hidden = ("test",)
    extra = ("absence", "cover", "cut_by_image")
    licence = "CC BY-NC-SA 4.0"
    url = "http://got-10k.aitestunion.com"

    def sequences(self, split: str) -> Sequence[str]:
        return read_lines(self.need(f"{split}/list.txt"))

    def read(self, split: str, name: str) -> Clip:
        folder = self.need(f"{split}/{name}")
        frames = self.images(folder)
        path = self.need(folder / "groundtruth.txt")
        boxes = sot.read_boxes(path)
        whole = split not in self.hidden
        if whole:
            match_frames(frames, len(boxes), path)
        labelled = np.arange(len(frames)) < len(boxes)  # of the test set, the first frame only
        rows, captions = sot.single(boxes), ()
        if whole:
            levels = [sot.read_levels(self.need(folder / f"{flag}.label")) for flag in self.extra]
            for flag, values in zip(self.extra, levels):
                match_frames(frames, len(values), folder / f"{flag}.label")
            levels = np.stack(levels, axis=1)
            seen = (levels[:, 0] == 0) & (levels[:, 1] > 0)
            rows = sot.single(boxes, visible=seen, extra=levels)
            info = read_ini(self.need(folder / "meta_info.ini"), "METAINFO")
            captions = ((WHOLE_CLIP, info["object_class"]),) if "object_class" in info else ()
        ids = np.arange(1, len(frames) + 1)
        return make_clip(
            name, frames, rows, fps=10.0, frame_ids=ids, labelled=labelled, captions=captions,
            extra=self.extra if whole else (),
        )  # fmt: skip


BENCHMARKS = (Got10k,)
