"""The small layers do what their names say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.models import layers


def test_the_embedding_is_cosines_then_sines_from_fast_to_slow():
    # width 4: frequencies 1 and 10000^-1/2 = 0.01. At t = 0: [1, 1, 0, 0].
    got = layers.timestep_embedding(jnp.array([0.0, 50.0]), 4)
    want = [[1, 1, 0, 0], [np.cos(50), np.cos(0.5), np.sin(50), np.sin(0.5)]]
    np.testing.assert_allclose(got, want, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 5, 64), (2, 3, 4, 64)])
def test_group_norm_is_its_formula(rng, weights, shape):
    norm = layers.GroupNorm()
    x = (3 * rng.standard_normal(shape) + 2).astype(np.float32)
    params = weights(norm, x)
    groups = x.reshape(2, -1, 32, 2)
    unit = (groups - groups.mean((1, 3), keepdims=True)) / np.sqrt(groups.var((1, 3), keepdims=True) + 1e-5)
    want = unit.reshape(shape) * params["scale"] + params["bias"]
    np.testing.assert_allclose(jax.jit(norm.apply)({"params": params}, x), want, atol=2e-5)


def test_upsampling_repeats_and_downsampling_takes_it_back(rng):
    x = jnp.asarray(rng.standard_normal((2, 3, 4, 5)), jnp.float32)
    up = layers.upsample(x)
    np.testing.assert_array_equal(up, np.repeat(np.repeat(x, 2, axis=1), 2, axis=2))
    np.testing.assert_allclose(layers.downsample(up), x, rtol=1e-6)


def test_space_to_depth_keeps_each_patch_in_its_cell_and_turns_back(rng):
    x = jnp.asarray(rng.standard_normal((2, 8, 12, 3)), jnp.float32)
    cells = layers.space_to_depth(x, 4)
    assert cells.shape == (2, 2, 3, 48)
    np.testing.assert_array_equal(cells[1, 1, 2], x[1, 4:8, 8:12].reshape(-1))
    np.testing.assert_array_equal(layers.depth_to_space(cells, 4), x)
