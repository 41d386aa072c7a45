"""The objective of tracklet-conditioned generators, made from a config: data, network, and which of it moves.

Stage 1 is `frames=1`, which leaves all temporal layers out of the network: `init_from` brings what it learnt into the
network of stage 2, whose new parameters start fresh. Procedural clips are drawn on the device from the step's key;
those of a benchmark are read on the host, by the step alone.
"""

import functools
import pathlib
import re
from collections.abc import Callable

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax
from absl import logging
from flax.traverse_util import flatten_dict, unflatten_dict

from difftrack_jax.backbones import published
from difftrack_jax.checkpoints import bundled
from difftrack_jax.data import registry, tracklet_clips
from difftrack_jax.data.tracklet_batches import Cut, Example, TrackletBatches
from difftrack_jax.diffusion import schedules
from difftrack_jax.errors import UserError
from difftrack_jax.generation import objectives, pretrained
from difftrack_jax.generation.conditioning import Conditions
from difftrack_jax.generation.network import PATCH, Network, pixel_latents
from difftrack_jax.models.tracklets import Tracklets
from difftrack_jax.models.unet3d import settings
from difftrack_jax.models.words import number
from difftrack_jax.parallel import sharding
from difftrack_jax.runners.objective import Objective
from difftrack_jax.typing import Array, Params, PyTree

_GATE = re.compile(r"alpha_(attn|dense)$")
_STRIDE = {"pixels": PATCH, "vae": 8}  # pixels a latent cell


def objective_from(config: ml_collections.ConfigDict) -> Objective:
    """Denoising of clips with tracklets, in the stage of the config."""
    network = make_network(config)
    schedule, rule = schedules.named(config.schedule), objectives.Rule(**config.rule)
    batches, seen = make_batches(config, network)

    def measure(params, key, batch, rule, dropout: bool):
        latents, conditions = seen(params, batch)
        says = functools.partial(_predict, network, dropout)
        return objectives.loss(says, params, latents, conditions, key, schedule, rule)

    draw = functools.partial(_draw, config, network.unet.slots)

    def loss(params, key, batch=None):
        k_data, k_loss = jax.random.split(key)
        batch = sharding.share(draw(k_data, config.batch)) if batch is None else batch
        return measure(_resting(config.stage, params), k_loss, batch, rule, True)

    sober = rule._replace(drop_text=0.0, drop_boxes=0.0)
    key = jax.random.key(config.seed + 2)
    score = jax.jit(lambda params, batch: measure(params, key, batch, sober, False)[1])
    if batches is None:
        held_out = functools.cache(lambda: jax.jit(draw, static_argnums=1)(_held_out_key(config), config.eval_clips))
    else:
        held_out = functools.cache(lambda: make_batches(config, network, config.seed + 1_000_003)[0](0))
    notes = {"unet": config.unet.to_json(), "rule": config.rule.to_json(), "schedule": config.schedule}
    notes |= {"size": str(config.size), "latents": config.latents}
    return Objective(
        init=functools.partial(_fresh, network, config),
        loss=loss,
        evaluate=lambda params: score(params, held_out()),
        optimizer=make_optimizer(config),
        batches=batches if batches is None or config.accumulate == 1 else _accumulated(batches, config.accumulate),
        micro_batches=config.accumulate,
        start=functools.partial(_earlier, config.init_from),
        notes=notes,
    )


def make_network(config: ml_collections.ConfigDict) -> Network:
    """The network of a config; CLIP's words are not trained, and so no part of it."""
    unet = settings(config.unet.to_dict())
    return Network(config.model, unet, config.dropout, config.remat, config.dtype, words=config.latents == "pixels")


def make_batches(config: ml_collections.ConfigDict, network: Network, seed: int | None = None):
    """Where batches come from (None: they are drawn in the step), and (params, batch) -> latents and conditions."""
    if config.latents not in _STRIDE:
        raise UserError(f"latents {config.latents!r}: known are {', '.join(_STRIDE)}")
    own_words = functools.partial(_from_pixels, network)
    if config.data == "procedural":
        if config.latents != "pixels":
            raise UserError("latents: procedural clips train on pixels; name a benchmark as config.data")
        return None, own_words
    height, slots = config.height or config.size, network.unet.slots
    if config.get("dry_run", False):
        return lambda step: _zeros(config, network, height), _given
    cut = Cut(config.frames, config.size, height, slots, config.interval)
    benchmark = registry.benchmark(config.data, config.data_dir)
    seed = config.seed if seed is None else seed
    examples = TrackletBatches(benchmark, config.split, cut, config.batch, seed, config.sequences)
    if config.latents == "pixels":
        return lambda step: _numbered(examples(step)), own_words
    frozen = pretrained.open_frozen(config.pretrained)
    return lambda step: frozen.batch(examples(step), jax.random.fold_in(jax.random.key(seed), step)), _given


