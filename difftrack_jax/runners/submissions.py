"""What a benchmark's server takes, an entry a format: a clip's file appears whole, and then the clip is done.

NAME.txt                         mot, kitti, mots, sot          NAME.json    posetrack
NAME/00000.png                   davis                          NAME.npz     tapvid
NAME/NAME_001.txt, _time.txt     got10k                         VIDEO/EXPRESSION/predict.txt   refer_kitti
results.json                     youtube_vis, of all clips together, assembled from parts/NAME.json
"""

import json
import pathlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from difftrack_jax.data.builders.base import Benchmark
from difftrack_jax.data.formats import davis, kitti, mot, mots, posetrack, sot, tapvid, ytvis
from difftrack_jax.data.records import Clip
from difftrack_jax.errors import UserError
from difftrack_jax.runners.following import Found
from difftrack_jax.visualize.files import atomic_write, disk_errors


class Submission(NamedTuple):
    """shape: box, segment, pose or point. path: of a clip's file or folder under predictions/.

    write: (path, clip, found), to that path or under it. finish: (folder, benchmark, split, names), what is left to do
    when all clips are there.
    """

    shape: str
    path: Callable[[str], str]
    write: Callable[[pathlib.Path, Clip, Found], None]
    finish: Callable[[pathlib.Path, Benchmark, str, Sequence[str]], None] = lambda *_: None

    def done(self, folder: pathlib.Path, name: str) -> bool:
        return (folder / self.path(name)).exists()

    def store(self, folder: pathlib.Path, clip: Clip, found: Found) -> None:
        """Write beside the final place, then move there: a kill leaves the whole or nothing."""
        place = folder / self.path(clip.name)
        temporary = place.with_name(f".{place.name}.partial")
        with disk_errors(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(temporary) if temporary.is_dir() else temporary.unlink(missing_ok=True)
            self.write(temporary, clip, found)
            temporary.replace(place)


def _boxes(found: Found, clip: Clip) -> np.ndarray:
    """One box a frame of the only target; where it is not seen the tracker's best guess still stands."""
    rows = found.rows
    boxes = np.full((len(clip.frames), 4), np.nan)
    boxes[rows.frame] = rows.box
    if not np.isfinite(boxes[0]).all():
        raise UserError(f"{clip.name}: no box in the first frame, so there is nothing to write")
    return boxes


def _got10k(path: pathlib.Path, clip: Clip, found: Found) -> None:
    path.mkdir()
    sot.write_boxes(path / f"{clip.name}_001.txt", _boxes(found, clip))
    sot.write_times(path / f"{clip.name}_time.txt", found.seconds)


def _stems(clip: Clip) -> list[str]:
    paths = getattr(clip.frames, "paths", None) or [f"{i:05d}" for i in range(len(clip.frames))]
    return [pathlib.PurePosixPath(path).stem for path in paths]


def _size(clip: Clip) -> tuple[int, int]:
    return clip.height, clip.width


def _posetrack(path: pathlib.Path, clip: Clip, found: Found) -> None:
    posetrack.write(path, found.rows, clip.frame_ids, clip.frames.paths)


def _tapvid(path: pathlib.Path, clip: Clip, found: Found) -> None:
    tracks = tapvid.from_rows(found.rows, found.size, len(clip.frames))
    tapvid.write(path, tracks, found.asked)


def _refer_kitti(path: pathlib.Path, clip: Clip, found: Found) -> None:
    """Frames and pixels count from 0 in this benchmark's files, and the official ones leave out frame 0."""
    rows = found.rows.take(found.rows.frame > 0)
    mot.write_results(path, rows._replace(frame=rows.frame - 1, box=rows.box - 1))


def _youtube_vis(path: pathlib.Path, clip: Clip, found: Found) -> None:
    path.write_text(json.dumps(ytvis.results(0, found.rows, len(clip.frames), _size(clip))))


def _youtube_vis_finish(folder: pathlib.Path, benchmark: Benchmark, split: str, names: Sequence[str]) -> None:
    entries = []
    for video in benchmark.truth(split).videos:
        if video.name in names:
            part = json.loads((folder / "parts" / f"{video.name}.json").read_text())
            entries += [{**entry, "video_id": video.id} for entry in part]
    with atomic_write(folder / "results.json") as temporary:
        ytvis.write_results(temporary, entries)


SUBMISSIONS: Mapping[str, Submission] = {
    "sot": Submission(
        "box", lambda name: f"{name}.txt", lambda path, clip, found: sot.write_boxes(path, _boxes(found, clip))
    ),
    "got10k": Submission("box", lambda name: name, _got10k),
    "mot": Submission("box", lambda name: f"{name}.txt", lambda path, clip, found: mot.write_results(path, found.rows)),
    "kitti": Submission("box", lambda name: f"{name}.txt", lambda path, clip, found: kitti.write(path, found.rows)),
    "refer_kitti": Submission("box", lambda name: f"{name.replace('+', '/')}/predict.txt", _refer_kitti),
    "mots": Submission(
        "segment",
        lambda name: f"{name}.txt",
        lambda path, clip, found: mots.write(path, found.rows, _size(clip), first=1),
    ),
    "kitti_mots": Submission(
        "segment",
        lambda name: f"{name}.txt",
        lambda path, clip, found: mots.write(path, found.rows, _size(clip), first=0),
    ),
    "davis": Submission(
        "segment",
        lambda name: name,
        lambda path, clip, found: davis.write(path, found.rows, _stems(clip), _size(clip)),
    ),
    "posetrack": Submission("pose", lambda name: f"{name}.json", _posetrack),
    "youtube_vis": Submission("segment", lambda name: f"parts/{name}.json", _youtube_vis, _youtube_vis_finish),
    "tapvid": Submission("point", lambda name: f"{name}.npz", _tapvid),
}
