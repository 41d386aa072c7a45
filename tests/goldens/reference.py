"""What the reference libraries answer: asked here and now where they are installed, else as recorded."""

import functools
import json
import pathlib

import numpy as np
import pytest

from . import record_reference

MODES = ("recorded", "live")


@functools.cache
def answers(case: str, mode: str) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """(outputs, state dict) of a case of record_reference.py; skips where live answers cannot be had."""
    if mode == "live":
        for library in ("torch", "diffusers", "transformers"):
            pytest.importorskip(library, reason="the reference libraries are not installed (extra `reference`)")
        outputs, shapes = record_reference.CASES[case]()
    else:
        folder = pathlib.Path(__file__).resolve().parent / "reference"
        outputs = dict(np.load(folder / f"{case}.npz"))
        shapes = json.loads((folder / f"{case}.json").read_text())
    return outputs, record_reference.formula.state(shapes)


def outputs(case: str, mode: str) -> dict[str, np.ndarray]:
    return answers(case, mode)[0]


def config(case: str) -> dict:
    return dict(record_reference.CONFIGS[case])


def close(got, want, relative: float = 1e-4) -> None:
    """The largest error over the largest value."""
    got = np.asarray(got)
    assert got.shape == want.shape
    error = np.abs(got - want).max() / np.abs(want).max()
    assert error < relative, error


def last(array: np.ndarray) -> np.ndarray:
    """Channel-first to channel-last."""
    return np.moveaxis(array, 1, -1)
