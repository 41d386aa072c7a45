"""Residual blocks and changes of size, as Stable Diffusion's U-Net and its autoencoder share them.

    h = conv(silu(norm(x))) + time;    out = conv(silu(norm(h))) + x

Parameter names are those of diffusers (`norm1`, `conv1`, `time_emb_proj`, ...), so that conversion is a matter of
layout. Statistics of the norms are those of one frame. The last convolution of a residual block starts at zero, as in
the first release of latent diffusion.
"""

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from difftrack_jax.models.layers import GroupNorm, conv, upsample
from difftrack_jax.typing import Array, Float


class ResnetBlock2D(nn.Module):
    """Two convolutions, the time embedding (where there is one) added between them.

    features: channels of the output. groups, epsilon: of the group norms; 1e-5 in the U-Nets, 1e-6 in the autoencoder.
    """

    features: int
    groups: int = 32
    epsilon: float = 1e-5
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], emb: Float[Array, "b e"] | None = None) -> Float[Array, "b h w d"]:
        norm = lambda name: GroupNorm(self.groups, self.epsilon, self.dtype, name=name)
        h = conv(self.features, dtype=self.dtype, name="conv1")(nn.silu(norm("norm1")(x)))
        if emb is not None:
            e = nn.Dense(self.features, dtype=self.dtype, name="time_emb_proj")(nn.silu(emb).astype(self.dtype))
            h = h + e[:, None, None]
        h = conv(self.features, dtype=self.dtype, name="conv2", zero=True)(nn.silu(norm("norm2")(h)))
        if x.shape[-1] != self.features:
            x = conv(self.features, 1, dtype=self.dtype, name="conv_shortcut")(x)
        return x + h


class Downsample2D(nn.Module):
    """Half the size, by a convolution of stride two.

    edge: cells of padding before and after each axis: (1, 1) in the U-Nets, which round odd sizes up, and (0, 1) in
    the autoencoder. XLA's "SAME" is neither for all sizes.
    """

    edge: tuple[int, int] = (1, 1)
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 c"]:
        return nn.Conv(x.shape[-1], (3, 3), (2, 2), (self.edge, self.edge), dtype=self.dtype, name="conv")(x)


class Upsample2D(nn.Module):
    """Twice the size, nearest neighbour and cut to `size` where the way down met an odd one, then a convolution.

    Cut after repeating, that is torch's "nearest" at 2 n - 1; `jax.image.resize` is not, for it samples at centres.
    """

    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], size: tuple[int, int] | None = None) -> Float[Array, "b h2 w2 c"]:
        h, w = size or (2 * x.shape[1], 2 * x.shape[2])
        return conv(x.shape[-1], dtype=self.dtype, name="conv")(upsample(x)[:, :h, :w])
