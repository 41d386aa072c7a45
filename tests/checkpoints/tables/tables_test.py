"""Whatever is wrong with a published file or its config is named; nothing is guessed."""

import copy
import functools

import numpy as np
import pytest

from difftrack_jax.checkpoints import tables
from difftrack_jax.checkpoints.tables.fields import per_level
from difftrack_jax.errors import UserError
from difftrack_jax.models import clip_text, unet2d, vae, variants
from difftrack_jax.models.clip_text import CLIPText
from difftrack_jax.models.unet2d import UNet2D
from difftrack_jax.models.vae import AutoencoderKL

from ...goldens import reference

MODELS = {
    "sd1": (tables.unet2d, UNet2D, unet2d.shapes, "mid_block.resnets.0.conv1.weight"),
    "sd2": (tables.unet2d, UNet2D, unet2d.shapes, "up_blocks.1.attentions.0.proj_in.weight"),
    "gated": (tables.unet2d, UNet2D, unet2d.shapes, "position_net.null_position_feature"),
    "vae": (tables.vae, AutoencoderKL, vae.shapes, "decoder.mid_block.attentions.0.to_q.weight"),
    "clip_l": (tables.clip_text, CLIPText, clip_text.shapes, "encoder.layers.1.mlp.fc1.weight"),
}


@functools.cache
def like(case, gated=False):
    """Shapes of the parameters of a reference case's network."""
    table, build, shapes, _ = MODELS[case]
    config = reference.config(case) | ({"attention_type": "gated"} if gated else {})
    return shapes(build(**table.fields(config)))


def weights(case):
    return dict(reference.answers(case, "recorded")[1])


@pytest.fixture(params=MODELS)
def model(request):
    """(convert, state dict, name of one tensor in it)"""
    table, _, _, name = MODELS[request.param]
    return lambda state: table.convert(state, like(request.param)), weights(request.param), name


def ours(name):
    """The last part of our name for a tensor, as far as it is told by theirs."""
    return name.split(".")[-2]


def fails(convert, state, *words):
    with pytest.raises(UserError) as error:
        convert(state)
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_a_missing_tensor_is_named(model):
    convert, state, name = model
    del state[name]
    fails(convert, state, "nothing fills", ours(name))


def test_a_tensor_left_over_is_named(model):
    convert, state, name = model
    extra = name.replace(".0.", ".7.").replace(".1.", ".8.").replace("null", "other")
    fails(convert, state | {extra: state[name]}, extra)


def test_a_tensor_of_another_shape_is_named(model):
    convert, state, name = model
    state[name] = np.concatenate([state[name], state[name]])
    fails(convert, state, name, "shape")


def test_a_wide_convolution_is_no_linear_layer():
    name = "mid_block.attentions.0.proj_in.weight"
    state = weights("sd1") | {name: np.zeros((32, 32, 3, 3), np.float32)}
    fails(lambda state: tables.unet2d.convert(state, like("sd1")), state, name, "shape")


def test_version_twos_weights_do_not_fit_version_one():
    fails(lambda state: tables.unet2d.convert(state, like("sd1")), weights("sd2"), "shape")


def test_a_plain_networks_file_lacks_the_fusers_of_a_gated_one():
    fails(lambda state: tables.unet2d.convert(state, like("sd1", gated=True)), weights("sd1"), "fuser", "others")


PUBLISHED = {
    # The parts of the published config.json that say something.
    "sd15": dict(
        block_out_channels=[320, 640, 1280, 1280],
        down_block_types=["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
        up_block_types=["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
        attention_head_dim=8,
        cross_attention_dim=768,
        layers_per_block=2,
        norm_eps=1e-05,
        norm_num_groups=32,
        sample_size=64,
    ),
}
PUBLISHED["sd21"] = PUBLISHED["sd15"] | dict(
    attention_head_dim=[5, 10, 20, 20], cross_attention_dim=1024, use_linear_projection=True, upcast_attention=True
)
PUBLISHED["gligen_sd14"] = PUBLISHED["sd15"] | dict(attention_type="gated")


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_configs_are_our_named_sizes(name):
    assert UNet2D(**tables.unet2d.fields(PUBLISHED[name])) == UNet2D(**variants.UNET2D[name])


@pytest.mark.parametrize(
    ("table", "config", "change", "words"),
    [
        (tables.unet2d, "sd1", dict(addition_embed_type="text_time"), ("addition_embed_type", "text_time")),
        (tables.unet2d, "sd1", dict(class_embed_type="projection"), ("class_embed_type",)),
        (tables.unet2d, "sd1", dict(down_block_types=["AttnDownBlock2D"] * 3), ("down_block_types",)),
        (tables.unet2d, "sd1", dict(up_block_types=["UpBlock2D"] * 3), ("up_block_types",)),
        (tables.unet2d, "sd1", dict(attention_head_dim=[2, 2]), ("attention_head_dim", "3 levels")),
        (tables.unet2d, "sd1", dict(transformer_layers_per_block=[1, 2]), ("transformer_layers_per_block", "whole")),
        (tables.unet2d, "sd1", dict(block_out_channels=None), ("block_out_channels",)),
        (tables.vae, "vae", dict(shift_factor=0.1), ("shift_factor", "0.1")),
        (tables.vae, "vae", dict(mid_block_add_attention=False), ("mid_block_add_attention",)),
        (tables.clip_text, "clip_l", dict(hidden_act="relu"), ("hidden_act", "relu", "quick_gelu or gelu")),
        (tables.clip_text, "clip_l", dict(hidden_size=None), ("hidden_size",)),
    ],
)
def test_a_config_that_asks_for_another_network_is_refused_by_its_field(table, config, change, words):
    told = {key: value for key, value in (reference.config(config) | change).items() if value is not None}
    with pytest.raises(UserError) as error:
        table.fields(told)
    for word in words:
        assert word in str(error.value)


def test_a_vision_models_config_gives_its_text_part():
    config = reference.config("clip_l")
    assert tables.clip_text.fields({"text_config": copy.deepcopy(config)}) == tables.clip_text.fields(config)


def test_one_value_is_for_all_levels():
    assert per_level(8, 3, "heads", "U-Net") == (8, 8, 8)
    assert per_level([1, 2, 3], 3, "heads", "U-Net") == (1, 2, 3)
