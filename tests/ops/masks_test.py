"""Masks have boxes and parts; scipy, written by others, agrees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from difftrack_jax.ops import masks

mask_box = jax.jit(masks.mask_box)
quantile_box = jax.jit(masks.quantile_box, static_argnums=1)
largest_component = jax.jit(masks.largest_component)


def rectangle(h, w, x0, y0, x1, y1):
    return jnp.zeros((h, w)).at[y0:y1, x0:x1].set(1.0)


def test_the_box_of_a_rectangle_is_the_rectangle():
    np.testing.assert_array_equal(mask_box(rectangle(8, 10, 2, 3, 7, 5) > 0), [2, 3, 7, 5])
    np.testing.assert_array_equal(mask_box(jnp.ones((8, 10), bool)), [0, 0, 10, 8])


def test_the_box_of_an_empty_mask_is_zero():
    np.testing.assert_array_equal(mask_box(jnp.zeros((4, 5), bool)), 0)


def test_the_box_of_any_mask_holds_its_cells_and_no_less(rng):
    for density in (0.01, 0.05, 0.3):
        mask = rng.random((12, 9)) < density
        rows, columns = np.nonzero(mask)
        want = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] if mask.any() else [0, 0, 0, 0]
        np.testing.assert_array_equal(mask_box(jnp.asarray(mask)), want)


def test_the_quantile_box_leaves_its_share_outside_on_each_side():
    # Even mass over x in [2, 7), y in [3, 5): 2% of 5 cells is 0.1, of 2 cells 0.04.
    box = quantile_box(rectangle(8, 10, 2, 3, 7, 5), 0.02)
    np.testing.assert_allclose(box, [2.1, 3.04, 6.9, 4.96], atol=1e-4)


def test_the_quantile_box_is_deaf_to_a_stray_cell():
    mass = rectangle(20, 20, 5, 5, 12, 12)  # 49 cells
    box = quantile_box(mass.at[0, 19].set(0.5), 0.02)  # 0.5 / 49.5 = 1% of the mass
    assert jnp.abs(box - quantile_box(mass, 0.02)).max() < 0.1
    assert mask_box(mass.at[0, 19].set(0.5) > 0)[2] == 20


def test_the_quantile_box_of_no_mass_is_finite():
    assert jnp.isfinite(quantile_box(jnp.zeros((4, 5)))).all()


@pytest.mark.parametrize("density", [0.0, 0.1, 0.4, 0.6, 0.9, 1.0])
def test_the_largest_part_is_the_one_scipy_finds(rng, density):
    batch = rng.random((12, 9, 13)) < density
    found = np.asarray(jax.jit(jax.vmap(masks.largest_component))(jnp.asarray(batch)))
    for mask, part in zip(batch, found):
        labels, count = ndimage.label(mask)  # 4-connected by default
        sizes = np.bincount(labels.ravel())[1:]
        assert part.sum() == (sizes.max() if count else 0)
        if count:
            # It is one whole part, not pieces of several; of equals, the one that ends last in reading order.
            last = max(np.flatnonzero(sizes == sizes.max()) + 1, key=lambda l: np.flatnonzero(labels == l)[-1])
            np.testing.assert_array_equal(part, labels == last)


def test_a_spiral_is_one_part_however_long_its_way():
    spiral = np.array([[1, 1, 1, 1, 1], [0, 0, 0, 0, 1], [1, 1, 1, 0, 1], [1, 0, 0, 0, 1], [1, 1, 1, 1, 1]], bool)
    np.testing.assert_array_equal(largest_component(jnp.asarray(spiral)), spiral)


def test_parts_that_touch_at_a_corner_are_two():
    mask = jnp.array([[1, 1, 0], [0, 0, 1], [0, 0, 0]], bool)
    np.testing.assert_array_equal(largest_component(mask), np.array([[1, 1, 0], [0, 0, 0], [0, 0, 0]], bool))


def test_membership_in_a_box_is_one_inside_half_on_the_border_and_zero_outside():
    points = jnp.array([[2.0, 2.0], [0.0, 2.0], [-1.0, 2.0], [2.0, 9.0]])
    np.testing.assert_allclose(masks.soft_box(points, jnp.array([[0.0, 0.0, 4.0, 4.0]])), [[1, 0.5, 0, 0]])
