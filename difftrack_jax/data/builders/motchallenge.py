"""MOT17, MOT20 and DanceTrack: many pedestrians or dancers, boxes, with public detections where there are some.

`val_half` and `train_half` are the halves of MOT17's train that the field ablates on (CenterTrack's split); frames of
the second half are numbered from 1 again.
"""

from collections.abc import Sequence

import numpy as np

from difftrack_jax.data.builders.base import Benchmark, part
from difftrack_jax.data.formats import mot
from difftrack_jax.data.records import Clip, Rows, make_clip, no_rows

# First frame of the second half, counted from 1.
HALF = {"02": 302, "04": 527, "05": 420, "09": 264, "10": 329, "11": 452, "13": 377}


class MotChallenge(Benchmark):
    """Folders of sequences with img1, gt, det and seqinfo.ini."""

    hidden = ("test",)
    extra = mot.EXTRA
    categories = mot.CLASSES
    licence = "CC BY-NC-SA 3.0"
    url = "https://motchallenge.net"

    def homes(self, split: str) -> tuple[str, ...]:
        """Folders that hold the sequences of a split."""
        return (split,)

    def sequences(self, split: str) -> Sequence[str]:
        return self.folders(*self.homes(split))

    def read(self, split: str, name: str) -> Clip:
        folder = self.need(*(f"{home}/{name}" for home in self.homes(split)))
        info = mot.read_info(self.need(folder / "seqinfo.ini"))
        frames = self.images(folder / info.folder, info.frames)
        labels, detections = folder / "gt" / "gt.txt", folder / "det" / "det.txt"
        truth = mot.read_truth(self.need(labels)) if split not in self.hidden else None
        found = mot.read_results(detections) if detections.is_file() else no_rows()
        size = {"width": info.width, "height": info.height, "fps": info.fps}
        ids = np.arange(1, len(frames) + 1)
        labelled = np.full(len(frames), truth is not None)
        clip = make_clip(name, frames, truth, detections=found, frame_ids=ids, labelled=labelled, **size)
        return clip._replace(extra=self.extra if truth is not None else ())


class Mot17(MotChallenge):
    """Each sequence three times, with the detections of DPM, FRCNN and SDP."""

    name = "mot17"
    folder = "MOT17"
    layout = "train/SEQ/{img1/000001.jpg, gt/gt.txt, det/det.txt, seqinfo.ini}, test/SEQ/... without gt"
    splits = ("train", "test", "val_half", "train_half")

    def homes(self, split: str) -> tuple[str, ...]:
        return ("train",) if split.endswith("_half") else (split,)

    def read(self, split: str, name: str) -> Clip:
        clip = super().read(split, name)
        if not split.endswith("_half"):
            return clip
        t = len(clip.frames)
        cut = HALF.get(name.split("-")[1], t // 2 + 2) - 1
        cut = cut if cut < t else t // 2 + 1  # of a sequence that was shortened
        indices = range(cut, t) if split == "val_half" else range(cut)
        return cut_clip(clip, indices)


class Mot20(MotChallenge):
    """Crowds; one set of detections."""

    name = "mot20"
    folder = "MOT20"
    layout = "train/SEQ/{img1/000001.jpg, gt/gt.txt, det/det.txt, seqinfo.ini}, test/SEQ/... without gt"
    splits = ("train", "test")


class DanceTrack(MotChallenge):
    """Dancers who look alike; no public detections."""

    name = "dancetrack"
    folder = "dancetrack"
    layout = "val/SEQ/{img1/00000001.jpg, gt/gt.txt, seqinfo.ini}, train/..., test/... without gt"
    splits = ("val", "train", "test")
    licence = "annotations CC BY 4.0, videos for non-commercial research"
    url = "https://dancetrack.github.io"

    def sequences(self, split: str) -> Sequence[str]:
        there = [home for home in self.homes(split) if (self.root / home).is_dir()]
        return [name for home in there or [split] for name in self.folders(home)]

    def homes(self, split: str) -> tuple[str, ...]:
        return (split, f"{split}1", f"{split}2")  # as the archives unpack


def cut_clip(clip: Clip, indices: range) -> Clip:
    """Some consecutive frames as a clip of their own, its frames numbered as the whole clip's were."""

    def shift(rows: Rows) -> Rows:
        rows = rows.take((rows.frame >= indices.start) & (rows.frame < indices.stop))
        return rows._replace(frame=rows.frame - np.int32(indices.start))

    return clip._replace(
        frames=part(clip.frames, indices), rows=shift(clip.rows), detections=shift(clip.detections),
        frame_ids=clip.frame_ids[: len(indices)], labelled=clip.labelled[indices.start : indices.stop],
    )  # fmt: skip


BENCHMARKS = (Mot17, Mot20, DanceTrack)
