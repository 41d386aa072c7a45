"""Backbones over the latents of an autoencoder: Stable Diffusion 1 and 2, and GLIGEN, whose latents are frames / 8.

`params` holds the networks by name, and beside them the text that every pass sees:

    {"unet": ..., "vae": ..., "text_encoder": ..., "context": [1, s, d]}

The context is that of the empty prompt, the null of classifier-free guidance, until a caller puts its own there
(`Words.embed`); text enters through cross-attention alone and unchanged, as DINTR has it, and never changes on the way.
Frames are encoded to the mean of their posterior: tracking wants the same latent for the same frame.
"""

import functools
import json
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from difftrack_jax.backbones.base import Backbone, Seen, Words, end_of_walk, noisy_copies
from difftrack_jax.backbones.choices import LATENT, LAYERS, Layers
from difftrack_jax.backbones.published import Model, Network
from difftrack_jax.checkpoints.tokenizer import load_tokenizer
from difftrack_jax.diffusion import schedules
from difftrack_jax.errors import UserError
from difftrack_jax.models.attention import by_name
from difftrack_jax.typing import Array, Float, Int, Params

PREDICTIONS = {"epsilon": "noise", "v_prediction": "velocity", "sample": "data"}
SCHEDULE = dict(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, num_train_timesteps=1000)


def latent_backbone(model: Model, dtype: Any = jnp.float32) -> Backbone:
    """Stable Diffusion from `published.open_model`; computation inside in `dtype`, weights in float32."""
    nets = {name: network.module.clone(dtype=dtype) for name, network in model.networks.items()}
    layers, schedule = _layers(model), _schedule(model)
    empty = empty_prompt(model.networks["text_encoder"], model.tokenizer)
    params = {name: network.on_device() for name, network in model.networks.items()}
    embed = functools.partial(_embed, nets["text_encoder"])
    params["context"] = jax.jit(embed)(params, jnp.asarray(empty)[None])
    shared = dict(net=nets["unet"], layers=layers)
    return Backbone(
        name=pathlib.Path(model.source).name,
        params=params,
        stride=_stride(model, layers.capture[0]),
        null_key=False,
        schedule=schedule,
        encode=lambda params, x: nets["vae"].apply({"params": params["vae"]}, x, method="encode").mean,
        decode=lambda params, z: nets["vae"].apply({"params": params["vae"]}, z, method="decode"),
        predict_end=functools.partial(_predict_end, schedule=schedule, **shared),
        reference=functools.partial(_reference, **shared),
        features=functools.partial(_features, schedule=schedule, **shared),
        tuned="unet/",
        words=Words(
            tokenize=functools.partial(_tokenize, model),
            embed=embed,
            token_maps=functools.partial(_token_maps, schedule=schedule, embed=embed, empty=empty, **shared),
            stride=_stride(model, layers.words[0]),
        ),
        settings=layers.settings,
    )


def empty_prompt(text: Network, tokenizer: pathlib.Path | None) -> Int[np.ndarray, "s"]:
    """Token ids of "": begin, end, padding. Found without the tokenizer itself, so that only words need that.

    Version 1 pads with the end token, version 2 with "!", its vocabulary's first; a folder says which.
    """
    end, length = text.module.end, text.module.positions
    pad = end if text.module.activation == "quick_gelu" else 0
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        path = tokenizer / name if tokenizer else None
        if path is not None and path.is_file() and "pad_token" in (told := json.loads(path.read_text())):
            token = told["pad_token"]
            token = token["content"] if isinstance(token, dict) else token
            pad = 0 if token == "!" else end
    return np.array([end - 1, end, *[pad] * (length - 2)], np.int32)


def _layers(model: Model) -> Layers:
    levels = len(model.networks["unet"].module.widths)
    if levels not in LATENT:
        raise UserError(f"model {model.source}: a U-Net of {levels} levels; those known here have {sorted(LATENT)}")
    kind = model.scheduler.get("prediction_type", "epsilon")
    if kind not in PREDICTIONS:
        raise UserError(f"model {model.source}: its scheduler predicts {kind!r}; known are {', '.join(PREDICTIONS)}")
    return LAYERS[LATENT[levels]]._replace(prediction=PREDICTIONS[kind])


