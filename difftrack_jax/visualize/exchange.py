"""The tracks of one video in official formats and back: `write("mots", ...)` and `read("mots", ...)`.

    name      file                  holds
    mot       tracks.txt            visible boxes, ten columns                       (export.write_mot)
    mots      tracks_mots.txt       visible masks, made disjoint
    kitti     tracks_kitti.txt      visible boxes, as cars where no category is known
    davis     masks/                a palette PNG a frame                            (export.write_masks)
    boxes     boxes/ID.txt          x,y,w,h a frame for each target: OTB, LaSOT, GOT-10k
    ytvis     tracks_ytvis.json     masks, or boxes where there are none; a video of id 1
    poses     tracks_poses.json     poses of PoseTrack's 17 joints
    points    tracks_points.npz     TAP-Vid: points as shares of the frame, occluded
    csv       tracks.csv            a line a target and frame

Writers take rows (`export.to_rows`), readers give rows, and `predictions` turns rows into what is drawn.
"""

import csv
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from difftrack_jax.data.formats import davis, kitti, mot, mots, posetrack, rle, sot, tapvid, ytvis
from difftrack_jax.data.images import natural
from difftrack_jax.data.records import Rows, concatenate, make_rows
from difftrack_jax.errors import UserError
from difftrack_jax.typing import Prediction
from difftrack_jax.visualize.files import disk_errors

CSV = ("frame", "id", "visible", "score", "x0", "y0", "x1", "y1", "x", "y")


class Video(NamedTuple):
    """What formats ask of a video beside its tracks. names: of its frames' files, without suffix."""

    width: int
    height: int
    frames: int
    names: Sequence[str] = ()

    @property
    def size(self) -> tuple[int, int]:
        return self.height, self.width


class Format(NamedTuple):
    """file: its usual name. write: (path, rows, video). read: (path, video) -> rows."""

    file: str
    write: Callable[[pathlib.Path, Rows, Video], None]
    read: Callable[[pathlib.Path, Video], Rows]


