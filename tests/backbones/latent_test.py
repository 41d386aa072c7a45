"""Stable Diffusion as a backbone: frames in latents, attention shown, text heard."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from difftrack_jax.backbones import latent_backbone, load_backbone
from difftrack_jax.backbones.latent import empty_prompt
from difftrack_jax.backbones.published import open_model
from difftrack_jax.errors import UserError
from difftrack_jax.tracking import finetune

from ..goldens import published_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("sd") / "tiny"
    published_folder.write_stable_diffusion(path, unet="sd2")
    return path


@pytest.fixture(scope="module")
def tiny(folder):
    return load_backbone(str(folder))


@pytest.fixture(scope="module")
def z(tiny):
    frames = np.random.default_rng(0).uniform(-1, 1, (2, 32, 48, 3)).astype(np.float32)
    return jax.jit(tiny.encode)(tiny.params, frames)


@pytest.fixture(scope="module")
def features(tiny):
    return jax.jit(tiny.features)


def test_latents_are_a_fraction_of_the_frame_and_come_back_as_one(tiny, z):
    assert z.shape == (2, 8, 12, 4)
    assert jax.eval_shape(tiny.decode, tiny.params, z).shape == (2, 32, 48, 3)


def test_captured_rows_lie_on_the_strides_grid_and_sum_to_one(tiny, z):
    references = jax.jit(tiny.reference)(tiny.params, z[::-1])
    end, seen = jax.jit(tiny.predict_end)(tiny.params, z, jnp.full(2, 0.5), references)
    cells = (32 // tiny.stride) * (48 // tiny.stride)
    assert end.shape == z.shape
    assert len(seen.maps) == 2
    for maps in seen.maps:
        assert maps.self_.shape == maps.cross.shape == (2, cells, cells)
        np.testing.assert_allclose(maps.self_.sum(-1), 1.0, atol=1e-5)
        np.testing.assert_allclose(maps.cross.sum(-1), 1.0, atol=1e-5)
    assert seen.features.shape[1:3] == (32 // tiny.stride, 48 // tiny.stride)


def test_weights_lie_on_the_device_and_answers_are_float32_whatever_the_network_computes_in(tiny, folder, z):
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(tiny.params))
    half = latent_backbone(open_model(folder), jnp.bfloat16)
    end, seen = jax.eval_shape(half.predict_end, half.params, z, jnp.ones(2), None)
    assert end.dtype == seen.maps[0].self_.dtype == jnp.float32
    assert {leaf.dtype for leaf in jax.tree.leaves(half.params)} == {jnp.dtype(jnp.float32)}


def test_without_words_the_network_sees_the_empty_prompt(tiny, folder):
    text = open_model(folder).networks["text_encoder"]
    ids = empty_prompt(text, folder / "tokenizer")
    np.testing.assert_array_equal(ids, empty_prompt(text, None))
    pytest.importorskip("transformers", reason="needs the extra `hub`")
    np.testing.assert_array_equal(ids, tiny.words.tokenize("").ids)
    np.testing.assert_allclose(tiny.words.embed(tiny.params, jnp.asarray(ids)[None]), tiny.params["context"], atol=1e-5)


def test_version_2_pads_with_its_own_token(folder, tmp_path):
    text = open_model(folder).networks["text_encoder"]
    for told in ("!", {"content": "!"}):
        (tmp_path / "special_tokens_map.json").write_text(json.dumps({"pad_token": told}))
        assert empty_prompt(text, tmp_path)[2:].tolist() == [0] * 10
    newer = text._replace(fields=text.fields | {"activation": "gelu"})
    assert empty_prompt(newer, None)[:3].tolist() == [58, 59, 0]


def test_a_prompt_changes_what_the_network_says(tiny, z, features):
    other = tiny.params | {"context": -tiny.params["context"]}
    assert jnp.abs(features(tiny.params, z) - features(other, z)).max() > 1e-3


def test_each_word_has_a_map_and_no_words_have_none(tiny, z):
    pytest.importorskip("transformers", reason="needs the extra `hub`")
    red, car = tiny.words.tokenize("red"), tiny.words.tokenize("car")
    ids = jnp.stack([red.ids, car.ids, car.ids])
    words = jnp.stack([red.words, car.words, jnp.zeros_like(car.words)]).astype(jnp.float32)
    maps, self_ = jax.jit(tiny.words.token_maps)(tiny.params, z[:1], ids, words, jax.random.key(0))
    cells = (32 // tiny.words.stride) * (48 // tiny.words.stride)
    assert maps.shape == (3, cells)
    assert self_.shape == (cells, cells)
    np.testing.assert_allclose(self_.sum(-1), 1.0, atol=1e-5)
    assert (maps >= 0).all()
    assert maps[:2].max() > 0
    assert jnp.abs(maps[0] - maps[1]).max() > 0
    np.testing.assert_array_equal(maps[2], 0.0)


def test_features_are_the_frames_own_whatever_its_company(tiny, z, features):
    np.testing.assert_allclose(features(tiny.params, z)[::-1], features(tiny.params, z[::-1]), atol=1e-5)


def test_fine_tuning_moves_the_unet_alone(tiny):
    delta = jax.eval_shape(lambda: finetune.init(tiny.params, "all", 1e-4, 4, jax.random.key(0), tiny.tuned)).delta
    want = {name for name in flatten_dict(tiny.params, sep="/") if name.startswith("unet/")}
    assert delta.keys() == want


def test_the_scheduler_says_what_the_network_predicts(folder):
    model = open_model(folder)
    assert latent_backbone(model).schedule.betas.shape == (1000,)
    with pytest.raises(UserError, match="predicts 'flow'"):
        latent_backbone(model._replace(scheduler={"prediction_type": "flow"}))
    with pytest.raises(UserError, match="betas are 'exp'"):
        latent_backbone(model._replace(scheduler={"beta_schedule": "exp"}))


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_a_folder_without_a_part_says_so(folder, tmp_path, part):
    shutil.copytree(folder, tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy" / part)
    with pytest.raises(UserError, match=part):
        open_model(tmp_path / "copy")
