"""A backbone is a handful of pure functions around a network; the tracker knows nothing else of it.

Adding one is writing one function that returns a `Backbone`. The interpolation network of DINTR is the denoising
network itself (phi has the weights of eps), so `predict_end` turns whatever a checkpoint predicts into the end of the
walk:

    offset    z^{t+1} = z_k + alpha_k * net(z_k)                       the bundled networks, trained for it
    noise     z^{t+1} = (z_k - sqrt(1 - abar) net(z_k)) / sqrt(abar)   published checkpoints, abar at time(alpha_k)
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from difftrack_jax.checkpoints import bundled
from difftrack_jax.diffusion import interpolation, predictions, schedules
from difftrack_jax.errors import UserError
from difftrack_jax.models import variants
from difftrack_jax.models.attention import Maps, Reference
from difftrack_jax.models.unet_adm import UNetADM
from difftrack_jax.typing import Array, Float, Params

References = dict[str, Reference]


class Seen(NamedTuple):
    """What one pass hands out beside its prediction: maps of the captured layers, and features of one block."""

    maps: tuple[Maps, ...]
    features: Float[Array, "b h w c"]


@dataclasses.dataclass(frozen=True)
class Backbone:
    """encode(frames [b, h, w, 3]) -> z; predict_end(params, z_k, alpha [b], references) -> (end, Seen);
    reference(params, z) -> References of the frames z; features(params, z) -> [b, g, g, c] for label propagation.

    stride: source pixels a cell of the captured maps. params: float32 weights. null_key: maps end with a null column.
    """

    name: str
    params: Params
    stride: int
    null_key: bool
    schedule: schedules.Schedule
    encode: Callable[[Array], Array]
    decode: Callable[[Array], Array]
    predict_end: Callable[[Params, Array, Array, References | None], tuple[Array, Seen]]
    reference: Callable[[Params, Array], References]
    features: Callable[[Params, Array], Array]


class Layers(NamedTuple):
    """Where a network is read: attention blocks whose maps are averaged, and the block whose features are compared.

    time: network time at alpha = 1; noise-predicting networks read close to clean frames. Settings of published
    networks follow DIFT's label propagation (ADM: t = 51, up block 7).
    """

    capture: tuple[str, ...]
    features: str
    time: float
    prediction: Literal["offset", "noise"]


LAYERS = {
    "mini": Layers(("output_blocks_2_1", "output_blocks_3_1"), "output_blocks_2", 1000.0, "offset"),
    "tiny": Layers(("output_blocks_0_1", "output_blocks_1_1"), "output_blocks_0", 1000.0, "offset"),
    "adm256": Layers(("output_blocks_7_1", "output_blocks_8_1"), "output_blocks_7", 51.0, "noise"),
}


def load_backbone(name: str, dtype: Any = jnp.float32) -> Backbone:
    """A bundled network by name, or one of ours from a safetensors file."""
    import pathlib

    path = pathlib.Path(name) if name.endswith(".safetensors") else bundled.bundled(name)
    variant, params = bundled.load(path)
    if variant not in variants.ADM:
        raise UserError(f"model {name}: unknown network variant {variant!r}; known: {', '.join(variants.ADM)}")
    return pixel_backbone(variant, params, dtype)


def pixel_backbone(variant: str, params: Params, dtype: Any = jnp.float32) -> Backbone:
    """A pixel-space ADM network; latents are the frames themselves."""
    sizes, layers = variants.ADM[variant], LAYERS[variant]
    net = UNetADM(**sizes, dtype=dtype)
    schedule = schedules.named("linear")
    identity = lambda x: x
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
        features=functools.partial(_features, **shared),
    )


def _predict_end(params, z, alpha, references=None, *, net, layers, schedule):
    t = layers.time * alpha
    out, side = net.apply({"params": params}, z, t, references=references, mutable=["attention", "features"])
    out = out[..., : z.shape[-1]]  # a learned variance, if any, is left
    if layers.prediction == "offset":
        end = interpolation.offset_to_data(z, out, alpha)
    else:
        abar = schedule.alphas_cumprod[jnp.round(t).astype(jnp.int32)]
        end = predictions.to_data("noise", out, z, abar)
    maps = tuple(side["attention"][name]["maps"] for name in layers.capture)
    return end, Seen(maps, side["features"][layers.features])


def _reference(params, z, *, net, layers):
    t = jnp.full(z.shape[0], layers.time)
    _, side = net.apply({"params": params}, z, t, mutable=["references"])
    return {name: block["own"] for name, block in side["references"].items()}


def _features(params, z, *, net, layers):
    """One pass at the end of the walk for our networks, at the published time for noise-predicting ones."""
    time = layers.time if layers.prediction == "noise" else 0.0
    _, side = net.apply({"params": params}, z, jnp.full(z.shape[0], time), mutable=["features"])
    return side["features"][layers.features]


def _stride(params, net, layers) -> int:
    """Pixels a cell of the captured maps, from the shapes of a traced pass."""
    image = jax.ShapeDtypeStruct((1, 256, 256, 3), jnp.float32)
    run = lambda p, x: net.apply({"params": p}, x, jnp.zeros(1), mutable=["attention"])[1]["attention"]
    cells = {jax.eval_shape(run, params, image)[name]["maps"].self_.shape[-1] for name in layers.capture}
    if len(cells) != 1:
        raise ValueError(f"captured layers {layers.capture} lie on different grids")
    return round(256 / cells.pop() ** 0.5)