def _schedule(model: Model) -> schedules.Schedule:
    told = {**SCHEDULE, **model.scheduler}
    if told["beta_schedule"] not in ("linear", "scaled_linear"):
        raise UserError(f"model {model.source}: its scheduler's betas are {told['beta_schedule']!r}, which is unknown")
    make = schedules.SCHEDULES[told["beta_schedule"]]
    return make(told["num_train_timesteps"], told["beta_start"], told["beta_end"])


def _stride(model: Model, layer: str) -> int:
    """Source pixels a cell of a decoder's block: its level's, for the decoder runs from the coarsest up."""
    unet, vae = model.networks["unet"], model.networks["vae"]
    block = int(layer.split("/")[0].rsplit("_", 1)[1])
    return vae.module.stride * 2 ** (len(unet.module.widths) - 1 - block)


def _context(params: Params, z: Array) -> Float[Array, "b s d"]:
    return jnp.broadcast_to(params["context"], (z.shape[0], *params["context"].shape[1:]))


def _predict_end(params, z, alpha, references=None, *, net, layers, schedule):
    out, side = net.apply(
        {"params": params["unet"]},
        z,
        layers.time * alpha,
        _context(params, z),
        references=references,
        mutable=["attention", "features"],
    )
    maps = by_name(side["attention"], "maps")
    features = by_name(side["features"], "map")[layers.features]
    return end_of_walk(layers, schedule, z, out, alpha), Seen(tuple(maps[name] for name in layers.capture), features)


def _reference(params, z, *, net, layers):
    t = jnp.full(z.shape[0], layers.time)
    _, side = net.apply({"params": params["unet"]}, z, t, _context(params, z), mutable=["references"])
    return by_name(side["references"], "own")


def _features(params, z, *, net, layers, schedule):
    """DIFT's: the mean over noised copies of a frame."""

    def each(one):
        x, t = noisy_copies(schedule, one[None], layers.time, layers.copies)
        _, side = net.apply({"params": params["unet"]}, x, t, _context(params, x), mutable=["features"])
        return by_name(side["features"], "map")[layers.features].mean(axis=0)

    return jax.lax.map(each, z)


def _tokenize(model: Model, text: str):
    network = model.networks["text_encoder"]
    if model.tokenizer is None:
        raise UserError(
            f"text: {model.source} has no tokenizer; diffusers folders do, or put a folder tokenizer beside it"
        )
    return _tokenizer(model.tokenizer, network.module.positions)(text)


_tokenizer = functools.cache(load_tokenizer)


def _embed(net, params: Params, ids: Int[Array, "b s"]) -> Float[Array, "b s d"]:
    return net.apply({"params": params["text_encoder"]}, ids).states


def _token_maps(params, z, ids, words, key, *, net, layers, schedule, embed, empty):
    """Over several noise levels of the frame: attention to each prompt's words, less that of the empty prompt there."""
    contexts = embed(params, jnp.concatenate([ids, jnp.asarray(empty)[None]]))
    count = contexts.shape[0]

    def at(drawn):
        t, key = drawn
        noisy = schedules.q_sample(schedule, z, jax.random.normal(key, z.shape), t)
        x, times = jnp.broadcast_to(noisy, (count, *z.shape[1:])), jnp.full(count, t, jnp.float32)
        _, side = net.apply({"params": params["unet"]}, x, times, contexts, mutable=["attention"])
        tokens, maps = by_name(side["attention"], "tokens"), by_name(side["attention"], "maps")
        across = sum(tokens[f"{name}/attn2"] for name in layers.words) / len(layers.words)
        within = sum(maps[f"{name}/attn1"].self_.mean(axis=0) for name in layers.words) / len(layers.words)
        return across, within

    times = jnp.asarray(layers.times)
    across, within = jax.lax.map(at, (times, jax.random.split(key, len(layers.times))))
    across, within = across.mean(axis=0), within.mean(axis=0)
    share = words / jnp.maximum(jnp.sum(words, axis=1, keepdims=True), 1)
    own = jnp.einsum("nqs,ns->nq", across[:-1], share)
    null = jnp.einsum("qs,ns->nq", across[-1], share)
    return jnp.maximum(own - null, 0.0), within
