"""PoseTrack18 and 21 json: one file a video, ground truth and results alike.

    {"images": [{"id", "file_name", "is_labeled", "nframes", "ignore_regions_x": [[...]], "ignore_regions_y"}],
     "annotations": [{"image_id", "track_id", "keypoints": 17 x (x, y, seen), "bbox", "bbox_head", "scores"}],
     "categories": [{"id": 1, "name": "person", "keypoints": [17 names]}]}

Pixels count from 0. A joint with x <= 0 or y <= 0 is missing. Polygons to ignore become rows with `ignore` and a mask.
"""

import json
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from difftrack_jax.data.formats import rle
from difftrack_jax.data.formats.json_file import Entries, read_json
from difftrack_jax.data.records import Rows, concatenate, make_rows
from difftrack_jax.errors import UserError
from difftrack_jax.typing import Bool, Float, Int

JOINTS = (
    "nose", "head_bottom", "head_top", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
EXTRA = ("head_x0", "head_y0", "head_x1", "head_y1")


class PoseVideo(NamedTuple):
    """One file. files: of the frames, by frame; frame_ids: their image ids; labelled: is_labeled."""

    files: tuple[str, ...]
    frame_ids: Int[np.ndarray, "t"]
    labelled: Bool[np.ndarray, "t"]
    rows: Rows


def read(path: str | os.PathLike, size: tuple[int, int] | None = None) -> PoseVideo:
    """Persons, and the regions to ignore (id -1) when the frames' (height, width) is known from `size` or the file."""
    data = read_json(path, dict, ("images",))
    number, files, labelled, regions = {}, [], [], []
    for frame, image in enumerate(data["images"]):
        with Entries(path, f"images[{frame}]"):
            number[image["id"]] = frame
            files.append(image["file_name"])
            labelled.append(bool(image.get("is_labeled", True)))
            regions.append(_regions(image, frame, size))
    persons = []
    for index, entry in enumerate(data.get("annotations") or ()):
        with Entries(path, f"annotations[{index}]"):
            persons.append(_person(entry, number[entry["image_id"]]))
    rows = concatenate([_table(persons), *(region for region in regions if region.count)])
    return PoseVideo(tuple(files), np.array(list(number), np.int64), np.array(labelled, bool), rows.ordered())


def _person(entry: dict[str, Any], frame: int) -> tuple:
    joints = np.asarray(entry["keypoints"], np.float64).reshape(len(JOINTS), 3)
    # Official ground truth has confidences nowhere; results have one a joint, which then stands for "seen".
    if len(entry.get("scores") or ()) == len(JOINTS):
        joints = np.concatenate([joints[:, :2], np.asarray(entry["scores"], np.float64)[:, None]], axis=1)
    score = entry.get("score", 1.0)
    return frame, entry["track_id"], _corners(entry.get("bbox")), score, joints, _corners(entry.get("bbox_head"))


def _table(persons: Sequence[tuple]) -> Rows:
    frame, track, box, score, joints, head = zip(*persons) if persons else ([],) * 6
    n = len(frame)
    return make_rows(
        frame, id=track, category=np.ones(n), box=np.array(box).reshape(n, 4), score=score,
        keypoints=np.array(joints).reshape(n, len(JOINTS), 3), extra=np.array(head).reshape(n, 4),
    )  # fmt: skip


def _corners(box: Sequence[float | int] | None) -> Float[np.ndarray, "4"]:
    """x0, y0, x1, y1 of x, y, w, h."""
    if not box:
        return np.full(4, np.nan)
    x, y, w, h = map(float, box)
    return np.array([x, y, x + w, y + h])


def _regions(image: dict[str, Any], frame: int, size: tuple[int, int] | None) -> Rows:
    if size is None and "width" in image:
        size = (image["height"], image["width"])
    if size is None:
        return make_rows([])
    polygons = zip(image.get("ignore_regions_x") or (), image.get("ignore_regions_y") or ())
    counts = [rle.from_polygon(x, y, size) for x, y in polygons if len(x) > 2]
    n = len(counts)
    shape = {"keypoints": np.zeros((n, len(JOINTS), 3)), "extra": np.full((n, len(EXTRA)), np.nan)}
    return make_rows(np.full(n, frame), segment=counts, box=rle.boxes_of(counts, size), ignore=np.ones(n), **shape)


class Poses(NamedTuple):
    """One image as evaluators see it, nothing rounded or drawn. joints: x, y, flag as written; score: of each joint,
    `NO_SCORE` where a file has none; head: box x, y, w, h; regions: polygons to ignore.
    """

    image: int
    labelled: bool
    regions: tuple[Float[np.ndarray, "_ 2"], ...]
    id: Int[np.ndarray, "n"]
    joints: Float[np.ndarray, "n 17 3"]
    score: Float[np.ndarray, "n 17"]
    head: Float[np.ndarray, "n 4"]


NO_SCORE = -9999.0  # less than any: what both official evaluators take


def read_poses(path: str | os.PathLike) -> tuple[Poses, ...]:
    """The images of one file in its order, those without anybody too."""
    data = read_json(path, dict, ("images",))
    people: dict[int, list[dict[str, Any]]] = {}
    for index, image in enumerate(data["images"]):
        with Entries(path, f"images[{index}]"):
            people[image["id"]] = []
    for index, entry in enumerate(data.get("annotations") or ()):
        with Entries(path, f"annotations[{index}]"):
            people[entry["image_id"]].append(entry)
    out = []
    for image in data["images"]:
        with Entries(path, f"image {image['id']}"):
            out.append(_poses(image, people[image["id"]]))
    return tuple(out)


def _poses(image: dict[str, Any], people: list[dict[str, Any]]) -> Poses:
    n, joints = len(people), len(JOINTS)
    table = lambda values, *shape: np.array(values, np.float64).reshape(n, *shape)
    regions = zip(image.get("ignore_regions_x") or (), image.get("ignore_regions_y") or ())
    return Poses(
        image["id"],
        bool(image.get("is_labeled", True)),
        tuple(np.array(region, np.float64).T for region in regions),
        np.array([entry["track_id"] for entry in people], np.int64),
        table([entry["keypoints"] for entry in people], joints, 3),
        table([entry.get("scores") or [NO_SCORE] * joints for entry in people], joints),
        table([entry.get("bbox_head") or [np.nan] * 4 for entry in people], 4),
    )


def write(path: str | os.PathLike, rows: Rows, frame_ids: Int[np.ndarray, "t"], files: Sequence[str]) -> None:
    """Results of a video: visible rows, joints seen with a confidence above 0, and 0, 0, 0 for the rest.

    frame_ids and files: image ids and names of the frames' files.
    """
    if rows.count and rows.keypoints.shape[1] != len(JOINTS):
        raise UserError(f"{path}: PoseTrack's people have {len(JOINTS)} joints, these have {rows.keypoints.shape[1]}")
    rows = rows.take(rows.visible).ordered()
    images = [{"id": int(number), "frame_id": int(number), "file_name": name} for number, name in zip(frame_ids, files)]
    with open(path, "w", encoding="utf-8") as file:
        annotations = [_entry(rows, row, int(frame_ids[rows.frame[row]])) for row in range(rows.count)]
        categories = [{"id": 1, "name": "person", "supercategory": "person", "keypoints": list(JOINTS)}]
        json.dump({"images": images, "annotations": annotations, "categories": categories}, file)


def _entry(rows: Rows, row: int, image: int) -> dict[str, Any]:
    joints = rows.keypoints[row]
    seen = (joints[:, 2] > 0) & np.isfinite(joints[:, :2]).all(axis=1)
    place = np.where(seen[:, None], joints[:, :2].round(3), 0.0)
    entry = {
        "id": row,
        "image_id": image,
        "category_id": 1,
        "track_id": int(rows.id[row]),
        "keypoints": np.concatenate([place, seen[:, None]], axis=1).reshape(-1).tolist(),
        "scores": np.where(seen, joints[:, 2], 0.0).round(4).tolist(),
        "score": round(float(rows.score[row]), 4),
    }
    x0, y0, x1, y1 = rows.box[row].tolist()
    if np.isfinite(rows.box[row]).all():
        entry["bbox"] = [round(value, 3) for value in (x0, y0, x1 - x0, y1 - y0)]
    return entry
