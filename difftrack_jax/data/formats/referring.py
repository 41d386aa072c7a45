"""Sentences that name targets: Refer-KITTI's expression files and GroOT's captions.

Refer-KITTI   expression/VIDEO/NAME.json {"label": {FRAME: [ids]}, "sentence"}, frames from 0;
              KITTI/labels_with_ids/image_02/VIDEO/FRAME.txt: class id x y w h, of the frame's size, x y top left
GroOT         COCO json; `captions` of an annotation are [appearance, action], either may be missing
"""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from difftrack_jax.data.formats.json_file import Entries, read_json
from difftrack_jax.data.formats.text import read_numbers
from difftrack_jax.data.records import Rows, concatenate, make_rows
from difftrack_jax.errors import UserError


class Expression(NamedTuple):
    """A sentence, and the ids it refers to in each frame."""

    sentence: str
    referred: Mapping[int, frozenset[int]]


def read_expression(path: str | os.PathLike) -> Expression:
    """One expression file of Refer-KITTI (version 1 or 2)."""
    data = read_json(path, dict, ("label", "sentence"))
    try:
        referred = {int(frame): frozenset(map(int, ids)) for frame, ids in data["label"].items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise UserError(f"{path}: 'label' must map frames to lists of ids ({error})") from error
    return Expression(str(data["sentence"]), referred)


def read_labels(folder: str | os.PathLike, frames: int, size: tuple[int, int]) -> Rows:
    """labels_with_ids of one video in pixels of (width, height); a frame without a file has no targets."""
    folder, scale = pathlib.Path(folder), np.tile(np.asarray(size, np.float64), 2)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    parts = []
    for frame in range(frames):
        path = folder / f"{frame:06d}.txt"
        if not path.is_file():
            continue
        table = read_numbers(path, (6,))
        box = table[:, 2:] * scale
        box[:, 2:] += box[:, :2]
        n = len(table)
        # Classes count from 0 in these files, and from 1 in rows.
        parts.append(make_rows(np.full(n, frame), id=table[:, 1], category=table[:, 0] + 1, box=box))
    return concatenate(parts)


def referred(rows: Rows, expression: Expression) -> Rows:
    """The rows an expression speaks of."""
    pairs = zip(rows.frame.tolist(), rows.id.tolist())
    return rows.take(np.array([target in expression.referred.get(frame, ()) for frame, target in pairs], bool))


class Captioned(NamedTuple):
    """One video of GroOT: its number of frames by name of file, its rows, and (target id, sentence)."""

    files: tuple[str, ...]
    rows: Rows
    captions: tuple[tuple[int, str], ...]


def read_groot(path: str | os.PathLike) -> dict[str, Captioned]:
    """Videos by name. A file's name is VIDEO_FRAME.jpg or VIDEO/img1/FRAME.jpg; boxes are MOT's, from 1."""
    data = read_json(path, dict, ("images", "annotations"))
    images: dict[str, list[tuple[int, str]]] = {}
    of_image = {}
    for index, image in enumerate(data["images"]):
        with Entries(path, f"images[{index}]"):
            name, frame = split_name(image["file_name"])
            of_image[image["id"]] = (name, frame)
            images.setdefault(name, []).append((frame, image["file_name"]))
    tables: dict[str, list[tuple]] = {name: [] for name in images}
    captions: dict[str, dict[int, list[str]]] = {name: {} for name in images}
    for index, entry in enumerate(data["annotations"]):
        with Entries(path, f"annotations[{index}]"):
            name, frame = of_image[entry["image_id"]]
            target, (x, y, w, h) = int(entry["track_id"]), map(float, entry["bbox"])
            box = (x - 1, y - 1, x - 1 + w, y - 1 + h)
            ignore = bool(entry.get("ignore", 0) or entry.get("iscrowd", 0))
            tables[name].append((frame - 1, target, int(entry.get("category_id", 1)), box, ignore))
            for sentence in entry.get("captions") or ():
                known = captions[name].setdefault(target, [])
                if sentence and sentence != "None" and sentence not in known:
                    known.append(str(sentence))
    return {name: _captioned(images[name], tables[name], captions[name]) for name in images}


def _captioned(images: Sequence[tuple[int, str]], table: Sequence[tuple], captions: Mapping[int, list[str]]):
    frame, target, category, box, ignore = zip(*table) if table else ([],) * 5
    rows = make_rows(frame, id=target, category=category, box=np.array(box).reshape(-1, 4), ignore=ignore)
    sentences = tuple((key, sentence) for key in sorted(captions) for sentence in captions[key])
    return Captioned(tuple(file for _, file in sorted(images)), rows.ordered(), sentences)


def split_name(file: str) -> tuple[str, int]:
    """Video and frame (from 1) of GroOT's names of files."""
    stem = file.rpartition(".")[0]
    video, _, frame = stem.replace("/img1/", "_").rpartition("_")
    if not video or not frame.isdecimal():
        raise ValueError(f"file_name {file!r} is not VIDEO_FRAME.jpg")
    return video, int(frame)
