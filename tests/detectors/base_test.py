"""Overlaps, classes and scores: what is kept of a detector's answer."""

import numpy as np
import pytest

from difftrack_jax.detectors import base
from difftrack_jax.detectors.base import Detections
from difftrack_jax.errors import UserError

BOXES = np.array([[0.0, 0, 10, 10], [1, 0, 11, 10], [30, 0, 40, 10], [0, 0, 10, 4]])
SCORES = np.array([0.6, 0.9, 0.4, 0.5])


def test_of_boxes_that_overlap_the_best_is_kept():
    # IoU of the first two is 9 / 11, of the first and the last .4, of the second and the last .35.
    assert base.distinct(BOXES, SCORES, 0.5).tolist() == [1, 3, 2]
    assert base.distinct(BOXES, SCORES, 0.3).tolist() == [1, 2]
    assert base.distinct(BOXES, SCORES, 1.0).tolist() == [1, 0, 3, 2]
    assert base.distinct(BOXES[:0], SCORES[:0], 0.5).tolist() == []


def test_scores_and_classes_choose_and_every_field_follows():
    masks = np.zeros((4, 12, 50), bool)
    masks[2, 3:5, 6] = True
    found = Detections(BOXES, SCORES, ("car", "person", "person", "dog"), masks, np.arange(24.0).reshape(4, 2, 3))
    kept = base.chosen(found, 0.3, ("person", "dog"))
    assert kept.labels == ("person", "person", "dog")
    np.testing.assert_array_equal(kept.boxes, BOXES[1:])
    np.testing.assert_array_equal(kept.masks, masks[1:])
    np.testing.assert_array_equal(kept.keypoints, found.keypoints[1:])
    assert base.chosen(found, 0.55).labels == ("car", "person")
    assert base.chosen(found).count == 4
    assert base.chosen(base.nothing(), 0.5, ("car",)).count == 0


def test_unknown_classes_are_refused_where_the_classes_are_known():
    base.check_classes(("persn",), (), "it")
    base.check_classes(("person",), ("person", "car"), "it")
    with pytest.raises(UserError, match="classes: it knows no 'persn'; it knows person, car"):
        base.check_classes(("persn",), ("person", "car"), "it")


def test_boxes_lie_around_masks():
    masks = np.zeros((2, 8, 9), bool)
    masks[0, 2:5, 3] = masks[0, 4, 6] = True
    np.testing.assert_array_equal(base.around(masks), [[3, 2, 7, 5], [np.nan] * 4])


def test_a_plain_function_is_a_detector():
    assert isinstance(lambda frame: base.nothing(), base.Detector)
