"""Detections that lie in a file, one for a whole video.

    MOT text     frame, id, left, top, width, height, confidence, ...        frames and pixels count from 1
    COCO json    [{"image_id", "category_id", "bbox": [x, y, width, height], "score", "segmentation", "keypoints"}, ...]
                 {"images": [...], "annotations": [...], "categories": [...]}

A plain list, as detectors write it, has a frame's number as `image_id`, counted from 0; with `images`, these are the
frames in their order, and `categories` name the classes, which are otherwise their numbers. Boxes are all that is
needed; run lengths, polygons (with `images`) and keypoints are read where every entry has them.
"""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from difftrack_jax.data.formats import mot, rle
from difftrack_jax.data.formats.json_file import Entries, read_json
from difftrack_jax.detectors.base import Detections, nothing
from difftrack_jax.errors import UserError
from difftrack_jax.typing import Float, HostFrame


class _Mask(NamedTuple):
    """Compressed run lengths, decoded when their frame comes; size: height, width."""

    counts: str
    size: tuple[int, int]


class _Found(NamedTuple):
    box: Float[np.ndarray, "4"]
    score: float
    label: str
    mask: _Mask | None
    keypoints: Float[np.ndarray, "j 3"] | None


class DetectionsFile:
    """`file(t, frame)` gives the detections of frame t; the frame's pixels are not looked at, only its size.

    names: classes, empty for MOT text. frames: how many frames it speaks of at least.
    """

    def __init__(self, path: str | os.PathLike):
        """Reads the whole file. Raises UserError for one that is absent or wrong, naming file and line or entry."""
        self.path = pathlib.Path(path).expanduser()
        read = _coco if self.path.suffix.lower() == ".json" else _mot
        self._found = read(self.path)
        every = [one for some in self._found.values() for one in some]
        self.names = tuple(sorted({one.label for one in every} - {""}))
        self.frames = max(self._found, default=-1) + 1
        self._masked = bool(every) and all(one.mask is not None for one in every)
        joints = {None if one.keypoints is None else len(one.keypoints) for one in every}
        self._posed = len(joints) == 1 and None not in joints

    def __call__(self, index: int, frame: HostFrame) -> Detections:
        some = self._found.get(index)
        if not some:
            return nothing()
        return Detections(
            np.stack([one.box for one in some]),
            np.array([one.score for one in some]),
            tuple(one.label for one in some) if self.names else (),
            np.stack([self._decode(one.mask, frame.shape[:2]) for one in some]) if self._masked else None,
            np.stack([one.keypoints for one in some]) if self._posed else None,
        )

    def _decode(self, mask, size):
        if mask.size != size:
            found, wanted = (f"{s[1]}x{s[0]}" for s in (mask.size, size))
            raise UserError(f"{self.path}: a mask is {found}, but the video is {wanted}")
        try:
            return rle.decode(mask.counts, size)
        except ValueError as error:
            raise UserError(f"{self.path}: a mask cannot be decoded, {error}") from error


def _mot(path) -> dict[int, list[_Found]]:
    rows, out = mot.read_results(path), {}
    for frame, box, score in zip(rows.frame.tolist(), rows.box, rows.score.tolist()):
        out.setdefault(frame, []).append(_Found(box, score, "", None, None))
    return out


def _coco(path) -> dict[int, list[_Found]]:
    data = read_json(path, object)
    if isinstance(data, list):
        return _entries(path, data, "", None, {}, {})
    if not isinstance(data, dict) or not {"images", "annotations"} <= data.keys():
        raise UserError(f"{path}: must hold a list of detections, or an object with 'images' and 'annotations'")
    frames, sizes, names = {}, {}, {}
    for index, image in enumerate(data["images"]):
        with Entries(path, f"images[{index}]"):
            frames[image["id"]] = index
            if "width" in image:
                sizes[index] = (int(image["height"]), int(image["width"]))
    if len({image.get("video_id") for image in data["images"]}) > 1:
        raise UserError(f"{path}: holds several videos; give a file with one")
    for index, category in enumerate(data.get("categories") or ()):
        with Entries(path, f"categories[{index}]"):
            names[category["id"]] = str(category["name"])
    return _entries(path, data["annotations"], "annotations", frames, sizes, names)


def _entries(path, entries: Sequence[Any], field: str, frames: Mapping[Any, int] | None, sizes, names):
    out: dict[int, list[_Found]] = {}
    for index, entry in enumerate(entries):
        with Entries(path, f"{field}[{index}]"):
            frame = _frame_of(entry["image_id"], frames)
            out.setdefault(frame, []).append(_found(entry, names, sizes.get(frame)))
    return out


def _frame_of(image: Any, frames: Mapping[Any, int] | None) -> int:
    if frames is not None:
        if image not in frames:
            raise ValueError(f"image_id {image!r} is none of images")
        return frames[image]
    frame = int(image)
    if frame < 0:
        raise ValueError(f"image_id {frame}, but frames count from 0")
    return frame


def _found(entry: Mapping[str, Any], names: Mapping[Any, str], size: tuple[int, int] | None) -> _Found:
    x, y, width, height = (float(value) for value in entry["bbox"])
    kind = entry.get("category_id")
    joints = np.array(entry["keypoints"], np.float64).reshape(-1, 3) if entry.get("keypoints") else None
    return _Found(
        np.array([x, y, x + width, y + height]),
        float(entry.get("score", 1.0)),
        "" if kind is None else names.get(kind, str(kind)),
        _mask(entry["segmentation"], size) if entry.get("segmentation") else None,
        # Annotated joints are flagged 2, seen, or 1, hidden; results have confidences.
        None if joints is None else np.concatenate([joints[:, :2], np.minimum(joints[:, 2:], 1.0)], axis=1),
    )


def _mask(code: Any, size: tuple[int, int] | None) -> _Mask | None:
    if isinstance(code, list):
        if size is None:
            raise ValueError("polygons need images with width and height")
        parts = [np.array(part, np.float64).reshape(-1, 2) for part in code]
        return _Mask(rle.merge([rle.from_polygon(*part.T.tolist(), size) for part in parts], size), size)
    height, width = (int(side) for side in code["size"])
    counts = code["counts"]
    if not isinstance(counts, str):
        counts = rle.from_uncompressed(counts, (height, width))
    return _Mask(counts, (height, width))
