"""The text encoder is CLIP's, weight for weight under both of its names, and no word sees what follows it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.checkpoints import tables
from difftrack_jax.models import variants
from difftrack_jax.models.clip_text import CLIPText, shapes

from ..goldens import reference
from ..goldens.record_reference import TOKENS
from ..goldens.reference import close

IDS = jnp.asarray(TOKENS, jnp.int32)
CASES = ("clip_l", "openclip_h")


@functools.cache
def published(case, mode):
    want, state = reference.answers(case, mode)
    text = CLIPText(**tables.clip_text.fields(reference.config(case)))
    return want, state, text, tables.clip_text.convert(state, shapes(text))


def run(text, params, ids, skip=0):
    with jax.default_matmul_precision("highest"):
        return jax.jit(lambda ids: text.apply({"params": params}, ids, skip))(ids)


@pytest.mark.parametrize("mode", reference.MODES)
@pytest.mark.parametrize("case", CASES)
def test_states_and_pooled_are_the_references(case, mode):
    want, _, text, params = published(case, mode)
    encoded = run(text, params, IDS)
    close(encoded.states, want["last"])
    close(encoded.pooled, want["pooled"])


@pytest.mark.parametrize("mode", reference.MODES)
@pytest.mark.parametrize("case", CASES)
def test_the_penultimate_states_are_the_references(case, mode):
    want, _, text, params = published(case, mode)
    close(run(text, params, IDS, skip=1).states, want["penultimate"])


def test_a_network_without_its_last_layer_is_one_that_skips_it():
    want, state, text, _ = published("openclip_h", "recorded")
    short = text.clone(layers=text.layers - 1)
    kept = {name: value for name, value in state.items() if f"layers.{short.layers}." not in name}
    close(run(short, tables.clip_text.convert(kept, shapes(short)), IDS).states, want["penultimate"])


@pytest.mark.parametrize("prefix", ["", "text_model."])
def test_names_with_and_without_their_prefix_fill_the_same_parameters(prefix):
    _, state, text, params = published("clip_l", "recorded")
    bare = {name.removeprefix("text_model."): value for name, value in state.items()}
    named = {prefix + name: value for name, value in bare.items()}
    named[prefix + "embeddings.position_ids"] = np.arange(12)[None]
    named["text_projection.weight"] = np.ones((32, 32), np.float32)
    jax.tree.map(np.testing.assert_array_equal, tables.clip_text.convert(named, shapes(text)), params)


@pytest.mark.parametrize(("end", "token"), [(2, 49407), (49407, 49407)])
def test_the_end_token_of_the_first_configs_is_put_right(end, token):
    config = dict(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, eos_token_id=end)
    assert tables.clip_text.fields(config)["end"] == token


@pytest.mark.parametrize(
    ("name", "count"),
    [
        # Counted from transformers' CLIPTextModel on torch's meta device, with the config.json of the text_encoder
        # folders of SD 1.5 and SD 2.1.
        ("clip_l", 123_060_480),
        ("openclip_h", 340_387_840),
    ],
)
def test_published_sizes_have_the_published_number_of_parameters(name, count):
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes(CLIPText(**variants.CLIP_TEXT[name])))) == count


def test_no_state_depends_on_what_follows():
    _, _, text, params = published("clip_l", "recorded")
    states = run(text, params, IDS).states
    changed = run(text, params, IDS.at[:, 4:].set(7)).states
    np.testing.assert_allclose(changed[:, :4], states[:, :4], atol=1e-5)
    assert jnp.abs(changed[:, 4:] - states[:, 4:]).max() > 1e-2


def test_padding_does_not_change_the_pooled_state():
    _, _, text, params = published("clip_l", "recorded")
    np.testing.assert_allclose(run(text, params, IDS[:, :5]).pooled, run(text, params, IDS).pooled, atol=1e-5)


def test_too_long_a_text_is_refused():
    _, _, text, params = published("clip_l", "recorded")
    with pytest.raises(ValueError, match="13 tokens"):
        text.apply({"params": params}, jnp.zeros((1, 13), jnp.int32))
