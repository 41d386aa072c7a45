"""The autoencoder of latent diffusion (Rombach et al. 2022): images [-1, 1] to latents an eighth the size, and back.

    q(z | x) = N(mean(x), exp(logvar(x)));    z_model = scaling * z;    x = decode(z_model / scaling)

Networks see latents multiplied by `scaling` (0.18215 for Stable Diffusion 1 and 2) so that their spread is about one.
`encode` and `decode` here are those of the model's latents: they apply the scaling. Parameter names are diffusers'.
Frames too large for the memory go part by part with blended seams: `encode_tiled`, `decode_tiled`.

    vae = AutoencoderKL(**variants.VAE["sd"])
    posterior = vae.apply({"params": params}, images, method="encode")     # images [b, h, w, 3], h and w times 8
    images = vae.apply({"params": params}, posterior.mean, method="decode")
"""

from fractions import Fraction
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from difftrack_jax.models.attention import CrossAttention
from difftrack_jax.models.blocks2d import Map
from difftrack_jax.models.layers import GroupNorm, conv
from difftrack_jax.models.resnet2d import Downsample2D, ResnetBlock2D, Upsample2D
from difftrack_jax.ops.tiles import tiled
from difftrack_jax.typing import Array, Float, Key, Params, PyTree

EPSILON = 1e-6  # of all its group norms


class Posterior(NamedTuple):
    """A Gaussian over the model's (scaled) latents."""

    mean: Float[Array, "b h w c"]
    std: Float[Array, "b h w c"]

    def sample(self, key: Key[Array, ""]) -> Float[Array, "b h w c"]:
        return self.mean + self.std * jax.random.normal(key, self.mean.shape)


class AutoencoderKL(nn.Module):
    """widths: channels of each level; every level but the last halves the size. layers: of an encoder's level."""

    widths: tuple[int, ...] = (128, 256, 512, 512)
    layers: int = 2
    latent_channels: int = 4
    image_channels: int = 3
    groups: int = 32
    scaling: float = 0.18215
    remat: bool = False
    dtype: DTypeLike = jnp.float32

    def setup(self):
        style = (self.groups, self.remat, self.dtype)
        self.encoder = Encoder(self.widths, self.layers, 2 * self.latent_channels, *style)
        self.decoder = Decoder(self.widths[::-1], self.layers + 1, self.image_channels, *style)
        self.quant_conv = nn.Conv(2 * self.latent_channels, (1, 1), dtype=self.dtype)
        self.post_quant_conv = nn.Conv(self.latent_channels, (1, 1), dtype=self.dtype)

    @property
    def stride(self) -> int:
        """Pixels a latent cell."""
        return 2 ** (len(self.widths) - 1)

    def encode(self, images: Float[Array, "b h w c"]) -> Posterior:
        """Images whose sides are multiples of `stride` to their posterior, float32. Other sides raise ValueError."""
        if images.shape[1] % self.stride or images.shape[2] % self.stride:
            raise ValueError(f"images of {images.shape[1:3]} pixels: sides must be multiples of {self.stride}")
        moments = self.quant_conv(self.encoder(images.astype(self.dtype))).astype(jnp.float32)
        mean, logvar = jnp.split(moments, 2, axis=-1)
        return Posterior(self.scaling * mean, self.scaling * jnp.exp(0.5 * jnp.clip(logvar, -30.0, 20.0)))

    def decode(self, z: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 d"]:
        """The model's latents to images, float32, about [-1, 1] and not clipped."""
        return self.decoder(self.post_quant_conv((z / self.scaling).astype(self.dtype))).astype(jnp.float32)

    def __call__(self, images: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        """There and back by the mean; touches every parameter."""
        return self.decode(self.encode(images).mean)


class Encoder(nn.Module):
    """Levels of residual blocks, halving between them, then attention over all cells at the bottom."""

    widths: tuple[int, ...]
    layers: int
    out_channels: int
    groups: int
    remat: bool
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x: Map) -> Map:
        x = conv(self.widths[0], dtype=self.dtype, name="conv_in")(x)
        for i, width in enumerate(self.widths):
            change = "down" if i < len(self.widths) - 1 else ""
            level = Level(width, self.layers, change, self.groups, self.remat, self.dtype, name=f"down_blocks_{i}")
            x = level(x)
        x = Middle(self.widths[-1], self.groups, self.dtype, name="mid_block")(x)
        x = nn.silu(GroupNorm(self.groups, EPSILON, self.dtype, name="conv_norm_out")(x))
        return conv(self.out_channels, dtype=self.dtype, name="conv_out")(x)


class Decoder(nn.Module):
    """The encoder backwards; `widths` run from the bottom up."""

    widths: tuple[int, ...]
    layers: int
    out_channels: int
    groups: int
    remat: bool
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x: Map) -> Map:
        x = conv(self.widths[0], dtype=self.dtype, name="conv_in")(x)
        x = Middle(self.widths[0], self.groups, self.dtype, name="mid_block")(x)
        for i, width in enumerate(self.widths):
            change = "up" if i < len(self.widths) - 1 else ""
            level = Level(width, self.layers, change, self.groups, self.remat, self.dtype, name=f"up_blocks_{i}")
            x = level(x)
        x = nn.silu(GroupNorm(self.groups, EPSILON, self.dtype, name="conv_norm_out")(x))
        return conv(self.out_channels, dtype=self.dtype, name="conv_out")(x)


