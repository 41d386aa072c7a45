"""I3D gives the recorded endpoints, features and logits of pytorch_i3d."""

import functools
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.checkpoints.tables import i3d as table
from difftrack_jax.errors import UserError
from difftrack_jax.models.i3d import I3D, shapes
from difftrack_jax.runners.fvd import load_network

GOLDENS = "goldens/models/i3d"


def drawn(shape, name, k, seed):
    """A tensor of the recorded network, by the formula in its README."""
    i = np.arange(int(np.prod(shape, dtype=np.int64)), dtype=np.uint64)
    u = (i * np.uint64(2654435761) + np.uint64((k + 1) * 2246822519 + seed)) & np.uint64(0xFFFFFFFF)
    for _ in range(2):
        u = ((u ^ (u >> np.uint64(16))) * np.uint64(73244475)) & np.uint64(0xFFFFFFFF)
    u ^= u >> np.uint64(16)
    s = 2 * u.astype(np.float64) / 2**32 - 1
    if name.endswith("running_var"):
        s = 1 + 0.3 * s
    elif name.endswith("running_mean") or name.endswith("bias"):
        s = 0.1 * s
    elif name.endswith("bn.weight"):
        s = 1 + 0.2 * s
    else:
        s = s * np.sqrt(6 / np.prod(shape[1:]))
    return s.astype(np.float32).reshape(shape)


@functools.cache
def variables(folder):
    meta = json.loads((folder / "i3d.json").read_text())
    state = {}
    for name, facts in meta["tensors"].items():
        if name.endswith("num_batches_tracked"):
            state[name] = np.zeros((), np.int64)
            continue
        state[name] = drawn(facts["shape"], name, facts["index"], meta["weight_seed"])
        np.testing.assert_allclose(state[name].ravel()[:4], facts["first4"][: state[name].size], rtol=1e-6)
    assert sum(w.size for n, w in state.items() if "running" not in n and "num_" not in n) == meta["n_params"]
    return table.convert(state, shapes(I3D()))


@pytest.mark.slow
def test_the_recorded_network_is_met_at_every_endpoint(shared):
    folder = shared(GOLDENS)
    io, weights = np.load(folder / "i3d_io.npz"), variables(folder)
    clip = io["run0/clip_uint8_28"].repeat(8, axis=2).repeat(8, axis=3)
    video = jnp.asarray(clip, jnp.float32) / 127.5 - 1
    close = lambda got, want: np.testing.assert_allclose(got, want, atol=1e-4 * np.abs(want).max())
    with jax.default_matmul_precision("highest"):
        logits, seen = jax.jit(lambda v, x: I3D().apply(v, x, mutable=["features"]))(weights, video)
    close(jnp.swapaxes(logits, 1, 2), io["run0/logits"])
    close(jnp.moveaxis(seen["features"]["pooled.out"], -1, 1), io["run0/features_avgpool"])
    for name in (key for key in io if key.startswith("run0/slice/")):
        got = seen["features"][f"{pathlib.PurePath(name).name}.out"]
        close(np.moveaxis(np.asarray(got[0, 0, :5, :5, :8]), -1, 0), io[name])


def test_there_is_no_fvd_without_the_published_weights(tmp_path):
    with pytest.raises(UserError, match="Without them there is no FVD"):
        load_network("", "piergiaj")
    with pytest.raises(UserError, match="no such file"):
        load_network(str(tmp_path / "none.pt"), "piergiaj")
