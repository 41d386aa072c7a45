"""A file with all of Stable Diffusion in it falls into the parts, and under the names, that diffusers gives them."""

import numpy as np
import pytest

from difftrack_jax.checkpoints.tables import single_file
from difftrack_jax.errors import UserError

from ...goldens import compvis, reference


@pytest.fixture
def state():
    return compvis.stable_diffusion_2()


@pytest.mark.parametrize("mode", reference.MODES)
def test_every_tensor_goes_where_diffusers_puts_it(state, mode):
    want = reference.outputs("single_file", mode)
    got = {}
    for part, found in single_file.readers(state).items():
        # Their text encoder's names have the prefix of their class.
        prefix = "text_encoder/text_model." if part == "text_encoder" else f"{part}/"
        got |= {prefix + name: read() for name, read in found.items()}
    assert got.keys() == set(want["names"])
    for name, mark, rows in zip(want["names"], want["marks"], want["rows"]):
        assert (got[name][0, 0], len(got[name])) == (mark, rows), name


def test_the_text_encoder_of_version_one_keeps_its_names(state):
    state = {name: value for name, value in state.items() if not name.startswith("cond_stage_model.")}
    state["cond_stage_model.transformer.text_model.final_layer_norm.bias"] = np.ones(3)
    assert list(single_file.readers(state)["text_encoder"]) == ["text_model.final_layer_norm.bias"]


def test_a_network_of_another_number_of_layers_is_counted_from_its_downsampling():
    """One layer a level: three input blocks become level 0's layer, its downsampling, and level 1's layer."""
    names = compvis.unet(mults=(1, 2), layers=1, attention=(True, False))
    state = {f"model.diffusion_model.{name}": np.ones(1) for name in names}
    state |= {"first_stage_model.quant_conv.bias": np.ones(1), "cond_stage_model.transformer.a": np.ones(1)}
    got = single_file.readers(state)["unet"]
    assert "down_blocks.1.resnets.0.conv1.weight" in got
    assert "up_blocks.0.upsamplers.0.conv.weight" in got
    assert "up_blocks.1.attentions.1.proj_in.weight" in got
    assert len(got) == len(names)


@pytest.mark.parametrize(
    "name",
    [
        "model_ema.diffusion_modelinput_blocks00weight",
        "model_ema.decay",
        "betas",
        "alphas_cumprod_prev",
        "sqrt_recipm1_alphas_cumprod",
        "log_one_minus_alphas_cumprod",
        "posterior_mean_coef1",
        "lvlb_weights",
        "scale_factor",
        "first_stage_model.loss.logvar",
        "cond_stage_model.model.logit_scale",
    ],
)
def test_what_is_no_weight_is_left(state, name):
    before = {part: set(found) for part, found in single_file.readers(state).items()}
    assert {part: set(found) for part, found in single_file.readers(state | {name: np.ones(3)}).items()} == before


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("control_model.input_hint_block.0.weight", "control_model.input_hint_block.0.weight"),
        ("model.diffusion_model.label_emb.0.0.weight", "label_emb.0.0.weight"),
        ("model.diffusion_model.input_blocks.1.0.in_layers.9.weight", "in_layers.9"),
        ("cond_stage_model.model.visual.proj", "visual.proj"),
    ],
)
def test_what_belongs_nowhere_is_named(state, name, words):
    with pytest.raises(UserError, match=words.replace(".", r"\.")):
        single_file.readers(state | {name: np.ones(3)})


def test_a_part_that_is_not_there_is_named(state):
    with pytest.raises(UserError, match="no vae"):
        single_file.readers({name: value for name, value in state.items() if not name.startswith("first_stage_model")})


@pytest.mark.parametrize(
    ("width", "extra", "unet", "text"),
    [
        (768, (), "sd15", "clip_l"),
        (1024, (), "sd21", "openclip_h"),
        (
            768,
            ("model.diffusion_model.input_blocks.1.1.transformer_blocks.0.fuser.alpha_attn",),
            "gligen_sd14",
            "clip_l",
        ),
    ],
)
def test_sizes_are_told_by_the_text_and_the_fusers(width, extra, unet, text):
    to_k = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
    state = {to_k: np.ones((320, width))} | {name: np.ones(()) for name in extra}
    assert single_file.variant(state) == {"unet": unet, "vae": "sd", "text_encoder": text}


def test_another_networks_file_is_refused():
    with pytest.raises(UserError, match="2048"):
        single_file.variant({"model.diffusion_model.a.attn2.to_k.weight": np.ones((640, 2048))})
    with pytest.raises(UserError, match=r"attn2\.to_k"):
        single_file.variant({"conv.weight": np.ones(1)})
