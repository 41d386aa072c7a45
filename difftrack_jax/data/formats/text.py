"""Text files of numbers, as benchmarks write them: commas, tabs or blanks between; errors name file and line."""

import configparser
import io
import os
import pathlib
from collections.abc import Collection

import numpy as np

from difftrack_jax.errors import UserError
from difftrack_jax.typing import Float


def read_text(path: str | os.PathLike) -> str:
    """A text file whole; UserError when it is not there."""
    try:
        return pathlib.Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as text ({error})") from error


def read_lines(path: str | os.PathLike) -> list[str]:
    """Its lines without the empty ones, stripped."""
    return [line.strip() for line in read_text(path).splitlines() if line.strip()]


def read_numbers(path: str | os.PathLike, columns: Collection[int]) -> Float[np.ndarray, "r c"]:
    """A table of numbers; `columns` are the widths allowed. An empty file is no rows of the first width."""
    text = read_text(path).replace(",", " ").replace(";", " ")
    if not text.strip():
        return np.zeros((0, next(iter(columns))))
    try:
        table = np.loadtxt(io.StringIO(text), np.float64, ndmin=2)
    except ValueError as error:
        raise UserError(f"{path}: {_fault(text, columns)}") from error
    if table.shape[1] not in columns:
        raise UserError(f"{path}: {_fault(text, columns)}")
    return table


def _fault(text: str, columns: Collection[int]) -> str:
    """What is wrong with the first line that is."""
    wanted = " or ".join(map(str, sorted(columns)))
    width = None
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split()
        if not fields:
            continue
        for field in fields:
            try:
                float(field)
            except ValueError:
                return f"line {number} has {field!r} where a number should be"
        width = width or len(fields)
        if len(fields) not in columns or len(fields) != width:
            return f"line {number} has {len(fields)} numbers, {wanted} are needed, as many in each line"
    return "is not a table of numbers"


def read_ini(path: str | os.PathLike, section: str) -> dict[str, str]:
    """One section of an ini file (MOT's seqinfo.ini, GOT-10k's meta_info.ini), keys in lower case."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(read_text(path))
        return dict(parser[section])
    except (configparser.Error, KeyError) as error:
        raise UserError(f"{path}: has no section [{section}]") from error


def integers(values: np.ndarray, path: str | os.PathLike, what: str) -> np.ndarray:
    """Values that must be whole numbers, as int64."""
    rounded = np.rint(values)
    if not np.array_equal(rounded, values):
        raise UserError(f"{path}: {what} {values[rounded != values][0]:g} is not a whole number")
    return rounded.astype(np.int64)
