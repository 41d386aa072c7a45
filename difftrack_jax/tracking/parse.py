"""What to follow, as text: 'KIND:ARGS[@FRAME]; ...', or a JSON file that says the same.

    point:x,y    box:x0,y0,x1,y1    segment:mask.png[#label]    pose:joints.json    in pixels of the video
    text:a red car                                              what a network with a text encoder finds by itself

    "box:10,20,80,60; point:5,9@12; segment:first.png#2"        @FRAME, 0 if absent, is when the target is given

    targets.json    [{"kind": "box", "args": [10, 20, 80, 60]},
                     {"kind": "point", "args": [5, 9], "frame": 12},
                     {"kind": "segment", "args": "first.png#2"}]      paths relative to the JSON file

A mask's label is its index in a palette PNG, its value in a grey one; without a label, all that is not zero.
"""

import json
import math
import os
import pathlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from difftrack_jax.errors import UserError
from difftrack_jax.tracking.indicators import Box, Point, Pose, Segment, Target, Text
from difftrack_jax.typing import Bool, Float

Timed = tuple[int, Target]  # the frame in which a target is given, and the target
_NUMBERS = {"point": ("x,y", 2), "box": ("x0,y0,x1,y1", 4)}
KINDS = (*_NUMBERS, "segment", "pose", "text")


def parse_targets(text: str) -> list[Timed]:
    """The targets of a string or JSON file, earliest first. Raises UserError for whatever is wrong."""
    text = text.strip()
    if text.lower().endswith(".json") and text.partition(":")[0] not in KINDS:
        targets = _read_json(text)
    else:
        targets = [_parse(part.strip()) for part in text.split(";") if part.strip()]
    if not targets:
        raise UserError("targets: none given; name at least one, such as box:10,20,80,60")
    return sorted(targets, key=lambda timed: timed[0])


def make_target(kind: str, args: Sequence[Any] | np.ndarray, name: str = "", folder: str = "") -> Target:
    """One target from its kind and arguments: numbers, or a mask, or the path of one from `folder`."""
    name = name or kind
    if kind == "text":
        if not (phrase := args.strip() if isinstance(args, str) else ""):
            raise UserError(f"{name}: says nothing; name what to follow, as in text:a red car")
        return Text(phrase)
    if kind == "segment":
        mask = args if isinstance(args, np.ndarray) else read_mask(args, folder)
        return Segment(mask)
    if kind == "pose":
        return Pose(_joints(read_joints(args, folder) if isinstance(args, str) else args, name))
    if kind not in _NUMBERS:
        raise UserError(_unknown(name, kind))
    form, count = _NUMBERS[kind]
    try:
        values = [float(value) for value in args]
    except (TypeError, ValueError):
        values = []
    if len(values) != count:
        raise UserError(f"{name}: needs {count} numbers, {kind}:{form}")
    if not all(map(math.isfinite, values)):
        raise UserError(f"{name}: its numbers must be finite")
    if kind == "point":
        return Point(*values)
    if values[2] <= values[0] or values[3] <= values[1]:
        raise UserError(f"{name}: needs x0 < x1 and y0 < y1 (corners, not width and height)")
    return Box(*values)


def read_mask(spec: str, folder: str = "") -> Bool[np.ndarray, "h w"]:
    """The mask in `file.png` or `file.png#label`."""
    path, label = spec, None
    if (match := re.fullmatch(r"(.+)#(\d+)", spec)) is not None:
        path, label = match[1], int(match[2])
    file = os.path.join(folder, os.path.expanduser(path))
    if not os.path.isfile(file):
        raise UserError(f"segment:{spec}: no such mask file {file}")
    try:
        with Image.open(file) as image:
            values = np.asarray(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"segment:{spec}: {file} cannot be read as an image") from error
    if values.ndim == 3 and label is not None:
        raise UserError(f"segment:{spec}: a label needs a palette or grey PNG, and {file} is in colour")
    if values.ndim == 3:
        values = values[..., :3].any(axis=-1)
    mask = values != 0 if label is None else values == label
    if not mask.any():
        there = ", ".join(map(str, np.unique(values).astype(int).tolist()[:12]))
        what = "the mask is empty" if label is None else f"no pixel has label {label}; the labels are {there}"
        raise UserError(f"segment:{spec}: {what}")
    return mask


