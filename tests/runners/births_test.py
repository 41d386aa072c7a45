"""Whom a benchmark begins with, and where."""

import numpy as np
import pytest

from difftrack_jax.data.formats import rle, tapvid
from difftrack_jax.data.frames import ArrayFrames
from difftrack_jax.data.records import make_clip, make_rows, no_rows
from difftrack_jax.errors import UserError
from difftrack_jax.runners import births
from difftrack_jax.tracking.indicators import Box, Segment

FRAMES = ArrayFrames(np.zeros((6, 10, 20, 3), np.uint8))


def boxes(*rows, **columns):
    """Rows of (frame, id), each with a box of its own."""
    frame, target = zip(*rows)
    box = [[t, 1, t + 2, 4] for t in target]
    return make_rows(frame, id=target, category=[3] * len(rows), box=box, **columns)


def test_first_takes_the_first_labelled_frame_that_shows_any():
    rows = boxes((1, 5), (2, 5), (2, 6), (3, 7))
    clip = make_clip("x", FRAMES, rows, labelled=[True, False, True, True, True, True])
    asked = births.first(clip, "box")
    assert [(query.frame, query.id, query.category) for query in asked] == [(2, 5, 3), (2, 6, 3)]
    assert asked[0].target == Box(5.0, 1.0, 7.0, 4.0)
    assert not any(query.both for query in asked)


def test_appearance_takes_every_target_where_it_is_first_seen():
    rows = boxes((0, 5), (2, 5), (1, 6), (2, 6), (4, 7), visible=[False, True, True, True, True])
    asked = births.appearance(make_clip("x", FRAMES, rows), "box")
    assert sorted((query.frame, query.id) for query in asked) == [(1, 6), (2, 5), (4, 7)]


def test_what_is_ignored_is_never_begun_with():
    rows = boxes((0, 5), (0, 6), ignore=[True, False])
    assert [query.id for query in births.first(make_clip("x", FRAMES, rows), "box")] == [6]


def test_detections_begin_in_the_first_frame_that_has_any():
    found = make_rows([2, 2, 2, 3], box=[[1, 1, 4, 4], [2, 2, 2, 5], [30, 1, 40, 5], [1, 1, 3, 3]])
    asked = births.detections(make_clip("x", FRAMES, boxes((0, 1)), detections=found), "box")
    # One has no width, one lies outside the frame.
    assert [(query.frame, query.id, query.category) for query in asked] == [(2, 1, 1)]
    with pytest.raises(UserError, match=r"x: has no detections; give --config\.detections=DIR"):
        births.detections(make_clip("x", FRAMES, boxes((0, 1)), detections=no_rows()), "box")


def test_segments_come_as_masks():
    mask = np.zeros((10, 20), bool)
    mask[3:5, 6:9] = True
    rows = make_rows([0], id=[4], segment=[rle.encode(mask)])
    (query,) = births.first(make_clip("x", FRAMES, rows), "segment")
    assert isinstance(query.target, Segment)
    np.testing.assert_array_equal(query.target.mask, mask)


def test_poses_come_as_their_visible_joints():
    pose = np.array([[[5, 5, 1], [0, 0, 0], [7, 3, 1], [25, 5, 1]]], float)  # the last lies outside
    (query,) = births.first(make_clip("x", FRAMES, make_rows([0], id=[3], keypoints=pose)), "pose")
    assert query.id == 3
    np.testing.assert_array_equal(query.target.joints, [[5, 5, 1], [0, 0, 0], [7, 3, 1], [0, 0, 0]])


def test_a_split_without_truth_says_so():
    with pytest.raises(UserError, match="x: has no ground truth to begin from"):
        births.first(make_clip("x", FRAMES), "box")


def test_text_needs_a_tracker_that_reads():
    clip = make_clip("x", FRAMES, captions=((0, "a red car"),))
    if hasattr(births.indicators, "Text"):
        assert [query.frame for query in births.text(clip, "box")] == [0]
    else:
        with pytest.raises(UserError, match="no text indication"):
            births.text(clip, "box")


@pytest.mark.parametrize("mode", ["first", "strided"])
def test_points_are_asked_as_tapvid_samples_them(rng, mode):
    tracks = tapvid.Tracks(rng.random((4, 6, 2), np.float32), rng.random((4, 6)) < 0.4)
    clip = make_clip("x", FRAMES, tapvid.to_rows(tracks, FRAMES.size))
    asked, sampled = births.points(clip, mode, (256, 256))
    assert len(asked) == len(sampled.points)
    assert [query.id for query in asked] == list(range(len(asked)))
    assert all(query.both == (mode == "strided") for query in asked)
    for query, track in zip(asked, sampled.track):
        assert not tracks.occluded[track, query.frame]
        x, y = tracks.points[track, query.frame] * 256
        np.testing.assert_allclose((query.target.x, query.target.y), (x, y), atol=1e-3)
    with pytest.raises(UserError, match="known are first, strided"):
        births.points(clip, "last", (256, 256))


def test_a_point_on_the_border_is_inside():
    tracks = tapvid.Tracks(np.ones((1, 6, 2), np.float32), np.zeros((1, 6), bool))
    clip = make_clip("x", FRAMES, tapvid.to_rows(tracks, FRAMES.size))
    (query,), _ = births.points(clip, "first", (256, 256))
    assert query.target.x < 256
    assert query.target.x > 255.99
