"""Reading an image and spreading over a grid are two sides of one set of weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.ops import sampling

cell_centres = jax.jit(sampling.cell_centres, static_argnums=(0, 1))
bilinear = jax.jit(sampling.bilinear)
bilinear_one_hot = jax.jit(sampling.bilinear_one_hot, static_argnums=(1, 2))
gaussian_kernel = jax.jit(sampling.gaussian_kernel, static_argnums=(1, 2, 3))
soft_arg_max = jax.jit(sampling.soft_arg_max)
gaussian_blur = jax.jit(sampling.gaussian_blur)


def test_cell_centres_run_row_by_row_as_x_y():
    # 2 rows of 3: (0.5, 0.5) (1.5, 0.5) (2.5, 0.5) / (0.5, 1.5) ...
    np.testing.assert_array_equal(
        cell_centres(2, 3), [[0.5, 0.5], [1.5, 0.5], [2.5, 0.5], [0.5, 1.5], [1.5, 1.5], [2.5, 1.5]]
    )


def test_bilinear_at_cell_centres_returns_the_cells(rng):
    image = jnp.asarray(rng.standard_normal((5, 7, 3)), jnp.float32)
    np.testing.assert_array_equal(bilinear(image, cell_centres(5, 7)), image.reshape(35, 3))


def test_bilinear_between_four_cells_is_their_weighted_mean():
    image = jnp.array([[0.0, 1.0], [10.0, 11.0]])[..., None]
    # (1, 1) is where the four meet: 22 / 4. (0.75, 1.25) is 1/4 to the right and 3/4 down: 0.25 + 7.5.
    values = bilinear(image, jnp.array([[1.0, 1.0], [0.75, 1.25]]))
    np.testing.assert_allclose(values[:, 0], [5.5, 7.75])


def test_bilinear_reproduces_a_linear_function_inside(rng):
    x, y = cell_centres(6, 9).T
    image = (2 * x - 3 * y + 1).reshape(6, 9, 1)
    points = jnp.asarray(rng.uniform([0.5, 0.5], [8.5, 5.5], (50, 2)), jnp.float32)
    np.testing.assert_allclose(bilinear(image, points)[:, 0], 2 * points[:, 0] - 3 * points[:, 1] + 1, atol=1e-5)


def test_the_border_value_holds_outside(rng):
    image = jnp.asarray(rng.standard_normal((4, 4, 2)), jnp.float32)
    far = bilinear(image, jnp.array([[-9.0, -9.0], [99.0, 99.0], [-1.0, 2.5]]))
    np.testing.assert_allclose(far, jnp.stack([image[0, 0], image[3, 3], image[2, 0]]), rtol=1e-6)


def test_one_hot_rows_sum_to_one_and_reproduce_bilinear(rng):
    image = jnp.asarray(rng.standard_normal((5, 7, 3)), jnp.float32)
    points = jnp.asarray(rng.uniform([-2, -2], [9, 7], (200, 2)), jnp.float32)
    rows = bilinear_one_hot(points, 5, 7)
    np.testing.assert_allclose(rows.sum(-1), 1.0, rtol=1e-6)
    assert rows.min() >= 0
    np.testing.assert_allclose(rows @ image.reshape(35, 3), bilinear(image, points), atol=1e-5)


def test_a_gaussian_peaks_at_one_on_its_own_cell_and_falls_by_sigma():
    kernel = gaussian_kernel(jnp.array([[2.5, 1.5]]), 2.0, 4, 6)[0].reshape(4, 6)
    # Two cells to the right is one sigma: exp(-1/2).
    np.testing.assert_allclose([kernel[1, 2], kernel[1, 4]], [1.0, np.exp(-0.5)], rtol=1e-6)


def test_a_delta_reads_out_its_own_cell_everywhere():
    deltas = jnp.eye(42).reshape(42, 6, 7)
    np.testing.assert_allclose(soft_arg_max(deltas), cell_centres(6, 7), atol=1e-5)
    # Nor does a pedestal under it pull it to the middle.
    np.testing.assert_allclose(soft_arg_max(deltas + 0.5), cell_centres(6, 7), atol=1e-5)


def test_a_gaussian_reads_out_below_a_cell(rng):
    points = jnp.asarray(rng.uniform(4, 12, (100, 2)), jnp.float32)
    maps = gaussian_kernel(points, 0.8, 16, 16).reshape(-1, 16, 16)
    error = jnp.abs(soft_arg_max(maps) - points)
    assert error.max() < 0.03  # the largest cell alone is off by up to 0.5


def test_a_flat_map_reads_out_a_cell_and_never_nan():
    point = soft_arg_max(jnp.zeros((1, 4, 4)))
    np.testing.assert_array_equal(point, [[0.5, 0.5]])


def test_blur_leaves_a_constant_and_zero_width_leaves_everything(rng):
    images = jnp.asarray(rng.standard_normal((2, 9, 11, 3)), jnp.float32)
    sharp = gaussian_blur(images, jnp.zeros(2))
    np.testing.assert_array_equal(sharp, images)
    flat = gaussian_blur(jnp.full((2, 9, 11, 3), 0.7), jnp.array([0.5, 1.6]))
    np.testing.assert_allclose(flat, 0.7, rtol=1e-6)


def test_every_image_is_blurred_by_its_own_width():
    impulse = jnp.zeros((2, 15, 15, 1)).at[:, 7, 7].set(1.0)
    blurred = gaussian_blur(impulse, jnp.array([0.6, 1.0]))[..., 0]
    np.testing.assert_allclose(blurred.sum((1, 2)), 1.0, rtol=1e-6)
    variance = (blurred.sum(1) * ((jnp.arange(15) - 7.0) ** 2)[None]).sum(-1)
    np.testing.assert_allclose(variance, [0.36, 1.0], rtol=0.03)  # seven taps cut the tails


@pytest.mark.parametrize("k", [1, 3, 7])
def test_the_kth_largest_is_that_of_a_sort_also_among_equals(rng, k):
    rows = rng.integers(0, 5, (20, 9)).astype(np.float32)
    np.testing.assert_array_equal(sampling.kth_largest(jnp.asarray(rows), k)[:, 0], np.sort(rows, axis=1)[:, -k])
