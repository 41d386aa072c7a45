"""Releases of TrackDiffusion: what is read off their names, what they may lack, and pouring two networks into one."""

import functools

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from safetensors.numpy import load_file

from difftrack_jax.checkpoints.tables import unet3d as table
from difftrack_jax.errors import UserError
from difftrack_jax.models import unet3d

CONFIG = {"block_out_channels": [32, 64, 64, 64], "layers_per_block": 1, "attention_head_dim": 16}


@pytest.fixture
def state(shared):
    return load_file(shared("goldens/models/trackdiffusion") / "unet_weights.safetensors")


@pytest.fixture
def like(state):
    return _shapes(unet3d.build(**table.fields(CONFIG, state)))


_shapes = functools.cache(unet3d.shapes)  # tracing takes seconds


def test_the_layout_is_read_off_the_names(state):
    fields = table.fields(CONFIG, state)
    assert fields["text_features"] == 48
    assert fields["attention"] == (True, True, True, False)
    assert fields["injection"] == {"kind": "fuse", "where": ["decoder"]}
    plain = {name: w for name, w in state.items() if "injector" not in name}
    assert table.fields(CONFIG, plain)["injection"] == {"kind": "off"}
    with pytest.raises(UserError, match="no cross-attention to text"):
        table.fields(CONFIG, {})


def test_a_release_without_tables_has_zeros_there_and_nothing_else_may_be_absent(state, like):
    names = ("time_embedder", "instance_embedding", "null_track_feat")
    lacking = {name: w for name, w in state.items() if not any(part in name for part in names)}
    params = flatten_dict(table.convert(lacking, like), sep="/")
    empty = {name for name, value in params.items() if not value.any()}
    assert empty == {name for name in params if name.endswith(names)}
    assert len(state) - len(lacking) == len(empty)
    for name in ("up_blocks.1.temp_convs.0.conv4.3.bias", "position_net.null_positive_feature", "conv_in.weight"):
        with pytest.raises(UserError, match="nothing fills"):
            table.convert({key: w for key, w in state.items() if key != name}, like)
    with pytest.raises(UserError, match=r"no rule|fills no parameter"):
        table.convert({**state, "extra.weight": np.zeros((2, 2), np.float32)}, like)


def test_spatial_and_temporal_layers_come_each_from_their_own_source(state, like):
    """Poured from two copies of one network, one of them negated, every part shows whose it is."""
    own = lambda part: {name: w for name, w in state.items() if part(name)}
    spatial = own(lambda name: not table.TEMPORAL.search(name) and "injector" not in name and "track" not in name
                  and "instance_embedding" not in name)  # fmt: skip
    fresh = jax.tree.map(lambda leaf: np.full(leaf.shape, 7.0, leaf.dtype), like)
    temporal = {name: -w for name, w in state.items() if "time_embedder" not in name}  # ModelScope has no such tables
    poured = flatten_dict(table.pour(spatial, temporal, like, fresh), sep="/")
    whole = flatten_dict(table.convert(state, like), sep="/")
    for name, value in poured.items():
        if table.FRESH.search(name):
            assert (value == 7.0).all(), name
        else:
            sign = -1 if table.OURS_TEMPORAL.search(name) else 1
            np.testing.assert_array_equal(value, sign * whole[name], err_msg=name)
