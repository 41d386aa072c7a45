"""A tracker over a clip for any number of queries, each in its own frame, forwards and where asked backwards too.

Queries that begin in one frame share a session, at most `slots` of them; others never meet, so nothing depends on
what else is asked (with `window="target"`, not even within a session). Results are rows, an entry a query and frame.
"""

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
    tracker: Tracker, frames: Frames, queries: Sequence[Query], slots: int, max_frames: int = 0
) -> Found:
    """Follow every query. max_frames: after so many frames of a pass targets stand still, 0 for none (for trials)."""
    seconds, parts = np.zeros(len(frames)), [no_rows()]
    ordered = sorted(queries, key=lambda query: query.frame)
    for start, group in itertools.groupby(ordered, key=lambda query: query.frame):
        for chunk in _chunks(list(group), slots):
            parts.append(_pass(tracker, frames, chunk, range(start, len(frames)), max_frames, seconds))
            if chunk[0].both and start > 0:
                back = _pass(tracker, frames, chunk, range(start, -1, -1), max_frames, seconds)
                parts.append(back.take(back.frame < start))
    return Found(concatenate(parts).ordered(), seconds, frames.size)


def _chunks(queries: list[Query], slots: int) -> Iterator[list[Query]]:
    for both in (False, True):
        some = [query for query in queries if query.both == both]
        yield from (some[first : first + slots] for first in range(0, len(some), slots))


def _pass(tracker, frames, queries, order, max_frames, seconds) -> Rows:
    """One session along `order`, whose first frame is the queries'."""
    tracked = order[:max_frames] if max_frames else order
    found = [rows for rows in _predictions(tracker, frames, queries, tracked, seconds)]
    for frame in order[len(tracked) :]:
        still = found[-1]
        found.append(still._replace(frame=np.full_like(still.frame, frame)))
    return concatenate(found)


def _predictions(tracker, frames, queries, order, seconds) -> Iterator[Rows]:
    session = None
    for index, frame in zip(order, prefetch(frames[index] for index in order)):
        begun = time.perf_counter()
        if session is None:
            session = tracker.init(frame, [query.target for query in queries])
            prediction = tracker.predict(session)
        else:
            session, prediction = tracker.step(session, frame)
        seconds[index] += time.perf_counter() - begun
        yield _named(prediction._replace(frame=index), queries)


def _named(prediction: Prediction, queries: Sequence[Query]) -> Rows:
    """Rows with the queries' ids and categories; a session numbers its targets from 1."""
    rows = to_rows([prediction])
    of = rows.id - 1
    return rows._replace(
        id=np.array([query.id for query in queries], np.int64)[of],
        category=np.array([query.category for query in queries], np.int32)[of],
    )
