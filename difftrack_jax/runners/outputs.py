"""What a tracked video leaves in its workdir, made from the lines that were recorded frame by frame.

Reading them back one at a time keeps memory flat, and lets a run that was killed here just do it again.
"""

import contextlib
import importlib.metadata
import json
import os
import pathlib
import resource
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import numpy as np

from difftrack_jax import __version__
from difftrack_jax.data.video import Source, prefetch
from difftrack_jax.typing import HostFrame, Prediction
from difftrack_jax.visualize import draw, exchange, export
from difftrack_jax.visualize.files import atomic_write
from difftrack_jax.visualize.video import VideoWriter

# "mot" and "masks" are written as the frames go by, the other official formats at once.
OFFICIAL = tuple(name for name in exchange.FORMATS if name not in ("mot", "davis"))
KNOWN = ("json", "mot", "overlay", "masks", *OFFICIAL)


def replay(partial: pathlib.Path) -> Iterator[Prediction]:
    """The predictions in a `tracks.partial.jsonl`, one at a time."""
    with partial.open(encoding="utf-8") as file:
        for frame in map(json.loads, file):
            yield _prediction(frame)


def _prediction(frame: dict[str, Any]) -> Prediction:
    targets = frame["targets"]

    def numbers(key, count):
        return np.array([t.get(key, [np.nan] * count) for t in targets], np.float64).reshape(-1, count)

    def each(key, read):
        return tuple(read(t[key]) if key in t else None for t in targets)

    return Prediction(
        frame=frame["frame"],
        id=np.array([t["id"] for t in targets], np.int64),
        kind=tuple(t["kind"] for t in targets),
        point=numbers("point", 2),
        box=numbers("box", 4),
        segment=each("segment", export.decode_segment),
        pose=each("pose", lambda pose: np.array(pose, np.float64).reshape(-1, 3)),
        visible=np.array([t["visible"] for t in targets], bool),
        score=np.array([t["score"] for t in targets], np.float64),
        label=tuple(t.get("label", "") for t in targets),
    )


def write_overlay(path: pathlib.Path, source: Source, predictions: Iterable[Prediction]) -> None:
    """The video again, with its tracks drawn on it."""
    with overlay(path, source) as show, contextlib.closing(prefetch(source.iterate())) as frames:
        for frame, prediction in zip(frames, predictions):
            show(frame, prediction)


@contextlib.contextmanager
def overlay(path: pathlib.Path, source: Source) -> Iterator[Any]:
    """`show(frame, prediction)` for each frame; the file appears at the end."""
    trails = draw.Trails()
    with VideoWriter(path, source.fps, source.width, source.height) as video:

        def show(frame: HostFrame, prediction: Prediction) -> None:
            named = zip(prediction.id.tolist(), prediction.label)
            labels = {number: f"{label} {number}" for number, label in named if label}
            video.write(draw.draw(frame, prediction, trails.update(prediction), labels))

        yield show


def write_official(folder: pathlib.Path, wanted: Iterable[str], source: Source, partial: pathlib.Path) -> None:
    """The formats of exchange.py that are wanted."""
    chosen = [name for name in OFFICIAL if name in wanted]
    if chosen:
        rows = export.to_rows(replay(partial))
        with partial.open("rb") as file:
            video = exchange.Video(source.width, source.height, sum(1 for _ in file))
        for name in chosen:
            exchange.write(name, folder, rows, video)


def write_json(path: pathlib.Path, data: dict[str, Any]) -> None:
    """A JSON file, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(data, indent=1) + "\n")


def machine() -> dict[str, Any]:
    """Where a run took place: device and versions."""
    device = jax.devices()[0]
    versions = {name: importlib.metadata.version(name) for name in ("jax", "flax", "numpy", "av")}
    return {
        "device": f"{jax.device_count()} x {device.device_kind} ({device.platform})",
        "cores": os.cpu_count(),
        "versions": {
            "difftrack_jax": __version__,
            "python": sys.version.split()[0],
            **versions,
        },
    }


def resident_mb() -> float | None:
    """Memory of this process now; None where the system does not tell."""
    with contextlib.suppress(OSError, StopIteration):
        lines = pathlib.Path("/proc/self/status").read_text().splitlines()
        return round(int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024, 1)
    return None


def peak_mb() -> float:
    """The most memory this process has had."""
    unit = 1024**2 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 1)
