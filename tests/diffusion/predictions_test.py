"""Noise, data and velocity are three readings of one pair: any of them gives back the others."""

import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.diffusion import predictions


@pytest.mark.parametrize("kind", ["noise", "data", "velocity"])
@pytest.mark.parametrize("abar", [0.1, 0.5, 0.9, np.float32([0.2, 0.6, 0.95])], ids=str)
def test_every_kind_gives_back_data_and_noise(rng, kind, abar):
    data, noise = jnp.asarray(rng.standard_normal((2, 3, 4, 4, 2)), jnp.float32)
    abar = jnp.asarray(abar, jnp.float32)
    weight = abar.reshape(-1, 1, 1, 1)
    x = jnp.sqrt(weight) * data + jnp.sqrt(1 - weight) * noise
    velocity = jnp.sqrt(weight) * noise - jnp.sqrt(1 - weight) * data
    prediction = {"noise": noise, "data": data, "velocity": velocity}[kind]
    np.testing.assert_allclose(predictions.to_data(kind, prediction, x, abar), data, atol=2e-5)
    np.testing.assert_allclose(predictions.to_noise(kind, prediction, x, abar), noise, atol=2e-5)


def test_velocity_reads_both_ends_without_dividing(rng):
    # At abar = 0 a noise prediction says nothing of the data; at abar = 1 the data say nothing of the noise.
    x, v = jnp.asarray(rng.standard_normal((2, 8)), jnp.float32)
    np.testing.assert_array_equal(predictions.to_data("velocity", v, x, 0.0), -v)
    np.testing.assert_array_equal(predictions.to_noise("velocity", v, x, 1.0), v)
