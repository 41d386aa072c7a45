"""The levels of a Stable Diffusion U-Net, and the places where a network with time inserts its layers.

    down    (resnet > [temporal] > transformer > [temporal]) x L  > downsample
    middle   resnet > [temporal] > transformer > [temporal] > resnet > [temporal]
    up      (skip > resnet > [temporal] > transformer > [temporal]) x (L + 1)  > upsample

What stands in brackets is given as `Inserts`; the plain network has none of it. Parameter names are diffusers'.
"""

from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from difftrack_jax.models.resnet2d import Downsample2D, ResnetBlock2D, Upsample2D
from difftrack_jax.models.transformer2d import Conditions, Factory, Transformer2D
from difftrack_jax.typing import Array, Float

Map = Float[Array, "b _ _ _"]  # [b, h, w, c]; sizes change on the way


class Inserts(NamedTuple):
    """Makers of modules put into a block; each is called with `name` and gives a module.

    after_resnet: (x, conditions) -> x, named temp_convs_J. after_attention: the same, named temp_attentions_J.
    look: (x, conditions) -> anything, before each transformer of a block; one module a block, named look.
    injector: (cells, what look saw, conditions) -> cells, inside each transformer layer, named injector.
    """

    after_resnet: Factory | None = None
    after_attention: Factory | None = None
    look: Factory | None = None
    injector: Factory | None = None


NOTHING = Inserts()


class Style(NamedTuple):
    """What all blocks of a network share. remat: recompute each layer in the backward pass instead of keeping it."""

    groups: int = 32
    epsilon: float = 1e-5
    transformer_layers: int = 1
    gated: bool = False
    remat: bool = False
    dtype: DTypeLike = jnp.float32


class _Layers:
    """Makes a block's layers under their published names; lives as long as one call of the block."""

    def __init__(self, features: int, heads: int | None, style: Style, inserts: Inserts, conditions: Conditions):
        self.features, self.heads, self.style, self.inserts = features, heads, style, inserts
        self.conditions = conditions
        self.look = inserts.look(name="look") if heads and inserts.look else None

    def resnet(self, j: int, x: Map) -> Map:
        style = self.style
        make = nn.remat(ResnetBlock2D) if style.remat else ResnetBlock2D
        block = make(self.features, style.groups, style.epsilon, style.dtype, name=f"resnets_{j}")
        return self._insert(self.inserts.after_resnet, f"temp_convs_{j}", block(x, self.conditions.emb))

    def attention(self, j: int, x: Map) -> Map:
        if self.heads is None:
            return x
        style, name = self.style, f"attentions_{j}"
        seen = self.look(x, self.conditions) if self.look else None
        make = nn.remat(Transformer2D) if style.remat else Transformer2D
        sizes = (self.heads, style.transformer_layers, style.groups, style.gated)
        block = make(*sizes, self.inserts.injector, style.dtype, name=name)
        x = block(x, self.conditions.inside(name), seen)
        return self._insert(self.inserts.after_attention, f"temp_attentions_{j}", x)

    def _insert(self, factory: Factory | None, name: str, x: Map) -> Map:
        return factory(name=name)(x, self.conditions) if factory else x


class DownBlock(nn.Module):
    """One level of the encoder. heads: of its transformers, None for a level without. Returns (output, skips)."""

    features: int
    layers: int
    heads: int | None
    last: bool  # no downsampling after it
    style: Style = Style()
    inserts: Inserts = NOTHING

    @nn.compact
    def __call__(self, x: Map, conditions: Conditions) -> tuple[Map, list[Map]]:
        layers, skips = _Layers(self.features, self.heads, self.style, self.inserts, conditions), []
        for j in range(self.layers):
            x = layers.attention(j, layers.resnet(j, x))
            skips.append(x)
        if not self.last:
            x = Downsample2D(dtype=self.style.dtype, name="downsamplers_0")(x)
            skips.append(x)
        return x, skips


class MidBlock(nn.Module):
    """The bottom of the U-Net."""

    features: int
    heads: int
    style: Style = Style()
    inserts: Inserts = NOTHING

    @nn.compact
    def __call__(self, x: Map, conditions: Conditions) -> Map:
        layers = _Layers(self.features, self.heads, self.style, self.inserts, conditions)
        return layers.resnet(1, layers.attention(0, layers.resnet(0, x)))


class UpBlock(nn.Module):
    """One level of the decoder; takes `layers` skips off the end of the list. size: (h, w) to grow to, None to stay."""

    features: int
    layers: int
    heads: int | None
    style: Style = Style()
    inserts: Inserts = NOTHING

    @nn.compact
    def __call__(self, x: Map, skips: list[Map], conditions: Conditions, size: tuple[int, int] | None = None) -> Map:
        layers = _Layers(self.features, self.heads, self.style, self.inserts, conditions)
        for j in range(self.layers):
            x = jnp.concatenate([x, skips[-1 - j]], axis=-1)
            x = layers.attention(j, layers.resnet(j, x))
        x = x if size is None else Upsample2D(self.style.dtype, name="upsamplers_0")(x, size)
        self.sow("features", "map", x, reduce_fn=lambda _, new: new)
        return x
