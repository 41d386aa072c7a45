"""What is dropped is dropped whole, and nothing else changes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.generation.conditioning import Conditions, drop, unconditional
from difftrack_jax.models.tracklets import Tracklets


@pytest.fixture
def conditions():
    b = 4000
    tracklets = Tracklets(jnp.ones((b, 2, 3, 4)), jnp.ones((b, 2, 3)), jnp.ones((b, 3, 5)))
    return Conditions(jnp.ones((b, 4, 5)), jnp.full((b, 4, 5), -1.0), tracklets)


def test_text_and_boxes_are_dropped_independently_at_their_rates(conditions):
    out = drop(jax.random.key(0), conditions, 0.1, 0.3)
    text, boxes = out.text[:, 0, 0] < 0, out.tracklets.valid[:, 0, 0] == 0
    assert abs(text.mean() - 0.1) < 0.02
    assert abs(boxes.mean() - 0.3) < 0.03
    assert abs((text & boxes).mean() - 0.03) < 0.01
    np.testing.assert_array_equal(out.text, jnp.where(text[:, None, None], -1.0, 1.0) * jnp.ones((1, 4, 5)))
    np.testing.assert_array_equal(out.tracklets.boxes, conditions.tracklets.boxes)  # the loss still needs them


def test_never_and_always(conditions):
    same = drop(jax.random.key(0), conditions, 0.0, 0.0)
    jax.tree.map(np.testing.assert_array_equal, same, conditions)
    nothing = unconditional(conditions)
    jax.tree.map(np.testing.assert_array_equal, nothing, drop(jax.random.key(0), conditions, 1.0, 1.0))
    assert not nothing.tracklets.valid.any()
    np.testing.assert_array_equal(nothing.text, conditions.nothing)
