import jax
import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.tracking import finetune


@pytest.fixture
def params(rng):
    draw = lambda *shape: jnp.asarray(rng.normal(size=shape), jnp.float32)
    return {
        "block": {"qkv": {"kernel": draw(4, 12), "bias": draw(12)}, "proj_out": {"kernel": draw(4, 4)}},
        "conv": {"kernel": draw(3, 3, 2, 4)},
    }


def network(weights, x):
    q, k, v = jnp.split(x @ weights["block"]["qkv"]["kernel"] + weights["block"]["qkv"]["bias"][None], 3, axis=-1)
    return (jax.nn.softmax(q @ k.T) @ v) @ weights["block"]["proj_out"]["kernel"]


@pytest.mark.parametrize("trainable", ["all", "attention", "low_rank"])
def test_a_new_delta_changes_nothing(params, trainable):
    tuning = finetune.init(params, trainable, 1e-3, 2, jax.random.key(0))
    same = jax.tree.map(lambda a, b: bool(jnp.all(a == b)), finetune.merge(params, tuning.delta), params)
    assert all(jax.tree.leaves(same))


@pytest.mark.parametrize("trainable", ["all", "attention", "low_rank"])
def test_tuning_lowers_the_loss_on_its_pair(params, rng, trainable):
    x, y = (jnp.asarray(rng.normal(size=(6, 4)), jnp.float32) for _ in range(2))
    loss = lambda delta, key: jnp.mean((network(finetune.merge(params, delta), x) - y) ** 2)
    tuning = finetune.init(params, trainable, 1e-2, 2, jax.random.key(0))
    new, losses = finetune.update(tuning, loss, jax.random.key(1), 30, 1e-2)
    assert float(loss(new.delta, None)) < 0.97 * float(losses[0])
    assert int(new.dropped) == 0


def test_only_query_columns_move_when_attention_is_trained(params, rng):
    x = jnp.asarray(rng.normal(size=(6, 4)), jnp.float32)
    loss = lambda delta, key: jnp.mean(network(finetune.merge(params, delta), x) ** 2)
    tuning = finetune.init(params, "attention", 1e-2, 2, jax.random.key(0))
    tuned = finetune.merge(params, finetune.update(tuning, loss, jax.random.key(1), 3, 1e-2)[0].delta)
    moved = np.abs(np.asarray(tuned["block"]["qkv"]["kernel"] - params["block"]["qkv"]["kernel"])).max(0)
    assert np.all(moved[:4] > 0)
    assert np.all(moved[4:] == 0)
    np.testing.assert_array_equal(tuned["conv"]["kernel"], params["conv"]["kernel"])


def test_an_update_that_is_not_finite_is_dropped_and_counted(params):
    tuning = finetune.init(params, "all", 1e-3, 2, jax.random.key(0))
    poison = lambda delta, key: jnp.sum(delta["conv/kernel"]) * jnp.nan
    new, _ = finetune.update(tuning, poison, jax.random.key(1), 2, 1e-3)
    assert int(new.dropped) >= 1
    for before, after in zip(jax.tree.leaves(tuning.delta), jax.tree.leaves(new.delta)):
        np.testing.assert_array_equal(before, after)


def test_an_update_that_makes_the_loss_infinite_is_taken_back(params):
    """The loss is fine where we are and infinite as soon as anything moves."""
    tuning = finetune.init(params, "all", 1e-3, 2, jax.random.key(0))

    def cliff(delta, key):
        w = delta["conv/kernel"]
        return jnp.where(jnp.all(w == 0), 0.0, jnp.inf) + jnp.sum(w)

    new, _ = finetune.update(tuning, cliff, jax.random.key(1), 1, 1e-3)
    assert int(new.dropped) == 1
    assert all(bool(jnp.all(leaf == 0)) for leaf in jax.tree.leaves(new.delta))
