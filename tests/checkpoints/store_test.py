"""A training state comes back exactly, of the same type, the newest first."""

import os
import subprocess
import sys
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from difftrack_jax.checkpoints import store
from difftrack_jax.errors import UserError

from .. import quick_compile


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


@pytest.fixture
def params(rng):
    return {"a": {"kernel": rng.standard_normal((8, 6)).astype(np.float16)}, "b": {"bias": np.ones(8, np.float16)}}


def test_weights_come_back_in_the_dtype_that_is_asked_for(tmp_path, params):
    store.save_params(tmp_path / "w", params)
    for dtype in (np.float16, np.float32):
        like = jax.eval_shape(lambda: jax.tree.map(lambda a: jnp.asarray(a, dtype), params))  # noqa: B023
        for got in (store.restore_params(tmp_path / "w", like), *store.restore_numpy(tmp_path / "w", like)):
            jax.tree.map(np.testing.assert_array_equal, got, params)
            assert {a.dtype for a in jax.tree.leaves(got)} == {np.dtype(dtype)}


def test_large_weights_are_kept_in_parts_and_come_back_as_one(tmp_path, params, monkeypatch):
    monkeypatch.setattr(store, "_parts", lambda params: [["a"], ["b"]])
    store.save_params(tmp_path / "w", params)
    assert sorted(path.name for path in (tmp_path / "w").iterdir()) == ["0", "1"]
    parts = list(store.restore_numpy(tmp_path / "w", params))
    assert [list(part) for part in parts] == [["a"], ["b"]]
    jax.tree.map(np.testing.assert_array_equal, store.restore_params(tmp_path / "w", params), params)


def test_parts_hold_about_a_size_and_every_name_once():
    params = {name: np.zeros(size, np.uint8) for name, size in dict(a=3, b=4, c=9, d=1, e=1).items()}
    assert store._parts(params, 8) == [["a", "b"], ["c"], ["d", "e"]]


def test_other_weights_than_asked_for_are_one_line(tmp_path, params):
    store.save_params(tmp_path / "w", params)
    wrong = {
        "b/bias is of no use": {"a": params["a"]},
        "c/bias is missing": {**params, "c": params["b"]},
        r"b/bias is of shape \(8,\), not \(9,\)": {**params, "b": {"bias": np.ones(9, np.float16)}},
    }
    for message, like in wrong.items():
        with pytest.raises(UserError, match=message):
            store.restore_params(tmp_path / "w", like)
    with pytest.raises(UserError, match="is not a folder of converted weights"):
        store.restore_params(tmp_path, params)
    with pytest.raises(UserError, match="no such folder"):
        store.restore_params(tmp_path / "none", params)


MESH = """
import pathlib, sys
import jax, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from difftrack_jax.checkpoints import store
from difftrack_jax.errors import UserError
shape = lambda *sizes: jax.ShapeDtypeStruct(sizes, np.float32)
like = {"a": {"kernel": shape(8, 6)}, "b": {"bias": shape(8)}}
mesh = Mesh(np.array(jax.devices()).reshape(4, 2), ("data", "model"))
got = store.restore_params(pathlib.Path(sys.argv[1]), like, NamedSharding(mesh, PartitionSpec("model")))
assert len(jax.devices()) == 8
assert got["a"]["kernel"].addressable_shards[0].data.shape == (4, 6)
store.save_params(pathlib.Path(sys.argv[2]), got)
"""


def test_weights_go_from_one_device_to_eight_and_back(tmp_path, params):
    store.save_params(tmp_path / "one", params)
    flags = quick_compile.with_flags("--xla_force_host_platform_device_count=8")
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", MESH, str(tmp_path / "one"), str(tmp_path / "eight")]
    subprocess.run(command, env=environment, check=True)
    got = store.restore_params(tmp_path / "eight", params)
    jax.tree.map(np.testing.assert_array_equal, got, params)
