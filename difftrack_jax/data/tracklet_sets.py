"""Tracklets to make a video from: read, checked, and as the arrays a generator takes.

    tracklets = read("tracklets.json")                # or gt.txt of MOT, or synthetic:SEED[:FRAMES]
    check(tracklets, slots=20)                        # one clear line for whatever is wrong
    boxes, valid = arrays(tracklets, slots=20)        # shares of the frame, in slots by rising id

A FILE.json holds {"width", "height", "fps", "frames", "caption", "tracklets": [{"id", "category", "boxes":
[[x0, y0, x1, y1] or null, ...]}]}, in pixels. A box may stick out of the frame, and is cut off; it may not lie
outside altogether. An instance that is absent from a frame has null there, and keeps its slot.
"""

import math
import os
import pathlib
from typing import Any, NamedTuple

import jax
import numpy as np

from difftrack_jax.data import tracklet_clips
from difftrack_jax.data.formats import mot
from difftrack_jax.data.formats.json_file import Entries, read_json
from difftrack_jax.errors import UserError
from difftrack_jax.typing import Float

PREFIX = "synthetic:"
_SIZE, _FPS, _FRAMES = 240, 8.0, 8  # of synthetic tracklets


class Tracklet(NamedTuple):
    """One instance; boxes are x0, y0, x1, y1 in pixels, rows of NaN where it is absent."""

    id: int
    category: str
    boxes: Float[np.ndarray, "t 4"]


class TrackletSet(NamedTuple):
    """All instances of a clip. source: what to call it in an error."""

    width: int
    height: int
    fps: float
    frames: int
    caption: str
    tracklets: tuple[Tracklet, ...]
    source: str = "tracklets"


def read(source: str | os.PathLike, category: str = "", size: tuple[int, int] | None = None) -> TrackletSet:
    """Tracklets from a file or a seed. category: instead of the file's; size: (width, height) of a MOT file's frames,
    which otherwise come from the seqinfo.ini beside it.
    """
    source = str(source)
    if source.startswith(PREFIX):
        found = synthetic(source)
    elif source.lower().endswith(".txt"):
        found = _from_mot(pathlib.Path(source), size)
    else:
        found = from_json(read_json(source, dict, ("width", "height", "tracklets")), source)
    if category:
        found = found._replace(tracklets=tuple(t._replace(category=category) for t in found.tracklets))
    return found


def synthetic(source: str) -> TrackletSet:
    """The tracklets of a procedural clip, by its seed: `synthetic:5`, or `synthetic:5:24` for 24 frames."""
    parts = source.removeprefix(PREFIX).split(":")
    if not all(part.isdecimal() and len(part) < 10 for part in parts) or len(parts) > 2:
        raise UserError(f"{source}: needs a seed, as in synthetic:5 (synthetic:5:24 has 24 frames)")
    frames = int(parts[1]) if len(parts) == 2 else _FRAMES
    if frames < 1:
        raise UserError(f"{source}: has no frames")
    style = tracklet_clips.STYLE._replace(frames=frames)
    clip = jax.tree.map(np.asarray, _layout(jax.random.key(int(parts[0])), style))
    return from_clip(clip, source, _SIZE, _FPS)


_layout = jax.jit(tracklet_clips.layout, static_argnums=1)


def from_clip(clip: tracklet_clips.TrackletClip, source: str, size: int, fps: float) -> TrackletSet:
    """The tracklets of one procedural clip, in the pixels of frames of size x size."""
    words = lambda numbers: " ".join(tracklet_clips.WORDS[n] for n in numbers if n)
    boxes = np.where(clip.valid[..., None] > 0, clip.boxes * size, np.nan)
    there = [n for n in range(clip.valid.shape[1]) if clip.valid[:, n].any()]
    tracklets = tuple(Tracklet(n, words(clip.names[n]), boxes[:, n].astype(np.float64)) for n in there)
    return TrackletSet(size, size, fps, len(boxes), words(clip.caption), tracklets, source)


def from_json(data: dict[str, Any], source: str = "tracklets") -> TrackletSet:
    """Tracklets from the contents of a FILE.json, or from the same as a dictionary."""
    with Entries(source, "the file"):
        entries = list(data["tracklets"])
        longest = max((len(entry["boxes"]) for entry in entries), default=0)
        found = TrackletSet(
            int(data["width"]), int(data["height"]), float(data.get("fps", _FPS)), int(data.get("frames", longest)),
            str(data.get("caption", "")), (), source,
        )  # fmt: skip
    tracklets = []
    for index, entry in enumerate(entries):
        with Entries(source, f"tracklets[{index}]"):
            boxes = [[math.nan] * 4 if box is None else [float(side) for side in box] for box in entry["boxes"]]
            if any(len(box) != 4 for box in boxes):
                raise ValueError("a box has four numbers, x0, y0, x1, y1")
            absent = np.array([box is None for box in entry["boxes"]], bool)
            array = np.array(boxes, np.float64).reshape(-1, 4)
            if not np.isfinite(array[~absent]).all():
                raise ValueError("a box is not finite; write null where the instance is absent")
            tracklets.append(Tracklet(int(entry["id"]), str(entry["category"]), array))
    return found._replace(tracklets=tuple(tracklets))


