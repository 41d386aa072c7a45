"""A video or clip with detections in every frame through `MultiObject`: births, matches and deaths online.

Where detections come from is the config's business (`seen_by`): a file, or a detector that looks at each frame.
"""

import contextlib
import dataclasses
import pathlib
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import ml_collections
import numpy as np

from difftrack_jax.data.formats import rle
from difftrack_jax.data.records import Clip, Rows, concatenate, make_rows, no_rows
from difftrack_jax.data.video import prefetch
from difftrack_jax.detectors import loading
from difftrack_jax.detectors.base import Detections, Seen, chosen, nothing
from difftrack_jax.errors import UserError
from difftrack_jax.runners.following import Found
from difftrack_jax.tracking import corrections
from difftrack_jax.tracking.indicators import Target
from difftrack_jax.tracking.multi_object import Crowd, MultiObject, Rules
from difftrack_jax.tracking.session import Session, Tracker
from difftrack_jax.tracking.stream import Tracked
from difftrack_jax.typing import HostFrame
from difftrack_jax.visualize.export import to_rows


def rules_from(config: ml_collections.ConfigDict) -> Rules:
    """The rules of `config.rules`, each in its own type. Raises UserError for one that is not known."""
    kinds = {field.name: type(field.default) for field in dataclasses.fields(Rules)}
    for name in config.rules:
        if name not in kinds:
            raise UserError(f"rules.{name}: no such rule; there are {', '.join(kinds)}")
    return Rules(**{name: kinds[name](value) for name, value in config.rules.items()})


def settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """A user's settings for many targets: unless they say otherwise, one pass over the frame follows them all."""
    pass_over_frame = {"window": "frame", "size": 512}
    return {**({} if given.get("window", "frame") != "frame" else pass_over_frame), **given}


def seen_by(config: ml_collections.ConfigDict, file: str | pathlib.Path | None = None) -> Seen | None:
    """Detections of `file` or by `config.detector`, with `min_score` and `classes` applied; None where there are none.

    Raises UserError for a file or detector that is not there or wrong, and when both are given.
    """
    if file and config.detector:
        raise UserError("detector: give this or detections, not both")
    classes = [name.strip() for name in config.classes.split(",") if name.strip()]
    if file:
        return loading.of_file(str(file), _least(config), classes)
    return loading.load(config.detector, _least(config), classes) if config.detector else None


def public(clip: Clip, config: ml_collections.ConfigDict) -> Seen:
    """The detections that a benchmark hands out. Raises UserError where it hands out none."""
    if not clip.detections.count:
        raise UserError(f"{clip.name}: has no detections; give --config.detections=DIR or --config.births=first")
    if config.classes:
        raise UserError(f"classes: the detections of {clip.name} are of no class; leave it empty")

    def seen(index: int, frame: HostFrame) -> Detections:
        rows = clip.detections.in_frame(index)
        return chosen(Detections(rows.box, rows.score), _least(config))

    return seen


def _least(config: ml_collections.ConfigDict) -> float:
    return config.min_score or -np.inf


def follow(
    objects: MultiObject, frames: Iterable[HostFrame], seen: Seen, crowd: Crowd | None = None, start: int = 0
) -> Iterator[Tracked]:
    """Every frame in turn, no future ones; the session of what is yielded is a `Crowd`, None before the first target.

    To go on: the frames from `start`, and the crowd after the one before.
    """
    crowd = objects.empty()._replace(index=start) if crowd is None else crowd
    for index, frame in enumerate(frames, start):
        crowd, prediction = objects.step(crowd, frame, seen(index, frame))
        yield Tracked(frame, None if crowd.session is None else crowd, prediction)


def like(objects: MultiObject, session: Session) -> Crowd:
    """A crowd in the structure of any other, whatever is in it."""
    return objects.empty()._replace(session=session)


def follow_detections(tracker: Tracker, clip: Clip, seen: Seen, rules: Rules, max_frames: int = 0) -> Found:
    """A benchmark's clip. max_frames: nothing is shown after so many, 0 for none (for trials)."""
    objects = MultiObject(tracker, rules)
    crowd, parts = objects.empty(), [no_rows()]
    seconds = np.zeros(len(clip.frames))
    order = range(min(len(clip.frames), max_frames or len(clip.frames)))
    for index, frame in zip(order, prefetch(clip.frames[index] for index in order)):
        begun = time.perf_counter()
        crowd, prediction = objects.step(crowd, frame, seen(index, frame))
        seconds[index] = time.perf_counter() - begun
        rows = to_rows([prediction])
        parts.append(rows._replace(category=np.ones(rows.count, np.int32)))
    return Found(concatenate(parts).ordered(), seconds, clip.frames.size)


def first_seen(frames: Iterable[HostFrame], seen: Seen, rules: Rules, least: float = -np.inf) -> tuple[int, Detections]:
    """The first frame in which something is detected with at least this score, and what; the last where nothing is."""
    index, found = 0, nothing()
    with contextlib.closing(prefetch(frames)) as arriving:
        for index, frame in enumerate(arriving):
            found = corrections.usable(seen(index, frame), frame.shape[:2], rules.joint)
            found = found.take(found.scores >= least)
            if found.count:
                break
    return index, found


def targets_of(found: Detections) -> list[Target]:
    """Each as the segment, pose or box that it is."""
    return [corrections.target(found, index) for index in range(found.count)]


def rows_of(frame: int, found: Detections) -> Rows:
    """Detections as a benchmark hands them out."""
    n = found.count
    columns = {} if found.keypoints is None else {"keypoints": found.keypoints}
    if found.masks is not None:
        columns["segment"] = [rle.encode(mask) for mask in found.masks]
    return make_rows(np.full(n, frame), box=found.boxes, score=found.scores, **columns)
