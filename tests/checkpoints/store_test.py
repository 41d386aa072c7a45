"""A training state comes back exactly, of the same type, the newest first."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from difftrack_jax.checkpoints import store


class State(NamedTuple):
    step: jax.Array
    params: Any
    optimizer: Any


@pytest.fixture
def state(rng):
    params = {"layer": {"kernel": jnp.asarray(rng.standard_normal((3, 4)), jnp.float32)}}
    return State(jnp.int32(0), params, optax.adam(1e-3).init(params))


def later(state, step):
    return jax.tree.map(lambda a: a + jnp.asarray(step, a.dtype), state)


def test_the_newest_state_comes_back_exactly(tmp_path, state):
    with store.manager(tmp_path, keep=2) as mgr:
        for step in (10, 20, 30):
            store.save(mgr, step, later(state, step))
    with store.manager(tmp_path, keep=2) as mgr:
        assert sorted(mgr.all_steps()) == [20, 30]
        restored = store.restore_latest(mgr, state)
    assert isinstance(restored, State)
    assert jax.tree.structure(restored) == jax.tree.structure(state)
    jax.tree.map(np.testing.assert_array_equal, restored, later(state, 30))
    assert [a.dtype for a in jax.tree.leaves(restored)] == [a.dtype for a in jax.tree.leaves(state)]


def test_nothing_saved_restores_nothing(tmp_path, state):
    with store.manager(tmp_path) as mgr:
        assert store.restore_latest(mgr, state) is None


def test_a_step_that_is_there_is_left_alone(tmp_path, state):
    with store.manager(tmp_path) as mgr:
        store.save(mgr, 7, state)
        mgr.wait_until_finished()
        store.save(mgr, 7, later(state, 1))
        mgr.wait_until_finished()
        restored = store.restore_latest(mgr, state)
    jax.tree.map(np.testing.assert_array_equal, restored, state)
