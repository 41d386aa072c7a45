"""Guidance goes through the condition and beyond, and costs one call of the network."""

import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.diffusion.guidance import classifier_free, guide


@pytest.fixture
def pair(rng):
    return tuple(jnp.asarray(rng.standard_normal((2, 3, 4)), jnp.float32) for _ in range(2))


def test_the_plain_rule_passes_through_both_predictions(pair):
    without, given = pair
    np.testing.assert_allclose(guide(without, given, 0.0), without)
    np.testing.assert_allclose(guide(without, given, 1.0), given, atol=1e-6)
    np.testing.assert_allclose(guide(without, given, 3.0) - given, 2 * (given - without), atol=1e-5)


def test_the_rescaled_push_is_a_share_of_the_conditions_own_size_in_each_sample(pair):
    without, given = pair
    push = np.asarray(guide(without, given, 1.2, "rescaled") - without).reshape(2, -1)
    size = np.linalg.norm(np.asarray(given).reshape(2, -1), axis=-1)
    np.testing.assert_allclose(np.linalg.norm(push, axis=-1), 0.2 * size, rtol=1e-4)
    direction = np.asarray(given - without).reshape(2, -1)
    np.testing.assert_allclose(push / direction, np.broadcast_to(push[:, :1] / direction[:, :1], push.shape), rtol=1e-3)


def test_the_rescaled_rule_is_finite_where_the_condition_says_nothing(pair):
    assert jnp.isfinite(guide(pair[0], pair[0], 1.2, "rescaled")).all()


@pytest.mark.parametrize("t", [jnp.array(7.0), jnp.array([7.0, 9.0])])
def test_one_call_serves_both_predictions(pair, t):
    calls = []

    def denoise(x, t, condition):
        calls.append(x.shape)
        return x * condition["text"][:, None, None] + t[:, None, None]

    x, _ = pair
    condition, null = {"text": jnp.array([2.0, 3.0])}, {"text": jnp.zeros(1)}
    guided = classifier_free(denoise, condition, null, 4.0)(x, t)
    assert calls == [(4, 3, 4)]
    time = jnp.broadcast_to(t, (2,))[:, None, None]
    np.testing.assert_allclose(guided, 4 * x * jnp.array([2.0, 3.0])[:, None, None] + time, rtol=1e-5)
