import jax
import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.models.attention import Maps
from difftrack_jax.tracking import attention_maps


def stochastic(rng, *shape):
    rows = rng.uniform(0.0, 1.0, shape)
    return jnp.asarray(rows / rows.sum(-1, keepdims=True), jnp.float32)


@pytest.mark.parametrize("beta", [1, 2, 4])
def test_applying_the_self_attention_beta_times_is_applying_its_matrix_power(rng, beta):
    self_, maps = stochastic(rng, 12, 12), jnp.asarray(rng.uniform(size=(12, 3)), jnp.float32)
    built = np.linalg.matrix_power(np.asarray(self_, np.float64), beta) @ np.asarray(maps)
    got = np.asarray(attention_maps.propagate(self_, maps, beta))
    # Maps keep their peak, so compare shapes and peaks.
    np.testing.assert_allclose(got / got.max(0), built / built.max(0), rtol=2e-5)
    np.testing.assert_allclose(got.max(0), maps.max(0), rtol=1e-6)


def test_no_propagation_and_identity_self_attention_leave_maps_alone(rng):
    maps = jnp.asarray(rng.uniform(size=(9, 2)), jnp.float32)
    np.testing.assert_array_equal(attention_maps.propagate(jnp.eye(9), maps, 4, "none"), maps)
    for how in ("matmul", "hadamard"):
        np.testing.assert_allclose(attention_maps.propagate(jnp.eye(9), maps, 4, how), maps, rtol=1e-6)


def test_propagation_scales_with_the_map(rng):
    self_, maps = stochastic(rng, 10, 10), jnp.asarray(rng.uniform(size=(10, 1)), jnp.float32)
    half = attention_maps.propagate(self_, 0.5 * maps, 4)
    np.testing.assert_allclose(half, 0.5 * attention_maps.propagate(self_, maps, 4), rtol=1e-5)


def test_average_is_the_mean_over_layers_and_k(rng):
    layers = tuple(Maps(stochastic(rng, 3, 4, 4), stochastic(rng, 3, 4, 5)) for _ in range(2))
    mean = attention_maps.average(layers)
    np.testing.assert_allclose(mean.cross[0], np.mean([m.cross for m in layers], axis=(0, 1)), rtol=1e-6)
    np.testing.assert_allclose(mean.self_.sum(-1), 1.0, rtol=1e-6)


def test_restricted_rows_keep_the_largest_in_reach_and_sum_to_one(rng):
    rows = stochastic(rng, 6, 8)
    kept = attention_maps.restrict(rows, top_k=3)
    assert np.all((np.asarray(kept) > 0).sum(-1) == 3)
    np.testing.assert_allclose(kept.sum(-1), 1.0, rtol=1e-6)
    np.testing.assert_array_equal(kept.argmax(-1), rows.argmax(-1))
    near = jnp.arange(8)[None] < jnp.array([[4]] * 6)
    assert float(attention_maps.restrict(rows, near)[:, 4:].max()) == 0.0


def test_a_neighbourhood_of_one_cell_has_nine_inside_and_four_at_corners():
    near = np.asarray(attention_maps.neighbourhood(4, 5, 1.0)).sum(-1).reshape(4, 5)
    assert near[1, 1] == 9
    assert near[0, 0] == near[3, 4] == 4
    assert near[0, 2] == 6


def test_jit_changes_nothing(rng):
    self_, maps = stochastic(rng, 7, 7), jnp.asarray(rng.uniform(size=(7, 2)), jnp.float32)
    plain = attention_maps.propagate(self_, maps, 3)
    np.testing.assert_allclose(jax.jit(lambda a, b: attention_maps.propagate(a, b, 3))(self_, maps), plain, rtol=1e-6)
