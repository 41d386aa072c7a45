"""Passes over a clip: forwards, backwards, in groups that never meet."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.backbones.pixel import pixel_backbone
from difftrack_jax.data.formats import rle
from difftrack_jax.data.frames import ArrayFrames
from difftrack_jax.models import variants
from difftrack_jax.models.unet_adm import UNetADM
from difftrack_jax.runners.following import Query, follow_queries
from difftrack_jax.tracking.indicators import Box, Point, Segment
from difftrack_jax.tracking.session import Tracker
from difftrack_jax.tracking.settings import PRESETS

from .walker import Walker

T = 7
FRAMES = ArrayFrames(np.broadcast_to(np.arange(T, dtype=np.uint8)[:, None, None, None], (T, 8, 20, 3)))


def point(found, target):
    rows = found.rows.take(found.rows.id == target)
    return dict(zip(rows.frame.tolist(), rows.keypoints[:, 0, 0].tolist()))


def test_queries_are_followed_from_their_own_frame_to_the_end():
    found = follow_queries(Walker(), FRAMES, [Query(0, Point(1.0, 2.0), 7), Query(4, Point(5.0, 2.0), 9)], slots=8)
    assert point(found, 7) == {t: 1.0 + t for t in range(T)}
    assert point(found, 9) == {4: 5.0, 5: 6.0, 6: 7.0}
    assert found.rows.count == T + 3
    assert found.size == (20, 8)


def test_both_ways_covers_every_frame_once():
    found = follow_queries(Walker(), FRAMES, [Query(3, Point(5.0, 2.0), 1, both=True)], slots=8)
    # The walker takes a step to the right for each step of the pass, whichever way it goes.
    assert point(found, 1) == {0: 8.0, 1: 7.0, 2: 6.0, 3: 5.0, 4: 6.0, 5: 7.0, 6: 8.0}
    assert found.rows.frame.tolist() == list(range(T))


def test_passes_see_the_frames_in_their_order():
    walker = Walker()
    follow_queries(walker, FRAMES, [Query(2, Point(5.0, 2.0), 1, both=True)], slots=8)
    assert walker.sessions == [(1, [2, 3, 4, 5, 6]), (1, [2, 1, 0])]


def test_only_queries_of_one_frame_share_a_session_and_never_more_than_the_slots():
    walker = Walker()
    queries = [Query(0, Point(float(i), 2.0), i) for i in range(5)] + [Query(2, Point(1.0, 1.0), 5)]
    found = follow_queries(walker, FRAMES, queries, slots=2)
    assert [count for count, _ in walker.sessions] == [2, 2, 1, 1]
    assert {target: point(found, target)[6] for target in range(5)} == {i: i + 6.0 for i in range(5)}


def test_how_queries_are_grouped_changes_nothing():
    queries = [Query(t % 3, Point(float(t), 2.0), t) for t in range(6)]
    whole, alone = (follow_queries(Walker(), FRAMES, queries, slots=slots) for slots in (8, 1))
    for a, b in zip(whole.rows, alone.rows):
        np.testing.assert_array_equal(a, b)


def test_after_max_frames_targets_stand_still():
    found = follow_queries(Walker(), FRAMES, [Query(0, Box(1.0, 1.0, 3.0, 4.0), 1)], slots=1, max_frames=3)
    assert found.rows.box[:, 0].tolist() == [1, 2, 3, 3, 3, 3, 3]
    assert found.seconds[3:].tolist() == [0.0] * 4
    assert (found.seconds[:3] > 0).all()


def test_masks_become_run_lengths_and_categories_stay():
    mask = np.zeros((8, 20), bool)
    mask[2:4, 3:6] = True
    found = follow_queries(Walker(), FRAMES, [Query(5, Segment(mask), 3, category=2)], slots=1)
    assert found.rows.category.tolist() == [2, 2]
    np.testing.assert_array_equal(rle.decode(found.rows.segment[1], (8, 20)), np.roll(mask, 1, axis=1))


def test_nothing_asked_is_nothing_found():
    assert follow_queries(Walker(), FRAMES, [], slots=4).rows.count == 0


def test_sessions_that_are_filled_up_find_the_same():
    walker = Walker()
    queries = [Query(t % 3, Point(float(t), 2.0), t, both=True) for t in range(5)]
    plain = follow_queries(Walker(), FRAMES, queries, slots=4)
    filled = follow_queries(walker, FRAMES, queries, slots=4, filled=True)
    assert {count for count, _ in walker.sessions} == {4}
    for a, b in zip(plain.rows, filled.rows):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_a_query_does_not_depend_on_what_else_is_asked(weights, rng):
    """TAP-Vid's rule, with a network: alone, in company, and in another place of the session."""
    params = weights(UNetADM(**variants.ADM["tiny"]), jnp.zeros((1, 64, 64, 3)), jnp.zeros(1))
    tracker = Tracker(pixel_backbone("tiny", params), dataclasses.replace(PRESETS["fast"], size=64))
    frames = ArrayFrames(rng.integers(0, 255, (4, 64, 64, 3), dtype=np.uint8))
    mine = Query(1, Point(20.0, 30.0), 0, both=True)
    others = [Query(1, Point(float(x), 40.0), i, both=True) for i, x in enumerate((8, 50, 33), 1)]
    alone, first, last = (
        follow_queries(tracker, frames, queries, slots=4, filled=True).rows
        for queries in ([mine], [mine, *others], [*others, mine])
    )
    for company in (first, last):
        for a, b in zip(alone, company.take(company.id == 0)):
            np.testing.assert_array_equal(a, b)
