"""A body's joints: one that strays is brought back, one that is hidden goes along, and other targets do not feel it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.tracking import poses, slots
from difftrack_jax.tracking.indicators import POINT, POSE

JOINTS = np.array([[0, 0], [20, 0], [40, 0], [0, 20], [20, 20], [40, 20]], np.float32) + 100


@pytest.fixture
def body():
    """Six joints of one pose, then a lone point."""
    n = len(JOINTS) + 1
    empty = jax.tree.map(lambda a: a[0], slots.empty(1, n, 4))
    return empty._replace(
        kind=jnp.array([POSE] * 6 + [POINT]),
        identity=jnp.array([1] * 6 + [2]),
        valid=jnp.ones(n, bool),
        visible=jnp.ones(n, bool),
        score=jnp.ones(n),
        anchor=jnp.concatenate([jnp.asarray(JOINTS), jnp.full((1, 2), 110.0)]),
    )


def test_a_body_that_moves_as_one_is_left_as_it_was_read(body):
    after = body._replace(anchor=body.anchor + 7.0)
    np.testing.assert_allclose(poses.hold_together(body, after).anchor, after.anchor, atol=1e-4)


def test_a_joint_that_strays_is_brought_back_to_the_others(body):
    after = body._replace(anchor=(body.anchor + 5.0).at[4].add(80.0))
    held = poses.hold_together(body, after).anchor
    size = np.linalg.norm([40, 20])
    assert np.linalg.norm(np.asarray(held[4]) - (JOINTS[4] + 5.0)) <= 0.2 * size + 1.0
    np.testing.assert_allclose(np.delete(held[:6], 4, 0), np.delete(JOINTS, 4, 0) + 5.0, atol=1.0)


def test_a_hidden_joint_goes_along_with_its_neighbours(body):
    after = body._replace(anchor=(body.anchor + 6.0).at[2].set(body.anchor[2]), visible=body.visible.at[2].set(False))
    np.testing.assert_allclose(poses.hold_together(body, after).anchor[2], JOINTS[2] + 6.0, atol=0.5)


def test_a_point_that_is_no_joint_is_not_held(body):
    after = body._replace(anchor=body.anchor.at[6].add(90.0))
    np.testing.assert_array_equal(poses.hold_together(body, after).anchor[6], after.anchor[6])
