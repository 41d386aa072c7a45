"""Backbones over pixels: ADM networks, whose latents are the frames themselves."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from difftrack_jax.backbones.base import Backbone, Seen, end_of_walk, noisy_copies
from difftrack_jax.backbones.choices import LAYERS
from difftrack_jax.backbones.phrases import read_phrases
from difftrack_jax.diffusion import schedules
from difftrack_jax.models import variants
from difftrack_jax.models.unet_adm import UNetADM
from difftrack_jax.typing import Params


def pixel_backbone(variant: str, params: Params, dtype: Any = jnp.float32) -> Backbone:
    """A pixel-space ADM network; latents are the frames themselves."""
    sizes, layers = variants.ADM[variant], LAYERS[variant]
    net = UNetADM(**sizes, dtype=dtype)
    schedule = schedules.named("linear")
    identity = lambda params, x: x
    shared = dict(net=net, layers=layers)
    return Backbone(
        name=variant,
        params=params,
        stride=_stride(params, net, layers),
        null_key=net.null_key,
        schedule=schedule,
        encode=identity,
        decode=identity,
        predict_end=functools.partial(_predict_end, schedule=schedule, **shared),
        reference=functools.partial(_reference, **shared),
        features=functools.partial(_features, schedule=schedule, **shared),
        words=read_phrases(layers.phrases) if layers.phrases else None,
        settings=layers.settings,
    )


def _predict_end(params, z, alpha, references=None, *, net, layers, schedule):
    t = layers.time * alpha
    out, side = net.apply({"params": params}, z, t, references=references, mutable=["attention", "features"])
    maps = tuple(side["attention"][name]["maps"] for name in layers.capture)
    return end_of_walk(layers, schedule, z, out, alpha), Seen(maps, side["features"][layers.features])


def _reference(params, z, *, net, layers):
    t = jnp.full(z.shape[0], layers.time)
    _, side = net.apply({"params": params}, z, t, mutable=["references"])
    return {name: block["own"] for name, block in side["references"].items()}


def _features(params, z, *, net, layers, schedule):
    """One pass at the end of the walk for our networks; the mean over noised copies for those that predict noise."""

    def run(x, t):
        return net.apply({"params": params}, x, t, mutable=["features"])[1]["features"][layers.features]

    if not layers.copies:
        return run(z, jnp.zeros(z.shape[0]))
    each = lambda one: run(*noisy_copies(schedule, one[None], layers.time, layers.copies)).mean(axis=0)
    return jax.lax.map(each, z)


def _stride(params, net, layers) -> int:
    """Pixels a cell of the captured maps, from the shapes of a traced pass."""
    image = jax.ShapeDtypeStruct((1, 256, 256, 3), jnp.float32)
    run = lambda p, x: net.apply({"params": p}, x, jnp.zeros(1), mutable=["attention"])[1]["attention"]
    cells = {jax.eval_shape(run, params, image)[name]["maps"].self_.shape[-1] for name in layers.capture}
    if len(cells) != 1:
        raise ValueError(f"captured layers {layers.capture} lie on different grids")
    return round(256 / cells.pop() ** 0.5)