def read_joints(path: str, folder: str = "") -> Any:
    """What a JSON file of joints holds."""
    file = pathlib.Path(folder, os.path.expanduser(path))
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"pose:{path}: {file} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise UserError(f"pose:{path}: {file} is not JSON ({error})") from error


def _joints(rows: Any, name: str) -> Float[np.ndarray, "j 3"]:
    """[[x, y] or [x, y, visible], ...], or COCO's flat x, y, v, x, y, v."""
    try:
        joints = np.asarray(rows, np.float64)
    except (TypeError, ValueError):
        joints = np.zeros(0)
    if joints.ndim == 1 and joints.size and joints.size % 3 == 0:
        joints = joints.reshape(-1, 3)
    if joints.ndim != 2 or joints.shape[1] not in (2, 3) or not len(joints):
        raise UserError(f"{name}: needs a list of [x, y, visible], one for each joint")
    if joints.shape[1] == 2:
        joints = np.concatenate([joints, np.ones((len(joints), 1))], axis=1)
    return joints


def _parse(part: str) -> Timed:
    """One 'KIND:ARGS[@FRAME]'."""
    kind, colon, rest = part.partition(":")
    kind = kind.strip().lower()
    if not colon:
        raise UserError(f"{part}: is not KIND:ARGS; known kinds are {', '.join(KINDS)}")
    args, at, frame = rest.rpartition("@")
    if not at or "/" in frame:
        args, frame = rest, "0"
    if kind not in KINDS:
        return 0, make_target(kind, args, part)
    if re.fullmatch(r"\s*-?\d+\s*", frame) is None:
        raise UserError(f"{part}: its frame {frame!r} is not a whole number")
    values = args.strip() if kind not in _NUMBERS else args.split(",")
    return _frame(int(frame), part), make_target(kind, values, part)


def _read_json(path: str) -> list[Timed]:
    try:
        entries = json.loads(pathlib.Path(path).expanduser().read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"targets {path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise UserError(f"targets {path}: is not JSON ({error})") from error
    if not isinstance(entries, list):
        raise UserError(f'targets {path}: must be a list of {{"kind": ..., "args": ...}}')
    folder = str(pathlib.Path(path).expanduser().parent)
    return [_entry(entry, f"{path}[{index}]", folder) for index, entry in enumerate(entries)]


def _entry(entry: Any, name: str, folder: str) -> Timed:
    if not isinstance(entry, dict) or not {"kind", "args"} <= entry.keys() <= {"kind", "args", "frame"}:
        raise UserError(f'{name}: must be {{"kind": ..., "args": ...}}, with "frame" if it is not 0')
    kind, args, frame = entry["kind"], entry["args"], entry.get("frame", 0)
    if not isinstance(kind, str):
        raise UserError(_unknown(name, kind))
    if isinstance(frame, bool) or not isinstance(frame, int):
        raise UserError(f"{name}: its frame {frame!r} is not a whole number")
    if not isinstance(args, (str, list) if kind == "pose" else str if kind not in _NUMBERS else list):
        wanted = "a list of numbers" if kind in _NUMBERS else "text"
        raise UserError(f"{name}: args of {kind} must be {wanted}" if kind in KINDS else _unknown(name, kind))
    return _frame(frame, name), make_target(kind, args, name, folder)


def _unknown(name, kind):
    return f"{name}: unknown kind {kind!r}; known kinds are {', '.join(KINDS)}"


def _frame(frame: int, name: str) -> int:
    if frame < 0:
        raise UserError(f"{name}: frame {frame} is negative; the first frame is 0")
    return frame