def to_json(tracklets: TrackletSet) -> dict[str, Any]:
    """The contents of a FILE.json."""
    box = lambda sides: None if np.isnan(sides).any() else [round(float(side), 3) for side in sides]
    rows = [dict(id=t.id, category=t.category, boxes=[box(b) for b in t.boxes]) for t in tracklets.tracklets]
    head = {name: getattr(tracklets, name) for name in ("width", "height", "fps", "frames", "caption")}
    return {**head, "tracklets": rows}


def _from_mot(path: pathlib.Path, size: tuple[int, int] | None) -> TrackletSet:
    info = next((p for p in (path.parent / "seqinfo.ini", path.parent.parent / "seqinfo.ini") if p.is_file()), None)
    if info is None and size is None:
        raise UserError(f"{path}: a MOT file does not say how large its frames are; give --config.width and .height")
    rows, fps = mot.read_truth(path), 25.0
    width, height, frames = *(size or (0, 0)), int(rows.frame.max(initial=-1)) + 1
    if info is not None:
        read = mot.read_info(info)
        fps, frames = read.fps, max(frames, read.frames)
        width, height = size or (read.width, read.height)
    tracklets = []
    for target in np.unique(rows.id):
        own = rows.take(rows.id == target)
        boxes = np.full((frames, 4), np.nan)
        boxes[own.frame] = own.box
        kind = int(own.category[0])
        name = mot.CLASSES[kind - 1] if 1 <= kind <= len(mot.CLASSES) else "object"
        tracklets.append(Tracklet(int(target), name, boxes))
    return TrackletSet(width, height, fps, frames, "", tuple(tracklets), str(path))


def check(tracklets: TrackletSet, slots: int) -> None:
    """Raise UserError, with one line that names the tracklet and the frame, for what cannot be drawn."""
    name, (w, h) = tracklets.source, (tracklets.width, tracklets.height)
    if w < 1 or h < 1 or not 0 < tracklets.fps < 1000:
        raise UserError(f"{name}: frames of {w} x {h} at {tracklets.fps} a second; all three must be above 0")
    if tracklets.frames < 1:
        raise UserError(f"{name}: has zero frames; at least 1 is needed")
    if not tracklets.tracklets:
        raise UserError(f"{name}: holds no tracklets")
    if len(tracklets.tracklets) > slots:
        raise UserError(f"{name}: has {len(tracklets.tracklets)} tracklets; this model has {slots} slots")
    ids = [t.id for t in tracklets.tracklets]
    if len(set(ids)) < len(ids):
        raise UserError(f"{name}: id {max(ids, key=ids.count)} is there twice; a tracklet has its own id")
    for tracklet in tracklets.tracklets:
        _check(tracklet, f"{name}: tracklet {tracklet.id}", tracklets.frames, w, h)


def _check(tracklet: Tracklet, name: str, frames: int, w: int, h: int) -> None:
    if len(tracklet.boxes) != frames:
        raise UserError(f"{name} has {len(tracklet.boxes)} boxes, but the clip has {frames} frames (null is none)")
    if np.isnan(tracklet.boxes).all():
        raise UserError(f"{name} is in no frame")
    for frame, box in enumerate(tracklet.boxes):
        if np.isnan(box).all():
            continue
        x0, y0, x1, y1 = box
        said = f"{name}, frame {frame}: box {[round(float(side), 2) for side in box]}"
        if not np.isfinite(box).all():
            raise UserError(f"{said} is not finite; write null where the instance is absent")
        if x1 <= x0 or y1 <= y0:
            raise UserError(f"{said} is reversed or empty; x0 < x1 and y0 < y1 are needed")
        if x1 <= 0 or y1 <= 0 or x0 >= w or y0 >= h:
            raise UserError(f"{said} lies outside the frame of {w} x {h}; write null where the instance is absent")


def arrays(tracklets: TrackletSet, slots: int) -> tuple[Float[np.ndarray, "t n 4"], Float[np.ndarray, "t n"]]:
    """Boxes as shares of the frame, cut off at its border, and where there are any; slots by rising id."""
    boxes = np.zeros((tracklets.frames, slots, 4), np.float32)
    valid = np.zeros((tracklets.frames, slots), np.float32)
    scale = np.array([tracklets.width, tracklets.height] * 2, np.float64)
    for slot, tracklet in enumerate(ordered(tracklets)):
        there = ~np.isnan(tracklet.boxes).any(axis=1)
        boxes[there, slot] = np.clip(tracklet.boxes[there] / scale, 0, 1)
        valid[there, slot] = 1
    return boxes, valid


def ordered(tracklets: TrackletSet) -> list[Tracklet]:
    """Tracklets in the order of their slots."""
    return sorted(tracklets.tracklets, key=lambda tracklet: tracklet.id)
