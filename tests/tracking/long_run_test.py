"""A thousand frames in which targets are hidden, join and leave at random: nothing grows, nothing compiles again."""

import itertools

import jax
import numpy as np
import pytest

from difftrack_jax.tracking.indicators import Box, Point
from difftrack_jax.tracking.session import Tracker
from difftrack_jax.tracking.settings import Settings

from .oracle import colourful, oracle, shifted

FRAMES, HEIGHT, WIDTH, MOST = 1000, 96, 128, 3


def frame_at(first, t):
    """The scene swings to and fro; every fifty frames a grey bar crosses it for ten."""
    frame = shifted(first, round(6 * np.sin(t / 9)), round(4 * np.cos(t / 11)))
    if t % 50 < 10:
        left = 12 * (t % 50)
        frame = frame.copy()
        frame[:, left : left + 24] = 127
    return frame


def random_target(rng):
    x, y = rng.uniform(30, 90), rng.uniform(30, 60)
    return Point(x, y) if rng.uniform() < 0.5 else Box(x - 10, y - 8, x + 10, y + 8)


def long_run(track, frames):
    """Every prediction, every id that was given, and live memory by the number of slots, now and then."""
    rng, first = np.random.default_rng(7), colourful(HEIGHT, WIDTH)
    session = track.init(first, [random_target(rng)])
    given, predictions, memory = [1], [], {}
    for t in range(1, frames):
        frame = frame_at(first, t)
        session, prediction = track.step(session, frame)
        predictions.append(prediction)
        here = sorted({*session.ids.flat} - {0})
        if len(here) > 1 and rng.uniform() < 0.04:
            session = track.remove(session, int(rng.choice(here)))
        if len(here) < MOST and rng.uniform() < 0.05:
            given.append(session.next_id)
            session = track.add(session, frame, random_target(rng))
        if t % 20 == 0:
            memory.setdefault(session.ids.size, []).append(sum(array.nbytes for array in jax.live_arrays()))
    return given, predictions, memory


@pytest.mark.slow
def test_a_thousand_frames_with_targets_that_come_and_go():
    track = Tracker(oracle(), Settings(size=32, point_side=0.4))
    given, predictions, memory = long_run(track, FRAMES)
    assert len(given) > 25
    assert given == list(range(1, len(given) + 1))  # no id is given twice
    for before, after in itertools.pairwise(predictions):
        gone = set(before.id.tolist()) - set(after.id.tolist())
        later = predictions[after.frame + 1 : after.frame + 50]
        assert all(number not in p.id for number in gone for p in later)
    # Slots only double: a program for each capacity that was needed, and none beside.
    assert set(memory) <= {1, 2, 4}
    assert track._steps[0]._cache_size() <= 3
    for held in memory.values():
        assert held[-1] <= 1.01 * held[0]
    # The same seed again, with the same tracker: the same comings and goings, to the last bit.
    ids, again, _ = long_run(track, 120)
    assert ids == given[: len(ids)]
    for one, other in zip(predictions, again):
        np.testing.assert_array_equal(one.box, other.box)
        np.testing.assert_array_equal(one.id, other.id)
