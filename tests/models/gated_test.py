"""Grounding tokens are what GLIGEN makes of boxes and names, and shut gates leave a network as it was."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.models.gated import GatedSelfAttention, Grounding, PositionNet, fourier, replace_absent


def test_the_order_of_the_fourier_features_by_hand():
    # The lowest frequency is 1: sines of x0, y0, x1, y1, then cosines; the next is 100^(1/8).
    box = np.array([0.1, 0.2, 0.3, 0.4], np.float32)
    features = fourier(jnp.asarray(box))
    assert features.shape == (64,)
    np.testing.assert_allclose(features[:8], np.concatenate([np.sin(box), np.cos(box)]), rtol=1e-6)
    np.testing.assert_allclose(features[8:12], np.sin(100 ** (1 / 8) * box), rtol=1e-5)
    np.testing.assert_allclose(features[60:], np.cos(100 ** (7 / 8) * box), rtol=1e-4, atol=1e-6)


def test_absent_values_are_replaced_and_others_kept():
    values, null = jnp.ones((1, 3, 2)), jnp.array([5.0, 6.0])
    replaced = replace_absent(values, jnp.array([[1.0, 0.0, 1.0]]), null)
    np.testing.assert_array_equal(replaced[0], [[1, 1], [5, 6], [1, 1]])


def test_all_absent_slots_have_the_same_token_whatever_they_hold(weights, rng):
    boxes, names = rng.uniform(size=(1, 4, 4)), rng.standard_normal((1, 4, 6))
    grounding = Grounding(*(jnp.asarray(a, jnp.float32) for a in (boxes, names, [[1, 0, 1, 0]])))
    net = PositionNet(6, hidden=16)
    tokens = net.apply({"params": weights(net, grounding)}, grounding)
    assert tokens.shape == (1, 4, 6)
    np.testing.assert_allclose(tokens[0, 1], tokens[0, 3], rtol=1e-6)
    assert jnp.abs(tokens[0, 0] - tokens[0, 2]).max() > 1e-2


@pytest.fixture
def fuser(weights, rng):
    net = GatedSelfAttention(2)
    x, objects = (jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in [(2, 5, 8), (2, 3, 6)])
    return net, weights(net, x, objects), x, objects


@pytest.mark.parametrize("closed", ["at the start", "by the caller"])
def test_shut_gates_change_nothing(fuser, closed):
    net, params, x, objects = fuser
    gate = 1.0
    if closed == "at the start":
        start = jax.jit(net.init)(jax.random.key(0), x, objects)["params"]
        params = params | {name: start[name] for name in ("alpha_attn", "alpha_dense")}
    else:
        gate = 0.0
    np.testing.assert_array_equal(jax.jit(net.apply)({"params": params}, x, objects, gate), x)


def test_open_gates_let_objects_in_in_any_order(fuser):
    net, params, x, objects = fuser
    params = params | {"alpha_attn": jnp.array(0.7), "alpha_dense": jnp.array(-0.4)}
    run = jax.jit(lambda objects: net.apply({"params": params}, x, objects))
    np.testing.assert_allclose(run(objects[:, ::-1]), run(objects), atol=1e-5)
    assert jnp.abs(run(objects.at[:, 0].add(1.0)) - run(objects)).max() > 1e-3
    # Objects are not masked: one more slot, even a copy, takes its share of the attention.
    more = jnp.concatenate([objects, objects[:, :1]], axis=1)
    assert jnp.abs(run(more) - run(objects)).max() > 1e-4
