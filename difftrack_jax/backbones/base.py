"""What the tracker knows of a network: a handful of pure functions.

The interpolation network of DINTR is the denoising network itself (phi has the weights of eps), so `predict_end` turns
whatever a checkpoint predicts into the end of the walk:

    offset      z^{t+1} = z_k + alpha_k * net(z_k)                         the bundled networks, trained for it
    noise       z^{t+1} = (z_k - sqrt(1 - abar) net(z_k)) / sqrt(abar)     published checkpoints, abar at time(alpha_k)
    velocity    z^{t+1} = sqrt(abar) z_k - sqrt(1 - abar) net(z_k)         Stable Diffusion 2.x at 768 pixels
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from difftrack_jax.backbones.choices import Layers
from difftrack_jax.diffusion import interpolation, predictions, schedules
from difftrack_jax.models.attention import Maps, Reference
from difftrack_jax.typing import Array, Float, Int, Key, Params

References = dict[str, Reference]


class Seen(NamedTuple):
    """What one pass hands out beside its prediction: maps of the captured layers, and features of one block."""

    maps: tuple[Maps, ...]
    features: Float[Array, "b h w c"]


@dataclasses.dataclass(frozen=True)
class Words:
    """What a backbone with a text encoder has beside. Phrases go in as token ids, on the host.

    tokenize: (text) -> ids [s], and where the text's own tokens lie, [s] boolean. Raises UserError for a text that
    has none or too many.
    embed: (params, ids [b, s]) -> the context [b, s, d] for `params["context"]`, which every pass of the network sees.
    token_maps: (params, z [1, h, w, c], ids [b, s], words [b, s], key) -> (A_X [b, q], A_S [q, q], grid): how much
    cells attend to each prompt's words, above what they attend to those places of the empty prompt.
    """

    tokenize: Callable[[str], tuple[Any, Any]]
    embed: Callable[[Params, Int[Array, "b s"]], Float[Array, "b s d"]]
    token_maps: Callable[..., tuple[Array, Array]]
    stride: int


@dataclasses.dataclass(frozen=True)
class Phrases:
    """What a backbone has beside that was taught to find phrases itself (models/grounding.py).

    params: weights of its own, which tuning never moves. knows: what its words are about, for a message.
    read: (text) -> numbers of its words [s], and the words that it does not know. Raises UserError for too many.
    locate: (params, frame [h, w, 3], phrases [n, s]) -> boxes [q, 4] in pixels of the frame; heat [n, q] of each phrase
    in them, larger where it rather points; and fits [n, q], the probability that it is true of what is there.
    """

    params: Params
    knows: str
    read: Callable[[str], tuple[Any, tuple[str, ...]]]
    locate: Callable[..., tuple[Array, Array, Array]]


@dataclasses.dataclass(frozen=True)
class Backbone:
    """encode(params, frames [b, h, w, 3]) -> z; decode(params, z) -> frames;
    predict_end(params, z_k, alpha [b], references) -> (end, Seen); reference(params, z) -> References of the frames z;
    features(params, z) -> [b, g, g, c] for label propagation.

    stride: source pixels a cell of the captured maps. params: float32 weights. null_key: maps end with a null column.
    tuned: prefix of the weights that fine-tuning may move ("" for all). words: how it reads text, None where it does
    not.
    settings: what suits this network where a preset says otherwise: for all (""), a kind of window, or a process.
    """

    name: str
    params: Params
    stride: int
    null_key: bool
    schedule: schedules.Schedule
    encode: Callable[[Params, Array], Array]
    decode: Callable[[Params, Array], Array]
    predict_end: Callable[[Params, Array, Array, References | None], tuple[Array, Seen]]
    reference: Callable[[Params, Array], References]
    features: Callable[[Params, Array], Array]
    tuned: str = ""
    words: Words | Phrases | None = None
    settings: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)


def end_of_walk(
    layers: Layers, schedule: schedules.Schedule, z: Float[Array, "b h w c"], out: Array, alpha: Float[Array, "b"]
) -> Float[Array, "b h w c"]:
    """The end that a network's output stands for, at z and network time `layers.time * alpha`."""
    out = out[..., : z.shape[-1]]  # a learned variance, if any, is left
    if layers.prediction == "offset":
        return interpolation.offset_to_data(z, out, alpha)
    abar = schedule.alphas_cumprod[jnp.round(layers.time * alpha).astype(jnp.int32)]
    return predictions.to_data(layers.prediction, out, z, abar)


def noisy_copies(
    schedule: schedules.Schedule, z: Float[Array, "1 h w c"], time: float, copies: int
) -> tuple[Float[Array, "{copies} h w c"], Float[Array, "{copies}"]]:
    """Q(z, time) under several draws of noise, as DIFT averages features over; and their times.

    The draws depend on the frame alone: the same frame has the same features, and no two frames share their noise.
    """
    noise = jax.random.normal(_key_of(z), (copies, *z.shape[1:]))
    many = jnp.broadcast_to(z, noise.shape)
    return schedules.q_sample(schedule, many, noise, round(time)), jnp.full(copies, time, jnp.float32)


def _key_of(z) -> Key[Array, ""]:
    """A key made of a frame's content."""
    bits = jax.lax.bitcast_convert_type(z.astype(jnp.float32), jnp.uint32).ravel()
    odd = 2 * jnp.arange(bits.size, dtype=jnp.uint32) + 1
    return jax.random.key(jnp.sum(bits * odd))
