"""Every published weight lands in its place, or the conversion stops and says which did not."""

import jax
import numpy as np
import pytest

from difftrack_jax.checkpoints.rules import from_torch_adm
from difftrack_jax.errors import UserError


def shape(*sizes):
    return jax.ShapeDtypeStruct(sizes, np.float32)


@pytest.fixture
def like():
    """A toy with one parameter of every sort."""
    return {
        "input_blocks_1_0": {
            "in_layers_0": {"scale": shape(2), "bias": shape(2)},
            "in_layers_2": {"kernel": shape(3, 1, 2, 5), "bias": shape(5)},
        },
        "middle_block_1": {"qkv": {"kernel": shape(5, 7)}},
        "time_embed_0": {"kernel": shape(4, 6)},
        "label_emb": {"embedding": shape(10, 6)},
    }


@pytest.fixture
def state(rng):
    """The toy's weights in torch's names and layouts, in float16 as recorded."""
    shapes = {
        "input_blocks.1.0.in_layers.0.weight": (2,),
        "input_blocks.1.0.in_layers.0.bias": (2,),
        "input_blocks.1.0.in_layers.2.weight": (5, 2, 3, 1),
        "input_blocks.1.0.in_layers.2.bias": (5,),
        "middle_block.1.qkv.weight": (7, 5, 1),
        "time_embed.0.weight": (6, 4),
        "label_emb.weight": (10, 6),
    }
    return {name: rng.standard_normal(sizes).astype(np.float16) for name, sizes in shapes.items()}


def test_every_sort_of_weight_finds_its_name_and_layout(state, like):
    params = from_torch_adm(state, like)
    assert jax.tree.map(lambda a: (a.shape, a.dtype), params) == jax.tree.map(lambda a: (a.shape, a.dtype), like)
    block = params["input_blocks_1_0"]
    conv = state["input_blocks.1.0.in_layers.2.weight"]
    assert block["in_layers_2"]["kernel"][2, 0, 1, 4] == conv[4, 1, 2, 0]
    assert params["middle_block_1"]["qkv"]["kernel"][3, 6] == state["middle_block.1.qkv.weight"][6, 3, 0]
    assert params["time_embed_0"]["kernel"][1, 5] == state["time_embed.0.weight"][5, 1]
    np.testing.assert_array_equal(params["label_emb"]["embedding"], state["label_emb.weight"])
    np.testing.assert_array_equal(block["in_layers_0"]["scale"], state["input_blocks.1.0.in_layers.0.weight"])


def fails(state, like, *words):
    with pytest.raises(UserError) as error:
        from_torch_adm(state, like)
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_a_missing_tensor_is_named(state, like):
    del state["time_embed.0.weight"]
    fails(state, like, "time_embed_0/kernel")


def test_several_missing_tensors_are_counted(state, like):
    fails({}, like, "input_blocks_1_0/in_layers_0/bias", "6 others")


def test_a_tensor_left_over_is_named(state, like):
    state["output_blocks.9.0.in_layers.0.bias"] = np.zeros(3)
    fails(state, like, "output_blocks.9.0.in_layers.0.bias")


def test_a_tensor_no_rule_knows_is_named(state, like):
    state["time_embed.0.running_mean"] = np.zeros(4)
    fails(state, like, "no rule", "time_embed.0.running_mean")


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("time_embed.0.weight", (4, 6)),  # not transposed
        ("middle_block.1.qkv.weight", (7, 5, 3)),  # a wide 1-d convolution is no linear layer
        ("input_blocks.1.0.in_layers.2.weight", (5, 2, 1, 3)),
        ("label_emb.weight", (11, 6)),
    ],
)
def test_a_wrong_shape_is_named(state, like, name, wrong):
    state[name] = np.zeros(wrong)
    fails(state, like, name, "shape")


def test_two_tensors_for_one_parameter_are_both_named(state, like):
    state["time_embed_0.weight"] = state["time_embed.0.weight"]
    fails(state, like, "time_embed_0.weight", "time_embed.0.weight")
