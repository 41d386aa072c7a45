"""Residual blocks and resampling of Stable Diffusion's U-Net, in the layout of diffusers; frames are [k, h, w, c].

Statistics of the norms are those of one frame. Parameter names are the published ones.
"""

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from difftrack_jax.models.layers import GroupNorm, conv, upsample
from difftrack_jax.typing import Array, Float


class ResnetBlock2D(nn.Module):
    """Two convolutions, the time embedding added between them."""

    features: int
    groups: int = 32
    epsilon: float = 1e-5
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "k h w c"], emb: Float[Array, "k e"]) -> Float[Array, "k h w c2"]:
        norm = lambda name: GroupNorm(self.groups, self.epsilon, self.dtype, name=name)
        h = conv(self.features, dtype=self.dtype, name="conv1")(nn.silu(norm("norm1")(x)))
        e = nn.Dense(self.features, dtype=self.dtype, name="time_emb_proj")(nn.silu(emb).astype(self.dtype))
        h = conv(self.features, dtype=self.dtype, name="conv2")(nn.silu(norm("norm2")(h + e[:, None, None])))
        if x.shape[-1] != self.features:
            x = conv(self.features, 1, dtype=self.dtype, name="conv_shortcut")(x)
        return x + h


class Downsample2D(nn.Module):
    """Half the size, by a convolution of stride two."""

    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "k h w c"]) -> Float[Array, "k h2 w2 c"]:
        return conv(x.shape[-1], 3, 2, dtype=self.dtype, name="conv")(x)


class Upsample2D(nn.Module):
    """Twice the size, nearest neighbour and cut to `size` where the way down met an odd one, then a convolution."""

    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "k h w c"], size: tuple[int, int] | None = None) -> Float[Array, "k h2 w2 c"]:
        x = upsample(x)
        if size is not None:
            x = x[:, : size[0], : size[1]]
        return conv(x.shape[-1], dtype=self.dtype, name="conv")(x)
