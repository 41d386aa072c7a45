"""The few layers every U-Net here shares. Statistics and embeddings are float32 whatever the network's dtype."""

import flax.linen as nn
import jax.numpy as jnp
from einops import rearrange
from jax.typing import DTypeLike

from difftrack_jax.typing import Array, Float


def timestep_embedding(t: Float[Array, "b"], width: int, max_period: float = 10_000.0) -> Float[Array, "b {width}"]:
    """[cos, sin] of t at geometrically spaced frequencies (guided-diffusion's order)."""
    half = width // 2
    frequencies = jnp.exp(-jnp.log(max_period) * jnp.arange(half, dtype=jnp.float32) / half)
    angles = t[:, None].astype(jnp.float32) * frequencies[None]
    return jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], axis=-1)


class GroupNorm(nn.Module):
    """Group norm with float32 statistics; the channels must be a multiple of the groups."""

    groups: int = 32
    epsilon: float = 1e-5
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b *s c"]) -> Float[Array, "b *s c"]:
        c = x.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (c,))
        bias = self.param("bias", nn.initializers.zeros, (c,))
        y = x.astype(jnp.float32).reshape(x.shape[0], -1, self.groups, c // self.groups)
        mean = jnp.mean(y, axis=(1, 3), keepdims=True)
        # One pass over the data: both moments fuse into a single reduction.
        var = jnp.maximum(jnp.mean(y * y, axis=(1, 3), keepdims=True) - mean * mean, 0.0)
        inverse = jnp.reciprocal(jnp.sqrt(var + self.epsilon))
        # Fold the statistics into one multiply and one add a channel.
        gain = jnp.broadcast_to(inverse, (*inverse.shape[:3], c // self.groups)).reshape(-1, c) * scale[None]
        shift = bias[None] - jnp.broadcast_to(mean, (*mean.shape[:3], c // self.groups)).reshape(-1, c) * gain
        spread = (x.shape[0],) + (1,) * (x.ndim - 2) + (c,)
        return (x.astype(jnp.float32) * gain.reshape(spread) + shift.reshape(spread)).astype(self.dtype)


def layer_norm(dtype: DTypeLike, name: str, epsilon: float = 1e-5) -> nn.LayerNorm:
    """Layer norm with torch's epsilon; the variance is of the centred values, as a few channels of CLIP are huge."""
    return nn.LayerNorm(epsilon, dtype=dtype, use_fast_variance=False, name=name)


class GEGLU(nn.Module):
    """value * gelu(gate) of one projection, the value in its first half; exact gelu (Shazeer 2020)."""

    features: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b s c"]) -> Float[Array, "b s {self.features}"]:
        value, gate = jnp.split(nn.Dense(2 * self.features, dtype=self.dtype, name="proj")(x), 2, axis=-1)
        return value * nn.gelu(gate, approximate=False)


class FeedForward(nn.Module):
    """A transformer's feed-forward layer, gated, four times as wide inside."""

    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b s c"]) -> Float[Array, "b s c"]:
        c = x.shape[-1]
        return nn.Dense(c, dtype=self.dtype, name="net_2")(GEGLU(4 * c, self.dtype, name="net_0")(x))


def conv(
    features: int, kernel: int = 3, stride: int = 1, *, dtype: DTypeLike, name: str, zero: bool = False
) -> nn.Conv:
    """A convolution padded by half its kernel, as torch pads; `zero` starts it at zero."""
    init = nn.initializers.zeros if zero else nn.linear.default_kernel_init
    pad = kernel // 2
    return nn.Conv(
        features,
        (kernel, kernel),
        (stride, stride),
        ((pad, pad), (pad, pad)),
        kernel_init=init,
        dtype=dtype,
        name=name,
    )


def upsample(x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 c"]:
    """Twice the size, nearest neighbour."""
    b, h, w, c = x.shape
    return jnp.broadcast_to(x[:, :, None, :, None], (b, h, 2, w, 2, c)).reshape(b, 2 * h, 2 * w, c)


def downsample(x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 c"]:
    """Half the size, mean of 2 x 2."""
    return rearrange(x, "b (h i) (w j) c -> b h w c i j", i=2, j=2).mean(axis=(-2, -1))


def space_to_depth(x: Float[Array, "b h w c"], patch: int) -> Float[Array, "b h2 w2 d"]:
    """Each patch x patch block becomes one cell with patch * patch * c channels."""
    return rearrange(x, "b (h i) (w j) c -> b h w (i j c)", i=patch, j=patch)


def depth_to_space(x: Float[Array, "b h w d"], patch: int) -> Float[Array, "b h2 w2 c"]:
    """The inverse of `space_to_depth`."""
    return rearrange(x, "b h w (i j c) -> b (h i) (w j) c", i=patch, j=patch)
