"""Boxes overlap as areas do, in numpy and in jax alike."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.ops import boxes

HAND = [
    # (a, b, intersection over union)
    ([0, 0, 2, 2], [0, 0, 2, 2], 1.0),
    ([0, 0, 2, 2], [1, 1, 3, 3], 1 / 7),  # 1 / (4 + 4 - 1)
    ([0, 0, 4, 4], [1, 1, 3, 3], 0.25),  # inside: 4 / 16
    ([0, 0, 2, 2], [2, 0, 4, 2], 0.0),  # touching
    ([0, 0, 2, 2], [5, 5, 6, 6], 0.0),  # apart in both axes: no negative times negative
    ([1, 1, 1, 1], [1, 1, 1, 1], 0.0),  # both empty
    ([0, 0, 2, 2], [1, 1, 1, 1], 0.0),  # one empty
    ([3, 3, 1, 1], [0, 0, 4, 4], 0.0),  # turned inside out counts as empty
]


@pytest.mark.parametrize("xp", [np, jnp], ids=["numpy", "jax"])
def test_iou_of_hand_worked_boxes(xp):
    a, b, want = (xp.asarray(column, xp.float32) for column in zip(*HAND))
    got = boxes.iou(a, b)
    assert isinstance(got, xp.ndarray)
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_iou_is_symmetric_bounded_and_blind_to_shift_and_scale(rng):
    corners = np.sort(rng.uniform(0, 10, (2, 100, 2, 2)), axis=2).reshape(2, 100, 4)
    a, b = corners
    got = boxes.iou(a, b)
    assert got.min() >= 0
    assert got.max() <= 1
    np.testing.assert_allclose(got, boxes.iou(b, a))
    np.testing.assert_allclose(got, boxes.iou(3 * a - 7, 3 * b - 7), atol=1e-9)


def test_iou_has_finite_gradients_even_of_empty_boxes():
    gradient = jax.grad(lambda a: boxes.iou(a, jnp.zeros((3, 4))).sum())(jnp.zeros((3, 4)))
    assert jnp.isfinite(gradient).all()


def test_centre_and_size_are_another_way_to_write_a_box(rng):
    box = jnp.asarray(rng.standard_normal((5, 3, 4)), jnp.float32)
    np.testing.assert_allclose(boxes.from_centre_size(*boxes.centre_size(box)), box, atol=1e-6)
    centre, size = boxes.centre_size(jnp.array([1.0, 2.0, 4.0, 8.0]))
    np.testing.assert_array_equal([centre, size], [[2.5, 5.0], [3.0, 6.0]])
