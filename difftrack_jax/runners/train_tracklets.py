"""The objective of tracklet-conditioned generators, made from a config: data, network, and which of it moves.

Stage 1 is `frames=1`, which leaves all temporal layers out of the network: `init_from` brings what it learnt into the
network of stage 2, whose new parameters start fresh. Procedural clips are drawn on the device from the step's key.
"""

import functools
import pathlib
import re

import jax
import jax.numpy as jnp
import ml_collections
import optax
from absl import logging
from flax.traverse_util import flatten_dict, unflatten_dict

from difftrack_jax.checkpoints import bundled
from difftrack_jax.data import tracklet_clips
from difftrack_jax.diffusion import schedules
from difftrack_jax.errors import UserError
from difftrack_jax.generation import objectives
from difftrack_jax.generation.network import PATCH, Network, pixel_latents, settings
from difftrack_jax.runners.objective import Objective
from difftrack_jax.typing import Array, Params

_GATE = re.compile(r"alpha_(attn|dense)$")


def objective_from(config: ml_collections.ConfigDict) -> Objective:
    """Denoising of procedural clips, in the stage of the config."""
    unet = settings(config.unet.to_dict())
    network = Network(config.model, unet, config.dropout, config.remat, config.dtype)
    schedule = schedules.named(config.schedule)
    rule = objectives.Rule(**config.rule)
    style = tracklet_clips.Style(config.frames, config.size, network.unet.slots, config.objects)
    draw = lambda key, count: jax.vmap(lambda k: tracklet_clips.draw(k, style))(jax.random.split(key, count))

    def measure(params, key, clips, rule, dropout: bool):
        conditions = network.conditions(params, clips.boxes, clips.valid, clips.names, clips.caption)
        predict = functools.partial(_predict, network, dropout)
        latents = pixel_latents(clips.frames)
        return objectives.loss(predict, params, latents, conditions, key, schedule, rule)

    def loss(params, key):
        k_data, k_loss = jax.random.split(key)
        return measure(params, k_loss, draw(k_data, config.batch), rule, True)

    held_out = jax.jit(draw, static_argnums=1)(jax.random.key(config.seed + 1_000_003), config.eval_clips)
    sober = rule._replace(drop_text=0.0, drop_boxes=0.0)
    score = jax.jit(lambda params: measure(params, jax.random.key(config.seed + 2), held_out, sober, False)[1])
    init, prepare = functools.partial(_fresh, network, config), functools.partial(_fill, config.init_from)
    notes = {"unet": config.unet.to_json(), "rule": config.rule.to_json(), "schedule": config.schedule}
    notes |= {"size": str(config.size)}
    return Objective(init, loss, score, make_optimizer(config), prepare=prepare, notes=notes)


def _predict(network, dropout, params, x, t, conditions, key):
    return network.predict(params, x, t, conditions, dropout_key=key if dropout else None)


def _fresh(network: Network, config: ml_collections.ConfigDict, key: Array) -> Params:
    """Fresh parameters, with the gates as the config wants them."""
    params = network.init(key, config.frames, config.size // PATCH)
    # Where nothing pretrained has to be kept from harm, gates need not start closed.
    opened = lambda name, value: jnp.full_like(value, config.gates) if config.gates and _GATE.search(name) else value
    flat = flatten_dict(params, sep="/")
    return unflatten_dict({name: opened(name, value) for name, value in flat.items()}, sep="/")


def _fill(source: str, params: Params) -> Params:
    """The parameters of an earlier stage in their places; those it has not stay fresh."""
    if not source:
        return params
    path = pathlib.Path(source)
    _, earlier = bundled.load(path if path.suffix else path / "weights.safetensors")
    flat, old = flatten_dict(params, sep="/"), flatten_dict(earlier, sep="/")
    kept = {name: value for name, value in old.items() if name in flat}
    for name, value in kept.items():
        if flat[name].shape != value.shape:
            raise UserError(f"init_from {source}: {name} is of shape {value.shape}, not {flat[name].shape}")
    logging.info("init_from: %d of %d parameters, %d start fresh", len(kept), len(old), len(flat) - len(kept))
    return unflatten_dict({**flat, **kept}, sep="/")


def make_optimizer(config: ml_collections.ConfigDict) -> optax.GradientTransformation:
    """AdamW on what the stage moves, nothing on the rest; linear warm-up, then a cosine to zero."""
    warmup = min(config.warmup, config.steps // 2)
    rate = optax.warmup_cosine_decay_schedule(0.0, config.learning_rate, warmup, config.steps)
    adamw = optax.adamw(rate, b1=0.9, b2=config.beta2, eps=1e-8, weight_decay=config.weight_decay)
    if config.clip:
        adamw = optax.chain(optax.clip_by_global_norm(config.clip), adamw)
    moved = objectives.moves(config.stage)

    def labels(params):
        flat = flatten_dict(params, sep="/")
        return unflatten_dict({name: "moves" if moved(name) else "rests" for name in flat}, sep="/")

    return optax.multi_transform({"moves": adamw, "rests": optax.set_to_zero()}, labels)
