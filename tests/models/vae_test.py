"""The autoencoder is latent diffusion's, weight for weight under both of its names; tiles are near the whole."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.checkpoints import tables
from difftrack_jax.models import variants
from difftrack_jax.models.vae import AutoencoderKL, decode_tiled, encode_tiled, shapes

from ..goldens import formula, reference
from ..goldens.record_reference import IMAGES
from ..goldens.reference import close, last

# How diffusers' first releases called the attention, and with which sizes CompVis' files have it.
OLD = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


def old(state, convolutions):
    renamed = {}
    for name, value in state.items():
        for new, before in OLD.items():
            if f"attentions.0.{new}." in name:
                name = name.replace(new, before)
                value = value[..., None, None] if convolutions and value.ndim == 2 else value
        renamed[name] = value
    assert renamed.keys() != state.keys()
    return renamed


@functools.cache
def published(mode):
    want, state = reference.answers("vae", mode)
    vae = AutoencoderKL(**tables.vae.fields(reference.config("vae")))
    return want, state, vae, tables.vae.convert(state, shapes(vae))


def run(vae, params, method, *inputs):
    with jax.default_matmul_precision("highest"):
        return jax.jit(lambda *inputs: vae.apply({"params": params}, *inputs, method=method))(*inputs)


@pytest.mark.parametrize("mode", reference.MODES)
def test_encoding_is_the_references(mode):
    want, _, vae, params = published(mode)
    posterior = run(vae, params, "encode", jnp.asarray(last(formula.array("images", IMAGES))))
    close(posterior.mean, 0.18215 * last(want["mean"]))
    close(posterior.std, 0.18215 * np.exp(0.5 * last(want["logvar"])))


@pytest.mark.parametrize("mode", reference.MODES)
def test_decoding_is_the_references(mode):
    want, _, vae, params = published(mode)
    z = jnp.asarray(last(formula.array("latents", (2, 4, 6, 10))))
    close(run(vae, params, "decode", 0.18215 * z), last(want["decoded"]))


@pytest.mark.parametrize("convolutions", [False, True])
def test_the_attentions_old_names_fill_the_same_parameters(convolutions):
    _, state, vae, params = published("recorded")
    again = tables.vae.convert(old(state, convolutions), shapes(vae))
    jax.tree.map(np.testing.assert_array_equal, again, params)


def test_the_published_size_has_the_published_number_of_parameters():
    # Counted from diffusers' AutoencoderKL on torch's meta device, with the config.json of SD 1.5's vae folder.
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes(AutoencoderKL(**variants.VAE["sd"])))) == 83_653_863


@pytest.fixture
def tiny(weights, rng):
    vae = AutoencoderKL(**variants.VAE["tiny_sd"])
    images = jnp.asarray(rng.uniform(-1, 1, (1, 24, 32, 3)), jnp.float32)
    return vae, weights(vae, images), images


def test_a_sample_has_the_posteriors_mean_and_spread(tiny):
    vae, params, images = tiny
    posterior = run(vae, params, "encode", images)
    draws = jax.vmap(posterior.sample)(jax.random.split(jax.random.key(0), 4096))
    np.testing.assert_allclose(draws.mean(0), posterior.mean, atol=5 * np.max(posterior.std) / 64)
    np.testing.assert_allclose(draws.std(0), posterior.std, rtol=0.1)


def test_sides_that_do_not_halve_evenly_are_refused(tiny):
    vae, params, images = tiny
    with pytest.raises(ValueError, match="multiples of 2"):
        vae.apply({"params": params}, images[:, :-1], method="encode")


def test_tiles_are_near_the_whole_and_small_maps_are_the_whole(tiny):
    vae, params, images = tiny
    whole = run(vae, params, "encode", images)
    posterior = jax.jit(lambda x: encode_tiled(vae, params, x, 24, 8))(images)
    assert posterior.mean.shape == whole.mean.shape
    # Norms see a tile instead of the frame: noise is alike everywhere, so they see nearly (here to a tenth) the same.
    assert np.abs(posterior.mean - whole.mean).mean() < 0.2 * np.abs(whole.mean).mean()
    images = run(vae, params, "decode", whole.mean)
    tiled = jax.jit(lambda z: decode_tiled(vae, params, z, 12, 4))(whole.mean)
    assert np.abs(tiled - images).mean() < 0.2 * np.abs(images).mean()
    np.testing.assert_allclose(jax.jit(lambda z: decode_tiled(vae, params, z, 16, 4))(whole.mean), images, atol=1e-5)
