"""DAVIS 2016 and 2017, 480p: video object segmentation, masks of the first frame given.

tfds has a `davis` builder, whose images it encodes through TensorFlow while preparing; this one needs none, keeps the
files where they are and knows both years' annotations.
"""

import pathlib
from collections.abc import Sequence

from difftrack_jax.data.builders.base import Benchmark, match_frames
from difftrack_jax.data.formats import davis
from difftrack_jax.data.formats.text import read_lines
from difftrack_jax.data.records import Clip, make_clip
from difftrack_jax.errors import UserError


class Davis2017(Benchmark):
    """Several objects a sequence, their values the palette's."""

    name = "davis2017"
    folder = "DAVIS"
    layout = "JPEGImages/480p/SEQ/00000.jpg, Annotations/480p/SEQ/00000.png, ImageSets/2017/val.txt"
    splits = ("val", "train", "test-dev")
    hidden = ("test-dev",)
    licence = "CC BY-NC 4.0"
    url = "https://davischallenge.org"
    # The unsupervised release has the same ids but for one sequence of val (india).
    annotations = ("Annotations/480p", "Annotations_unsupervised/480p")
    lists = ("ImageSets/2017",)
    single = False

    def sequences(self, split: str) -> Sequence[str]:
        path = self.need(*(f"{folder}/{split}.txt" for folder in self.lists))
        names = []
        for line in read_lines(path):  # 2016's own lists hold pairs of paths, one line a frame
            name = pathlib.PurePosixPath(line.split()[0])
            names.append(name.parent.name if name.suffix else name.name)
        return list(dict.fromkeys(names))

    def read(self, split: str, name: str) -> Clip:
        frames = self.images(self.need(f"JPEGImages/480p/{name}"))
        folder = self.need(*(f"{home}/{name}" for home in self.annotations))
        stems = [pathlib.PurePath(path).stem for path in frames.paths]
        found = [folder / f"{stem}.png" for stem in stems]
        paths = [path if path.is_file() else None for path in found]
        if paths[0] is None:
            raise UserError(f"{found[0]}: is missing; {self.name} needs {self.layout}")
        if split not in self.hidden:
            match_frames(frames, sum(path is not None for path in paths), folder)
        rows = davis.read(paths, self.single)
        labelled = [path is not None for path in paths]
        return make_clip(name, frames, rows, fps=24.0, labelled=labelled, frame_ids=[int(s) for s in stems])


class Davis2016(Davis2017):
    """One object a sequence: whatever is not background."""

    name = "davis2016"
    layout = "JPEGImages/480p/SEQ/00000.jpg, Annotations/480p/SEQ/00000.png, ImageSets/2016/val.txt"
    splits = ("val", "train")
    annotations = ("Annotations_2016/480p", "Annotations/480p")
    lists = ("ImageSets/2016", "ImageSets/480p")
    single = True


BENCHMARKS = (Davis2016, Davis2017)