class Level(nn.Module):
    """Residual blocks, then a change of size: "down", "up" or "" for none."""

    features: int
    layers: int
    change: str
    groups: int
    remat: bool
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x: Map) -> Map:
        make = nn.remat(ResnetBlock2D) if self.remat else ResnetBlock2D
        for j in range(self.layers):
            x = make(self.features, self.groups, EPSILON, self.dtype, name=f"resnets_{j}")(x)
        if self.change == "down":
            return Downsample2D((0, 1), self.dtype, name="downsamplers_0")(x)
        return Upsample2D(self.dtype, name="upsamplers_0")(x) if self.change == "up" else x


class Middle(nn.Module):
    """Residual block, attention over all cells with one head, residual block."""

    features: int
    groups: int
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x: Map) -> Map:
        resnet = lambda j: ResnetBlock2D(self.features, self.groups, EPSILON, self.dtype, name=f"resnets_{j}")
        x = resnet(0)(x)
        x = x + CellAttention(self.groups, self.dtype, name="attentions_0")(x)
        return resnet(1)(x)


class CellAttention(nn.Module):
    """Group norm, then attention of every cell to every other."""

    groups: int
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x: Map) -> Map:
        b, h, w, c = x.shape
        y = GroupNorm(self.groups, EPSILON, self.dtype, name="group_norm")(x).reshape(b, h * w, c)
        return CrossAttention(1, bias=True, dtype=self.dtype, name="attention")(y).reshape(b, h, w, c)


def encode_tiled(
    vae: AutoencoderKL, params: Params, images: Float[Array, "b h w c"], tile: int = 512, overlap: int = 128
) -> Posterior:
    """`encode` in tiles of `tile` pixels; near it, not equal, for norms and attention see one tile at a time."""

    def moments(images):
        return jnp.concatenate(vae.apply({"params": params}, images, method="encode"), axis=-1)

    return Posterior(*jnp.split(tiled(moments, images, tile, overlap, Fraction(1, vae.stride)), 2, axis=-1))


def decode_tiled(
    vae: AutoencoderKL, params: Params, z: Float[Array, "b h w c"], tile: int = 64, overlap: int = 16
) -> Float[Array, "b h2 w2 d"]:
    """`decode` in tiles of `tile` latent cells; near it, not equal, as above."""
    decode = lambda z: vae.apply({"params": params}, z, method="decode")
    return tiled(decode, z, tile, overlap, vae.stride)


def shapes(vae: AutoencoderKL) -> PyTree:
    """Shapes and dtypes of all the parameters; nothing is computed."""
    images = jnp.zeros((1, vae.stride, vae.stride, vae.image_channels))
    return jax.eval_shape(vae.init, jax.random.key(0), images)["params"]
