"""Tokens are painted where their boxes are, in the share of a cell that they cover, and nowhere else."""

import jax
import jax.numpy as jnp
import numpy as np

from difftrack_jax.models.painting import Painting
from difftrack_jax.models.tracklets import Grounds


def grounds(boxes, valid=None):
    boxes = jnp.asarray(boxes, jnp.float32)[None, None]
    n = boxes.shape[2]
    return Grounds(boxes, jnp.ones((1, 1, n)) if valid is None else jnp.asarray([[valid]]), jnp.ones((1, 1, n, 5)))


NET = Painting(3)


def painted(given):
    return NET.init_with_output(jax.random.key(0), given, 4, 8)[0][0]


def test_only_covered_cells_are_painted():
    # Columns 2 to 5 of 8, rows 0 to 1 of 4.
    picture = np.abs(painted(grounds([[0.25, 0.0, 0.75, 0.5]]))).max(axis=-1)
    inside = np.zeros((4, 8), bool)
    inside[:2, 2:6] = True
    np.testing.assert_array_equal(picture > 0, inside)


def test_an_absent_slot_paints_nothing_and_slots_add_up():
    boxes = [[0.0, 0.0, 0.5, 0.5], [0.25, 0.0, 0.75, 0.5]]
    one, other = (painted(grounds(boxes, valid)) for valid in ([1.0, 0.0], [0.0, 1.0]))
    assert not painted(grounds(boxes, [0.0, 0.0])).any()
    np.testing.assert_allclose(painted(grounds(boxes)), one + other, atol=1e-5)


def test_gradients_reach_boxes_and_are_finite():
    given = grounds([[0.2, 0.1, 0.7, 0.6]])
    params = NET.init(jax.random.key(0), given, 4, 8)
    total = lambda boxes: NET.apply(params, given._replace(boxes=boxes), 4, 8).sum()
    slope = jax.grad(total)(given.boxes)
    assert jnp.isfinite(slope).all()
    assert slope.any()
