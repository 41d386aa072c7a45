"""Grounded generation (GLIGEN, Li et al. 2023): boxes with names become tokens that the image may attend to.

    token_i = MLP([class_i, Fourier(box_i)])                                          GLIGEN eq. 4
    v <- v + tanh(alpha) * SelfAttention(LN([v, W token]))[: cells of v]              eq. 8; TrackDiffusion eq. 5
    v <- v + tanh(beta) * FeedForward(LN(v))

Both gates start at zero, so a pretrained network is what it was until they are trained. Absent objects are replaced
by learned null features and stay in the attention as keys: how many slots there are matters to trained weights.
"""

from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from difftrack_jax.models.attention import CrossAttention
from difftrack_jax.models.layers import FeedForward, layer_norm
from difftrack_jax.typing import Array, Float, Scalar


class Grounding(NamedTuple):
    """What to draw where, in n slots.

    boxes: x0, y0, x1, y1 in [0, 1] of the image. embeddings: pooled CLIP text of each object's name. valid: 1 where a
    slot is filled. gate: multiplies both gates; GLIGEN's scheduled sampling turns it from 1 to 0 on the way.
    """

    boxes: Float[Array, "b n 4"]
    embeddings: Float[Array, "b n d"]
    valid: Float[Array, "b n"]
    gate: Scalar = 1.0


def fourier(boxes: Float[Array, "*b 4"], frequencies: int = 8) -> Float[Array, "*b {8*frequencies}"]:
    """sin and cos of each coordinate at 100^(k/K), k = 0..K-1: by frequency, then sin before cos, then coordinate."""
    rates = 100.0 ** (jnp.arange(frequencies, dtype=jnp.float32) / frequencies)
    angles = boxes[..., None, :].astype(jnp.float32) * rates.reshape((1,) * (boxes.ndim - 1) + (-1, 1))
    waves = jnp.stack([jnp.sin(angles), jnp.cos(angles)], axis=-2)
    return waves.reshape(*boxes.shape[:-1], 8 * frequencies)


def replace_absent(
    values: Float[Array, "b n d"], valid: Float[Array, "b n"], null: Float[Array, "d"]
) -> Float[Array, "b n d"]:
    """`values` where valid, else the null vector."""
    return valid[..., None] * values + (1 - valid[..., None]) * null[None, None]


class PositionNet(nn.Module):
    """A token for each slot, from its name and place. features: width of the tokens, that of the text's."""

    features: int
    hidden: int = 512
    frequencies: int = 8
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, grounding: Grounding) -> Float[Array, "b n {self.features}"]:
        position, name = fourier(grounding.boxes, self.frequencies), grounding.embeddings.astype(jnp.float32)
        null = lambda which, width: jnp.asarray(self.param(f"null_{which}_feature", nn.initializers.zeros, (width,)))
        position = replace_absent(position, grounding.valid, null("position", position.shape[-1]))
        name = replace_absent(name, grounding.valid, null("positive", name.shape[-1]))
        h = jnp.concatenate([name, position], axis=-1).astype(self.dtype)
        h = nn.silu(nn.Dense(self.hidden, dtype=self.dtype, name="linears_0")(h))
        h = nn.silu(nn.Dense(self.hidden, dtype=self.dtype, name="linears_2")(h))
        return nn.Dense(self.features, dtype=self.dtype, name="linears_4")(h)


class GatedSelfAttention(nn.Module):
    """The fuser of a transformer block: cells attend to cells and objects, then a feed-forward layer, each gated."""

    heads: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "b q c"], objects: Float[Array, "b n d"], gate: Scalar = 1.0
    ) -> Float[Array, "b q c"]:
        q, c = x.shape[1:]
        strength = lambda name: (gate * jnp.tanh(self.param(name, nn.initializers.zeros, ()))).astype(self.dtype)
        tokens = nn.Dense(c, dtype=self.dtype, name="linear")(objects.astype(self.dtype))
        both = layer_norm(self.dtype, "norm1")(jnp.concatenate([x, tokens], axis=1))
        x = x + strength("alpha_attn") * CrossAttention(self.heads, dtype=self.dtype, name="attn")(both)[:, :q]
        y = FeedForward(dtype=self.dtype, name="ff")(layer_norm(self.dtype, "norm2")(x))
        return x + strength("alpha_dense") * y
