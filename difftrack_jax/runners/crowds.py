"""A clip with detections in every frame through `MultiObject`: the online way to track a multi-object benchmark."""

import dataclasses
import time

import ml_collections
import numpy as np

from difftrack_jax.data.records import Clip, Rows, concatenate, make_rows, no_rows
from difftrack_jax.data.video import prefetch
from difftrack_jax.errors import UserError
from difftrack_jax.runners.following import Found
from difftrack_jax.tracking.multi_object import MultiObject, Rules, Tracks
from difftrack_jax.tracking.session import Tracker


def rules_from(config: ml_collections.ConfigDict) -> Rules:
    """The rules of `config.rules`, each in its own type. Raises UserError for one that is not known."""
    kinds = {field.name: type(field.default) for field in dataclasses.fields(Rules)}
    for name in config.rules:
        if name not in kinds:
            raise UserError(f"rules.{name}: no such rule; there are {', '.join(kinds)}")
    return Rules(**{name: kinds[name](value) for name, value in config.rules.items()})


def follow_detections(tracker: Tracker, clip: Clip, rules: Rules, max_frames: int = 0) -> Found:
    """Every frame in turn, no future ones. max_frames: nothing is shown after so many, 0 for none (for trials)."""
    if not clip.detections.count:
        raise UserError(f"{clip.name}: has no detections; give --config.detections=DIR or --config.births=first")
    objects = MultiObject(tracker, rules)
    crowd, parts = objects.empty(), [no_rows()]
    seconds = np.zeros(len(clip.frames))
    order = range(min(len(clip.frames), max_frames or len(clip.frames)))
    for index, frame in zip(order, prefetch(clip.frames[index] for index in order)):
        begun = time.perf_counter()
        found = clip.detections.in_frame(index)
        crowd, tracks = objects.step(crowd, frame, found.box, found.score)
        seconds[index] = time.perf_counter() - begun
        parts.append(_rows(index, tracks))
    return Found(concatenate(parts).ordered(), seconds, clip.frames.size)


def _rows(frame: int, tracks: Tracks) -> Rows:
    n = len(tracks.id)
    return make_rows(np.full(n, frame), id=tracks.id, box=tracks.box, score=tracks.score, category=np.ones(n, int))