def _draw(config, slots: int, key: Array, count: int) -> tracklet_clips.TrackletClip:
    style = tracklet_clips.Style(config.frames, config.size, slots, config.objects)
    return jax.vmap(lambda k: tracklet_clips.draw(k, style))(jax.random.split(key, count))


def _held_out_key(config) -> Array:
    return jax.random.key(config.seed + 1_000_003)


def _from_pixels(network: Network, params: Params, clips: tracklet_clips.TrackletClip):
    frames = clips.frames if clips.frames.dtype == jnp.float32 else clips.frames.astype(jnp.float32) / 127.5 - 1
    return pixel_latents(frames), network.conditions(params, clips.boxes, clips.valid, clips.names, clips.caption)


def _given(params: Params, batch: tuple[Array, Conditions]):
    return batch


def _numbered(examples: list[Example]) -> tracklet_clips.TrackletClip:
    """Examples of a benchmark as procedural clips are: words as numbers, most of them unknown."""
    words = tracklet_clips.WORDS
    return tracklet_clips.TrackletClip(
        np.stack([e.frames for e in examples]),
        np.stack([e.boxes for e in examples]),
        np.stack([e.valid for e in examples]),
        np.stack([[number(name, words, 2) for name in e.names] for e in examples]),
        np.stack([number(e.caption, words, tracklet_clips.CAPTION) for e in examples]),
    )


def _zeros(config, network: Network, height: int) -> tuple[np.ndarray, Conditions]:
    """A batch of the right shapes, to compile a step with where there are no data."""
    b, f, n, d = config.batch, config.frames, network.unet.slots, network.unet.text_features
    stride = _STRIDE[config.latents]
    none = lambda *shape: np.zeros(shape, np.float32)
    latents = none(b, f, height // stride, config.size // stride, network.unet.in_channels)
    text = none(b, pretrained.TOKENS, d)
    return latents, Conditions(text, text, Tracklets(none(b, f, n, 4), none(b, f, n), none(b, n, d)))


def _accumulated(batches: Callable[[int], PyTree], count: int) -> Callable[[int], PyTree]:
    """Batches of `count` steps as one, along a new first axis."""
    gather = lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves])
    return lambda step: jax.tree.map(gather, *(batches(step * count + i) for i in range(count)))


def _predict(network, dropout, params, x, t, conditions, key):
    return network.predict(params, x, t, conditions, dropout_key=key if dropout else None)


def _fresh(network: Network, config: ml_collections.ConfigDict, key: Array) -> Params:
    """Fresh parameters, with the gates as the config wants them."""
    params = network.init(key, config.frames, 2 ** len(network.unet.widths))
    # Where nothing pretrained has to be kept from harm, gates need not start closed.
    opened = lambda name, value: jnp.full_like(value, config.gates) if config.gates and _GATE.search(name) else value
    flat = flatten_dict(params, sep="/")
    return unflatten_dict({name: opened(name, value) for name, value in flat.items()}, sep="/")


def _resting(stage: str, params: Params) -> Params:
    """The same parameters; those that the stage leaves alone get no gradients, which would be as large as they are."""
    moves, flat = objectives.moves(stage), flatten_dict(params, sep="/")
    stop = lambda name, value: value if moves(name) else jax.lax.stop_gradient(value)
    return unflatten_dict({name: stop(name, value) for name, value in flat.items()}, sep="/")


def _earlier(source: str, shapes: Params) -> Params:
    """What this network has of the parameters of an earlier stage, or of a converted U-Net."""
    if not source:
        return {}
    wanted, old = flatten_dict(shapes, sep="/"), flatten_dict(_stored(source), sep="/")
    kept = {name: value for name, value in old.items() if name in wanted}
    if not kept:
        raise UserError(f"init_from {source}: holds no parameter of this network")
    for name, value in kept.items():
        if wanted[name].shape != value.shape:
            raise UserError(f"init_from {source}: {name} is of shape {value.shape}, not {wanted[name].shape}")
    logging.info("init_from: %d of %d parameters, %d start fresh", len(kept), len(old), len(wanted) - len(kept))
    return unflatten_dict(kept, sep="/")


def _stored(source: str) -> Params:
    path = bundled.bundled("mini_generator") if source == "mini" else pathlib.Path(source)
    if path.is_dir() and not (path / "weights.safetensors").is_file():
        return {"unet": published.open_model(path).networks["unet"].params()}
    return bundled.load(path if path.suffix else path / "weights.safetensors")[1]


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
