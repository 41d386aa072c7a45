"""Detections as targets, and targets put where detections are."""

import numpy as np
import pytest

from difftrack_jax.detectors.base import Detections
from difftrack_jax.errors import UserError
from difftrack_jax.tracking import corrections
from difftrack_jax.tracking.indicators import Box, Point, Pose, Segment
from difftrack_jax.tracking.session import Tracker
from difftrack_jax.tracking.settings import Settings

from .oracle import colourful, oracle

SIZE = (96, 128)
FRAME = colourful(*SIZE)
JOINTS = np.array([[40.0, 40, 1], [56, 44, 1], [48, 60, 1]])


def square(x, y, side=24):
    mask = np.zeros(SIZE, bool)
    mask[y : y + side, x : x + side] = True
    return mask


def ellipse(x, y):
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    return ((columns - x) / 20.0) ** 2 + ((rows - y) / 12.0) ** 2 < 1


def test_masks_and_joints_say_what_a_detection_is_and_where_its_box_lies():
    boxes, scores = np.array([[0.0, 0, 90, 90]]), np.ones(1)
    (found,) = [corrections.usable(Detections(boxes, scores, ("dog",), square(16, 8)[None]), SIZE, 0.3)]
    np.testing.assert_array_equal(found.boxes, [[16, 8, 40, 32]])
    assert isinstance(corrections.target(found, 0), Segment)
    keypoints = np.array([[[10, 20, 0.9], [30, 25, 0.4], [60, 60, 0.2], [20, 120, 0.9]]])
    found = corrections.usable(Detections(boxes, scores, keypoints=keypoints), SIZE, 0.3)
    np.testing.assert_array_equal(found.boxes, [[10, 20, 30, 25]])  # one joint is doubtful, one lies outside
    np.testing.assert_array_equal(corrections.target(found, 0).joints[:, 2], [1, 1, 0, 0])
    assert corrections.target(corrections.usable(Detections(boxes, scores), SIZE, 0.3), 0) == Box(0.0, 0, 90, 90)
    assert found.labels == ("",)


def test_what_is_no_object_is_dropped_and_fields_must_agree():
    nobody = np.zeros((1, 4, 3))
    assert corrections.usable(Detections(np.ones((1, 4)), np.ones(1), keypoints=nobody), SIZE, 0.3).count == 0
    empty = np.zeros((1, *SIZE), bool)
    assert corrections.usable(Detections(np.ones((1, 4)), np.ones(1), masks=empty), SIZE, 0.3).count == 0
    with pytest.raises(UserError, match="1 boxes, 1 scores and 2 labels"):
        corrections.usable(Detections(np.ones((1, 4)), np.ones(1), ("a", "b")), SIZE, 0.3)
    with pytest.raises(UserError, match=r"masks \(1, 4, 4\), but 1 boxes in frames of 128x96"):
        corrections.usable(Detections(np.ones((1, 4)), np.ones(1), masks=np.ones((1, 4, 4), bool)), SIZE, 0.3)


@pytest.mark.parametrize("window", ["frame", "target"])
def test_targets_of_every_kind_are_put_elsewhere_and_the_others_stay(window):
    tracker = Tracker(oracle(), Settings(size=64, window=window, top_k=None))
    given = [Box(8, 8, 30, 30), Segment(square(60, 20)), Pose(JOINTS.astype(np.float32)), Point(100, 80)]
    session = tracker.init(FRAME, given)
    moved = JOINTS.astype(np.float32) + np.array([12, -8, 0], np.float32)
    moved[1] = 0  # not seen
    given = {1: Box(50, 50, 70, 80), 2: Segment(ellipse(84, 40)), 3: Pose(moved)}
    session = corrections.corrected(tracker, session, given)
    found = tracker.predict(session)
    np.testing.assert_allclose(found.box[0], [50, 50, 70, 80], atol=1e-3)
    overlap = (found.segment[1] & ellipse(84, 40)).sum() / (found.segment[1] | ellipse(84, 40)).sum()
    assert overlap > 0.95
    np.testing.assert_allclose(found.pose[2][[0, 2], :2], moved[[0, 2], :2], atol=1e-3)
    np.testing.assert_allclose(found.pose[2][1, :2], JOINTS[1, :2], atol=1e-3)
    np.testing.assert_allclose(found.point[3], [100, 80], atol=1e-3)
    with pytest.raises(UserError, match="target 9: not being followed"):
        corrections.corrected(tracker, session, {9: Pose(moved)})
