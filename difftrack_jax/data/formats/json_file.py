"""JSON files of annotations: opened once, and a clear line when a field is not there."""

import json
import os
import pathlib
from typing import Any

from difftrack_jax.errors import UserError


def read_json(path: str | os.PathLike, kind: type = dict, fields: tuple[str, ...] = ()) -> Any:
    """What a file holds. UserError when it is absent, no JSON, not of this kind, or lacks one of the fields."""
    try:
        data = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: is not readable JSON ({error})") from error
    if not isinstance(data, kind):
        raise UserError(f"{path}: must hold {'an object' if kind is dict else 'a list'}")
    for field in fields:
        if field not in data:
            raise UserError(f"{path}: has no {field!r}")
    return data


class Entries:
    """Turns a missing or wrong field of one entry into a line that names the file and the entry.

    with Entries(path, "annotations[3]"): entry["bbox"]
    """

    def __init__(self, path: str | os.PathLike, place: str):
        self.path, self.place = path, place

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind, error, trace) -> None:
        if isinstance(error, KeyError):
            raise UserError(f"{self.path}: {self.place} has no {error.args[0]!r}") from error
        if isinstance(error, (TypeError, ValueError)) and not isinstance(error, UserError):
            raise UserError(f"{self.path}: {self.place} is not as it should be ({error})") from error
