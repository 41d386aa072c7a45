"""tracks.json back as predictions, with every field checked and named when it is wrong."""

import json
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from difftrack_jax.errors import UserError
from difftrack_jax.typing import Bool, Float, Prediction
from difftrack_jax.visualize.segments import decode_segment

KINDS = ("point", "box", "segment", "pose", "text")


class Field:
    """A piece of JSON that knows where it stands: `tracks.json: frames[3].targets[0].box`."""

    def __init__(self, value: Any, file: str, place: str = ""):
        self.value, self.file, self.place = value, file, place

    def __getitem__(self, key: str) -> "Field":
        if key not in self.of(dict):
            raise self.error(f"has no {key!r}")
        return self.get(key)

    def get(self, key: str) -> "Field":
        return Field(self.value.get(key), self.file, f"{self.place}.{key}".lstrip("."))

    def items(self) -> Iterator["Field"]:
        for index, value in enumerate(self.of(list)):
            yield Field(value, self.file, f"{self.place}[{index}]")

    def of(self, kind: type) -> Any:
        """The value, which must be of this type; a bool is not taken for a number."""
        wanted = (int, float) if kind is float else kind
        if not isinstance(self.value, wanted) or (isinstance(self.value, bool) and kind is not bool):
            names = {dict: "an object", list: "a list", str: "a string", int: "an integer", float: "a number"}
            raise self.error(f"must be {names.get(kind, 'true or false')}, not {json.dumps(self.value)[:40]}")
        return self.value

    def numbers(self, count: int) -> Float[np.ndarray, "count"]:
        """Exactly `count` numbers; null, or a field that is absent, stands for not finite."""
        if self.value is None:
            return np.full(count, np.nan)
        if len(self.of(list)) != count:
            raise self.error(f"must be {count} numbers, not {json.dumps(self.value)[:40]}")
        return np.array([np.nan if item.value is None else item.of(float) for item in self.items()], np.float64)

    def error(self, message: str) -> UserError:
        return UserError(f"{self.file}: {self.place or 'the file'} {message}")


def read_tracks(path: str | os.PathLike) -> tuple[dict[str, Any], list[Prediction]]:
    """The header {"video", "targets"} and one prediction a frame; what a kind has not is NaN or None."""
    try:
        data = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise UserError(f"{path}: is not JSON ({error})") from error
    root = Field(data, str(path))
    header = {"video": root["video"].of(dict), "targets": root["targets"].of(list)}
    kinds = {}
    for target in root["targets"].items():
        kind = target["kind"].of(str)
        if kind not in KINDS:
            raise target["kind"].error(f"must be one of {', '.join(KINDS)}, not {kind!r}")
        kinds[target["id"].of(int)] = kind
    return header, [_prediction(frame, kinds) for frame in root["frames"].items()]


def _prediction(frame: Field, kinds: Mapping[int, str]) -> Prediction:
    targets = list(frame["targets"].items())
    for target in targets:
        if target["id"].of(int) not in kinds:
            raise target["id"].error(f"is {target.value['id']}, which the list of targets lacks")
    ids = [target.value["id"] for target in targets]
    return Prediction(
        frame=frame["frame"].of(int),
        id=np.array(ids, np.int64),
        kind=tuple(kinds[target] for target in ids),
        point=np.array([target.get("point").numbers(2) for target in targets]).reshape(-1, 2),
        box=np.array([target.get("box").numbers(4) for target in targets]).reshape(-1, 4),
        segment=tuple(_segment(target.get("segment")) for target in targets),
        pose=tuple(_pose(target.get("pose")) for target in targets),
        visible=np.array([target["visible"].of(bool) for target in targets], bool),
        score=np.array([target["score"].of(float) for target in targets], np.float64),
    )


def _segment(field: Field) -> Bool[np.ndarray, "h w"] | None:
    if field.value is None:
        return None
    size, counts = field["size"].numbers(2), field["counts"].of(str)
    try:
        return decode_segment({"size": [int(side) for side in size], "counts": counts})
    except ValueError as error:
        raise field.error(f"is no COCO RLE: {error}") from error


def _pose(field: Field) -> Float[np.ndarray, "j 3"] | None:
    if field.value is None:
        return None
    return np.array([joint.numbers(3) for joint in field.items()]).reshape(-1, 3)
