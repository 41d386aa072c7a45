"""YouTube-VIS json, ground truth and results: COCO with videos for images and lists over frames for masks.

    ground truth   {"videos": [{"id", "width", "height", "length", "file_names"}], "categories": [{"id", "name"}],
                    "annotations": [{"id", "video_id", "category_id", "iscrowd", "segmentations": [RLE or null, ...]}]}
    results        [{"video_id", "category_id", "score", "segmentations": [RLE or null, ...]}, ...]

An RLE is {"size": [h, w], "counts": text, or plain run lengths}; polygons occur too. `bboxes` (x, y, w, h from 0) may
stand beside or instead of `segmentations`.
"""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from difftrack_jax.data.formats import rle
from difftrack_jax.data.formats.json_file import Entries, read_json
from difftrack_jax.data.records import Rows, concatenate, make_rows


class Video(NamedTuple):
    """One entry of "videos"."""

    id: int
    name: str
    files: tuple[str, ...]
    width: int
    height: int


class Annotations(NamedTuple):
    """A ground truth file: videos in its order, rows by video id (none in a file without annotations), class names."""

    videos: tuple[Video, ...]
    rows: Mapping[int, Rows]
    categories: Mapping[int, str]


def read_truth(path: str | os.PathLike) -> Annotations:
    """Rows of a video have the annotation's id; `ignore` marks crowds."""
    data = read_json(path, dict, ("videos",))
    videos = []
    for index, entry in enumerate(data["videos"]):
        with Entries(path, f"videos[{index}]"):
            files = tuple(entry["file_names"])
            name = files[0].rpartition("/")[0] if files else str(entry["id"])
            videos.append(Video(entry["id"], name, files, entry["width"], entry["height"]))
    sizes = {video.id: (video.height, video.width) for video in videos}
    parts: dict[int, list[Rows]] = {video.id: [] for video in videos}
    for index, entry in enumerate(data.get("annotations") or ()):
        with Entries(path, f"annotations[{index}]"):
            rows = _track(entry, entry["id"], sizes[entry["video_id"]], 1.0)
            parts[entry["video_id"]].append(rows._replace(ignore=np.full(rows.count, bool(entry.get("iscrowd", 0)))))
    categories = {entry["id"]: entry["name"] for entry in data.get("categories", ())}
    return Annotations(tuple(videos), {key: concatenate(value) for key, value in parts.items()}, categories)


def read_results(path: str | os.PathLike, sizes: Mapping[int, tuple[int, int]]) -> dict[int, Rows]:
    """Rows by video id; a track's id is its place in the file, from 1. sizes: (height, width) of each video."""
    parts: dict[int, list[Rows]] = {video: [] for video in sizes}
    for index, entry in enumerate(read_json(path, list)):
        with Entries(path, f"[{index}]"):
            video = entry["video_id"]
            parts[video].append(_track(entry, index + 1, sizes[video], float(entry["score"])))
    return {key: concatenate(value) for key, value in parts.items()}


def _track(entry: Mapping[str, Any], number: int, size: tuple[int, int], score: float) -> Rows:
    """One annotation or result: a row for every frame in which it is."""
    segments, boxes = entry.get("segmentations"), entry.get("bboxes")
    given = segments if segments is not None else boxes
    if given is None:
        raise KeyError("segmentations")
    frames = [frame for frame, value in enumerate(given) if value]
    counts = [_counts(segments[frame], size) for frame in frames] if segments is not None else [""] * len(frames)
    if boxes is not None and all(boxes[frame] for frame in frames):
        box = np.array([boxes[frame] for frame in frames], np.float64).reshape(-1, 4)
        box[:, 2:] += box[:, :2]
    else:
        box = rle.boxes_of(counts, size)
    n = len(frames)
    columns = {"id": np.full(n, number), "category": np.full(n, entry["category_id"]), "score": np.full(n, score)}
    return make_rows(frames, box=box, segment=counts, **columns)


def _counts(code: Any, size: tuple[int, int]) -> str:
    """Compressed counts of an RLE of either kind, or of polygons."""
    if isinstance(code, list):
        return rle.merge([rle.from_polygon(part[::2], part[1::2], size) for part in code], size)
    counts = code["counts"]
    return counts if isinstance(counts, str) else rle.from_uncompressed(counts, code["size"])


def results(video: int, rows: Rows, length: int, size: tuple[int, int]) -> list[dict[str, Any]]:
    """The entries of one video: a track's score is the mean over the frames in which it can be seen.

    Tracks without a mask anywhere are written as boxes.
    """
    entries = []
    for target in np.unique(rows.id):
        track = rows.take((rows.id == target) & rows.visible)
        if not track.count:
            continue
        entry = {"video_id": int(video), "category_id": int(track.category[0]), "score": float(track.score.mean())}
        masks: list[Any] = [None] * length
        boxes: list[Any] = [None] * length
        for row in range(track.count):
            frame, box = int(track.frame[row]), track.box[row]
            if track.segment[row]:
                masks[frame] = {"size": [int(side) for side in size], "counts": track.segment[row]}
            if np.isfinite(box).all():
                boxes[frame] = [round(float(v), 3) for v in (box[0], box[1], box[2] - box[0], box[3] - box[1])]
        entry["segmentations" if any(masks) else "bboxes"] = masks if any(masks) else boxes
        entries.append(entry)
    return entries


def write_results(path: str | os.PathLike, entries: Sequence[Mapping[str, Any]]) -> None:
    """results.json, as the server takes it (inside a zip)."""
    with open(path, "w", encoding="utf-8") as file:
        json.dump(list(entries), file)
