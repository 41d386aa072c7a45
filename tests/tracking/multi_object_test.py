"""Births, gaps and deaths, on frames whose matches are exact."""

import dataclasses

import numpy as np
import pytest

from difftrack_jax.detectors.base import Detections
from difftrack_jax.errors import UserError
from difftrack_jax.tracking.multi_object import MultiObject, Rules
from difftrack_jax.tracking.session import Tracker
from difftrack_jax.tracking.settings import Settings

from .oracle import colourful, oracle, shifted

FRAME = colourful(96, 128)
A, B = np.array([16.0, 16, 48, 40]), np.array([72.0, 40, 104, 72])
SETTINGS = Settings(size=128, window="frame", top_k=None)
NONE = np.zeros((0, 4)), np.zeros(0)


@pytest.fixture(scope="module")
def tracker():
    return Tracker(oracle(), SETTINGS)


def run(tracker, detections, rules=Rules(), dx=0):  # noqa: B008
    """Tracks of every frame of a picture that moves by dx pixels a frame."""
    objects = MultiObject(tracker, rules)
    crowd, out = objects.empty(), []
    for t, (boxes, scores) in enumerate(detections):
        crowd, tracks = objects.step(crowd, shifted(FRAME, t * dx, 0), Detections(boxes, scores))
        out.append(tracks)
    return out


def both(score=0.9):
    return np.stack([A, B]), np.full(2, score)


def test_targets_of_the_first_frame_are_shown_at_once_and_keep_their_ids(tracker):
    out = run(tracker, [both()] * 3)
    assert [sorted(tracks.id.tolist()) for tracks in out] == [[1, 2]] * 3
    np.testing.assert_allclose(out[-1].box[0], A, atol=2)


def test_a_gap_in_the_detections_is_bridged_by_the_tracker_and_the_id_is_kept(tracker):
    at = lambda t: (np.stack([A, B]) + np.array([8.0 * t, 0, 8.0 * t, 0]), np.full(2, 0.9))
    out = run(tracker, [at(0), at(1), NONE, at(3)], dx=8)
    assert [sorted(tracks.id.tolist()) for tracks in out] == [[1, 2]] * 4
    np.testing.assert_allclose(out[2].box[0], A + [16, 0, 16, 0], atol=4)


def test_a_later_target_is_shown_when_a_second_frame_confirms_it(tracker):
    one = (A[None], np.array([0.9]))
    out = run(tracker, [one, both(), both()])
    assert [sorted(tracks.id.tolist()) for tracks in out] == [[1], [1], [1, 2]]


def test_a_false_alarm_of_one_frame_is_never_shown_and_its_id_is_not_given_again(tracker):
    one = (A[None], np.array([0.9]))
    out = run(tracker, [one, both(), one, both(), both()])
    assert [sorted(tracks.id.tolist()) for tracks in out] == [[1], [1], [1], [1], [1, 3]]


def test_doubtful_detections_confirm_but_never_begin(tracker):
    out = run(tracker, [(A[None], np.array([0.9])), both(0.2), both(0.2)])
    assert [tracks.id.tolist() for tracks in out] == [[1]] * 3
    assert out[-1].score[0] == pytest.approx(0.2)


def test_a_target_without_detections_is_let_go_in_the_end(tracker):
    rules = Rules(coast=1, forget=2)
    out = run(tracker, [both(), NONE, NONE, NONE, both(), both()], rules)
    assert [len(tracks.id) for tracks in out] == [2, 2, 0, 0, 0, 2]
    assert sorted(out[-1].id.tolist()) == [3, 4]


def test_nothing_detected_is_nothing_tracked(tracker):
    assert all(len(tracks.id) == 0 for tracks in run(tracker, [NONE, NONE]))


def test_isolated_windows_work_behind_the_same_rules():
    settings = dataclasses.replace(SETTINGS, window="target", size=64)
    out = run(Tracker(oracle(), settings), [both()] * 2)
    assert sorted(out[-1].id.tolist()) == [1, 2]


def test_boxes_and_scores_must_agree_and_boxes_that_are_none_are_dropped(tracker):
    with pytest.raises((UserError, TypeError)):
        run(tracker, [(np.stack([A, B]), np.array([0.9]))])
    bad = np.stack([A, [np.nan] * 4, [5, 5, 5, 9], [500, 500, 600, 600]])
    assert run(tracker, [(bad, np.full(4, 0.9))])[0].id.tolist() == [1]


def seen(t, **fields):
    """Both targets, t blocks of eight pixels further to the right."""
    boxes = np.stack([A, B]) + np.array([8.0 * t, 0, 8.0 * t, 0])
    return Detections(boxes, np.full(2, 0.9), **fields)


def follow(tracker, detections):
    objects = MultiObject(tracker)
    crowd, out = objects.empty(), []
    for t, found in enumerate(detections):
        crowd, prediction = objects.step(crowd, shifted(FRAME, 8 * t, 0), found)
        out.append(prediction)
    return out


def test_masks_begin_segments_which_the_tracker_carries_through_a_gap(tracker):
    masks = np.zeros((2, 96, 128), bool)
    for mask, (x0, y0, x1, y1) in zip(masks, np.stack([A, B]).astype(int)):
        mask[y0:y1, x0:x1] = True
    at = lambda t: seen(t, masks=np.stack([shifted(mask[..., None], 8 * t, 0)[..., 0] for mask in masks]))
    out = follow(tracker, [at(0), at(1), Detections(*NONE), at(3)])
    assert [found.kind for found in out] == [("segment", "segment")] * 4
    assert [found.id.tolist() for found in out] == [[1, 2]] * 4
    for t, found in enumerate(out):
        for mask, wanted in zip(found.segment, at(t).masks):
            overlap = (mask & wanted).sum() / (mask | wanted).sum()
            assert overlap == 1.0 if t != 2 else overlap > 0.7


def test_joints_begin_poses_which_the_tracker_carries_through_a_gap(tracker):
    joints = np.array([[[24.0, 20, 0.9], [40, 24, 0.8], [32, 36, 0.9], [30, 30, 0.1]]])
    joints = np.concatenate([joints, joints + [[[56, 30, 0]]]])
    at = lambda t: seen(t, keypoints=joints + np.array([8.0 * t, 0, 0]))
    out = follow(tracker, [at(0), at(1), Detections(*NONE), at(3)])
    assert [found.kind for found in out] == [("pose", "pose")] * 4
    assert [found.id.tolist() for found in out] == [[1, 2]] * 4
    for t, found in enumerate(out):
        for pose, wanted in zip(found.pose, at(t).keypoints):
            assert pose[:, 2].tolist() == [1, 1, 1, 0]  # the last joint was never there
            np.testing.assert_allclose(pose[:3, :2], wanted[:3, :2], atol=4.0)


def test_a_target_keeps_the_class_it_was_born_with(tracker):
    out = follow(tracker, [seen(0, labels=("person", "dog")), seen(1, labels=("cat", "dog"))])
    assert [found.label for found in out] == [("person", "dog")] * 2
    assert follow(tracker, [seen(0)])[0].label == ()
