"""A tracker over a clip for any number of queries, each in its own frame, forwards and where asked backwards too.

Queries that begin in one frame share a session, at most `slots` of them; others never meet, so nothing depends on
what else is asked (with `window="target"`, not even within a session). Results are rows, an entry a query and frame.
"""

import functools
import itertools
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from difftrack_jax.data.frames import Frames
from difftrack_jax.data.records import Rows, concatenate, no_rows
from difftrack_jax.data.video import prefetch
from difftrack_jax.tracking.indicators import Target
from difftrack_jax.tracking.session import Tracker
from difftrack_jax.typing import Float, Prediction
from difftrack_jax.visualize.export import to_rows


class Query(NamedTuple):
    """A target given in a frame. id: of its rows. both: track towards the first frame as well as the last."""

    frame: int
    target: Target
    id: int
    category: int = 1
    both: bool = False


class Found(NamedTuple):
    """Rows of all queries by frame and id, and the seconds that each frame took.

    size: (width, height) of the frames that were tracked in. asked: of TAP-Vid, its queries as t, y, x.
    """

    rows: Rows
    seconds: Float[np.ndarray, "t"]
    size: tuple[int, int]
    asked: Float[np.ndarray, "q 3"] | None = None


def follow_queries(
    tracker: Tracker, frames: Frames, queries: Sequence[Query], slots: int, max_frames: int = 0, filled: bool = False
) -> Found:
    """Follow every query. max_frames: after so many frames of a pass targets stand still, 0 for none (for trials).

    filled: sessions that are not full are filled up with copies of their last target. One program then serves all, so
    that a query's answer is the same to the last bit whatever else was asked.
    """
    seconds, parts = np.zeros(len(frames)), [no_rows()]
    ordered = sorted(queries, key=lambda query: query.frame)
    for start, group in itertools.groupby(ordered, key=lambda query: query.frame):
        for chunk in _chunks(list(group), slots):
            targets = [query.target for query in chunk]
            targets += targets[-1:] * (slots - len(targets)) if filled else []
            follow = functools.partial(_pass, tracker, frames, chunk, targets, max_frames, seconds)
            parts.append(follow(range(start, len(frames))))
            if chunk[0].both and start > 0:
                back = follow(range(start, -1, -1))
                parts.append(back.take(back.frame < start))
    return Found(concatenate(parts).ordered(), seconds, frames.size)


def _chunks(queries: list[Query], slots: int) -> Iterator[list[Query]]:
    for both in (False, True):
        some = [query for query in queries if query.both == both]
        yield from (some[first : first + slots] for first in range(0, len(some), slots))


def _pass(tracker, frames, queries, targets, max_frames, seconds, order) -> Rows:
    """One session along `order`, whose first frame is the queries'. Targets beyond the queries only fill it."""
    tracked = order[:max_frames] if max_frames else order
    found = [_named(p, queries) for p in _predictions(tracker, frames, targets, tracked, seconds)]
    for frame in order[len(tracked) :]:
        still = found[-1]
        found.append(still._replace(frame=np.full_like(still.frame, frame)))
    return concatenate(found)


def _predictions(tracker, frames, targets, order, seconds) -> Iterator[Prediction]:
    session = None
    for index, frame in zip(order, prefetch(frames[index] for index in order)):
        begun = time.perf_counter()
        if session is None:
            session = tracker.init(frame, targets)
            prediction = tracker.predict(session)
        else:
            session, prediction = tracker.step(session, frame)
        seconds[index] += time.perf_counter() - begun
        yield prediction._replace(frame=index)


def _named(prediction: Prediction, queries: Sequence[Query]) -> Rows:
    """Rows with the queries' ids and categories; a session numbers its targets from 1."""
    rows = to_rows([prediction])
    rows = rows.take(rows.id <= len(queries))
    of = rows.id - 1
    return rows._replace(
        id=np.array([query.id for query in queries], np.int64)[of],
        category=np.array([query.category for query in queries], np.int32)[of],
    )