def write(name: str, folder: pathlib.Path, rows: Rows, video: Video) -> pathlib.Path:
    """Write one format into a folder, whole or not at all; the path is returned."""
    chosen = _find(name)
    place = folder / chosen.file
    partial = place.with_name(f".{place.stem}.partial{place.suffix}")
    with disk_errors(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        chosen.write(partial, rows, video)
        if place.is_dir():
            for old in place.iterdir():
                old.unlink()
            place.rmdir()
        partial.replace(place)
    return place


def read(name: str, path: pathlib.Path, video: Video) -> Rows:
    """Rows of one file (or folder of files)."""
    return _find(name).read(pathlib.Path(path), video).ordered()


def predictions(rows: Rows, video: Video, kind: str) -> Iterator[Prediction]:
    """A prediction for every frame of a video, of targets that are all of one kind."""
    for frame in range(video.frames):
        here = rows.in_frame(frame)
        masks = tuple(rle.decode(counts, video.size) if counts else None for counts in here.segment)
        centre = (here.box[:, :2] + here.box[:, 2:]) / 2
        point = here.keypoints[:, 0, :2] if kind == "point" and here.keypoints.shape[1] else centre
        pose = tuple(here.keypoints) if kind == "pose" else (None,) * here.count
        kinds = (kind,) * here.count
        yield Prediction(frame, here.id, kinds, point, here.box, masks, pose, here.visible, here.score)


def _find(name: str) -> Format:
    if name not in FORMATS:
        raise UserError(f"format {name!r}: unknown; known are {', '.join(FORMATS)}")
    return FORMATS[name]


def _categories(rows: Rows) -> Rows:
    """Formats number their classes from 1."""
    return rows._replace(category=np.maximum(rows.category, 1))


def _write_boxes(path: pathlib.Path, rows: Rows, video: Video) -> None:
    path.mkdir(exist_ok=True)
    for target in np.unique(rows.id):
        mine = rows.take(rows.id == target)
        boxes = np.full((video.frames, 4), np.nan)
        boxes[mine.frame] = mine.box
        first = int(np.argmax(np.isfinite(boxes).all(axis=1)))
        boxes[:first] = boxes[first]  # before it was given it stands where it will be
        if np.isfinite(boxes).any():
            sot.write_boxes(path / f"{target}.txt", boxes)


def _read_boxes(path: pathlib.Path, video: Video) -> Rows:
    parts = []
    for file in sorted(path.glob("*.txt"), key=lambda file: natural(file.name)):
        if not file.stem.isdecimal():
            raise UserError(f"{file}: is not named by a target's id")
        boxes = sot.read_boxes(file)
        parts.append(sot.single(boxes)._replace(id=np.full(len(boxes), int(file.stem), np.int64)))
    return concatenate(parts)


def _write_davis(path: pathlib.Path, rows: Rows, video: Video) -> None:
    davis.write(path, rows, _names(video), video.size)


def _read_davis(path: pathlib.Path, video: Video) -> Rows:
    found = [path / f"{name}.png" for name in _names(video)]
    return davis.read([file if file.is_file() else None for file in found])


def _names(video: Video) -> Sequence[str]:
    return video.names or [f"{frame:05d}" for frame in range(video.frames)]


def _write_ytvis(path: pathlib.Path, rows: Rows, video: Video) -> None:
    ytvis.write_results(path, ytvis.results(1, _categories(rows), video.frames, video.size))


def _write_poses(path: pathlib.Path, rows: Rows, video: Video) -> None:
    files = [f"{name}.jpg" for name in _names(video)]
    posetrack.write(path, rows, np.arange(video.frames), files)


def _write_points(path: pathlib.Path, rows: Rows, video: Video) -> None:
    if not rows.keypoints.shape[1]:
        raise UserError("points: none of the targets is a point")
    rows = rows.take(rows.keypoints[:, 1:].any(axis=(1, 2)) == 0)  # poses have more than one
    size = (video.width, video.height)
    tracks = tapvid.from_rows(rows, size, video.frames)
    first = np.argmax(~tracks.occluded, axis=1)
    given = tracks.points[np.arange(len(first)), first]
    tapvid.write(path, tracks, np.concatenate([first[:, None], given[:, ::-1]], axis=1))


def _read_points(path: pathlib.Path, video: Video) -> Rows:
    """Ids are the places in the file, from 1."""
    rows = tapvid.to_rows(tapvid.read(path), (video.width, video.height))
    return rows._replace(id=rows.id + 1)


def _write_csv(path: pathlib.Path, rows: Rows, video: Video) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(CSV)
        for row in range(rows.count):
            point = rows.keypoints[row, 0, :2] if rows.keypoints.shape[1] else np.full(2, np.nan)
            point = point if rows.keypoints[row].any() else np.full(2, np.nan)
            numbers = [f"{v:.3f}" if np.isfinite(v) else "" for v in (*rows.box[row], *point)]
            facts = [rows.frame[row], rows.id[row], int(rows.visible[row]), f"{rows.score[row]:.4f}"]
            writer.writerow([*facts, *numbers])


def _read_csv(path: pathlib.Path, video: Video) -> Rows:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            table = [[float(row[column] or "nan") for column in CSV] for row in csv.DictReader(file)]
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except (KeyError, ValueError) as error:
        raise UserError(f"{path}: is not a table with the columns {', '.join(CSV)} ({error})") from error
    values = np.array(table, np.float64).reshape(-1, len(CSV))
    known = np.isfinite(values[:, 8:10]).all(axis=1)
    points = np.where(known[:, None], np.nan_to_num(values[:, 8:10]), 0.0)
    keypoints = np.concatenate([points, (known & (values[:, 2] > 0))[:, None]], axis=1)[:, None]
    columns = {"visible": values[:, 2] > 0, "score": values[:, 3], "box": values[:, 4:8], "keypoints": keypoints}
    return make_rows(values[:, 0], id=values[:, 1], **columns)


FORMATS: Mapping[str, Format] = {
    "mot": Format(
        "tracks.txt",
        lambda path, rows, video: mot.write_results(path, rows),
        lambda path, video: mot.read_results(path),
    ),
    "mots": Format(
        "tracks_mots.txt",
        lambda path, rows, video: mots.write(path, _categories(rows), video.size, first=1),
        lambda path, video: mots.read(path, first=1)[0],
    ),
    "kitti": Format(
        "tracks_kitti.txt",
        lambda path, rows, video: kitti.write(path, _categories(rows)),
        lambda path, video: kitti.read(path),
    ),
    "davis": Format("masks", _write_davis, _read_davis),
    "boxes": Format("boxes", _write_boxes, _read_boxes),
    "ytvis": Format(
        "tracks_ytvis.json", _write_ytvis, lambda path, video: ytvis.read_results(path, {1: video.size})[1]
    ),
    "poses": Format("tracks_poses.json", _write_poses, lambda path, video: posetrack.read(path, video.size).rows),
    "points": Format("tracks_points.npz", _write_points, _read_points),
    "csv": Format("tracks.csv", _write_csv, _read_csv),
}
