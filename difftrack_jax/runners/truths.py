"""What predictions are scored against: the official folder, or for a few benchmarks files made from it.

Halves of MOT17, expressions of Refer-KITTI without their templates, polygons of VOT and id PNGs of KITTI MOTS have no
file that an evaluator takes; theirs are written under truth/ in the workdir, from the clips that were tracked.
"""

import pathlib
from collections.abc import Callable
from typing import NamedTuple

from difftrack_jax.data.builders.base import Benchmark
from difftrack_jax.data.formats import mot, mots, sot
from difftrack_jax.data.records import Clip
from difftrack_jax.visualize.files import disk_errors


class Truth(NamedTuple):
    """scorer: the evaluation's name (runners/scoring). folder and split: where it looks."""

    scorer: str
    folder: pathlib.Path
    split: str


def truth_of(benchmark: Benchmark, split: str, names: list[str], workdir: pathlib.Path) -> Truth | None:
    """None where the organisers keep the truth."""
    if split in benchmark.hidden:
        return None
    made = _made(benchmark, split, names)
    if made is None:
        return Truth(benchmark.name, benchmark.root, split)
    scorer, path, write = made
    for name in names:
        place = workdir / "truth" / path(name)
        if not place.exists():
            partial = place.with_name(f".{place.name}.partial")
            with disk_errors(place):
                place.parent.mkdir(parents=True, exist_ok=True)
                write(partial, benchmark.read(split, name))
                partial.replace(place)
    return Truth(scorer, workdir / "truth", split)


def _made(benchmark: Benchmark, split: str, names: list[str]) -> tuple[str, Callable, Callable] | None:
    """The scorer, the path of a sequence's truth and how it is written; None for what is official."""
    root, name = benchmark.root, benchmark.name
    if name == "mot17" and split.endswith("_half"):
        path = lambda sequence: f"{sequence}/gt/gt.txt"
        return "mot17", path, lambda path, clip: mot.write_truth(path, clip.rows)
    if name == "refer_kitti" and not (root / "gt_template").is_dir():
        return name, lambda sequence: f"{sequence.replace('+', '/')}/gt.txt", _refer_kitti
    if name == "vot":
        path = lambda sequence: f"{sequence}/groundtruth_rect.txt"
        return "otb", path, lambda path, clip: sot.write_boxes(path, clip.rows.box)
    if name == "kitti_mots" and not all(list(root.glob(f"**/{sequence}.txt")) for sequence in names):
        return name, lambda sequence: f"{sequence}.txt", _id_pictures
    return None


def _refer_kitti(path: pathlib.Path, clip: Clip) -> None:
    """Frames and pixels from 0, as in the official templates, which leave out frame 0."""
    rows = clip.rows.take(clip.rows.frame > 0)
    mot.write_truth(path, rows._replace(frame=rows.frame - 1, box=rows.box - 1, category=0 * rows.category))


def _id_pictures(path: pathlib.Path, clip: Clip) -> None:
    mots.write(path, clip.rows, (clip.height, clip.width), first=0)
