"""Stable Diffusion's spatial transformer: cells attend to cells, to a text, and to whatever else is inserted.

    x += SelfAttention(LN x);  [fuser];  [injector];  x += CrossAttention(LN x, text);  x += FeedForward(LN x)

The self-attention may read another frame's keys and values instead of its own (`references`), and hands out its maps
when asked, as attention.py says. The fuser is GLIGEN's (gated.py). An injector is any module of the caller's: what a
network with time inserts between the objects and the text.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from difftrack_jax.models.attention import CrossAttention
from difftrack_jax.models.gated import GatedSelfAttention
from difftrack_jax.models.layers import FeedForward, GroupNorm, layer_norm
from difftrack_jax.typing import Array, Float, Scalar

Factory = Callable[..., nn.Module]  # makes a module under the `name` given


class Conditions(NamedTuple):
    """What a block is shown beside its input.

    emb: time embedding. text: encoded prompt. objects: grounding tokens, None to leave the fusers out; gate scales
    them. references: keys and values of another frame, nested as the modules are. extra: for inserted modules.
    """

    emb: Float[Array, "b e"]
    text: Float[Array, "b s d"]
    objects: Float[Array, "b n d"] | None = None
    gate: Scalar = 1.0
    references: dict[str, Any] | None = None
    extra: Any = None

    def inside(self, name: str) -> "Conditions":
        """The same for the submodule `name`, with its own references."""
        return self._replace(references=self.own(name))

    def own(self, name: str) -> Any:
        """The references of the submodule `name`; None where there are none."""
        return self.references.get(name) if self.references else None


class BasicTransformerBlock(nn.Module):
    """One layer. gated: has a fuser. injector: makes the inserted module, called as (x, seen, conditions)."""

    heads: int
    gated: bool = False
    injector: Factory | None = None
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b q c"], conditions: Conditions, seen: Any = None) -> Float[Array, "b q c"]:
        norm = lambda name, y: layer_norm(self.dtype, name)(y)
        attention = lambda name: CrossAttention(self.heads, watch=True, dtype=self.dtype, name=name)
        x = x + attention("attn1")(norm("norm1", x), None, conditions.own("attn1"))
        if self.gated and conditions.objects is not None:
            x = GatedSelfAttention(self.heads, self.dtype, name="fuser")(x, conditions.objects, conditions.gate)
        if self.injector is not None:
            x = self.injector(name="injector")(x, seen, conditions)
        x = x + attention("attn2")(norm("norm2", x), conditions.text)
        return x + FeedForward(self.dtype, name="ff")(norm("norm3", x))


class Transformer2D(nn.Module):
    """`layers` transformer layers over the cells of a map, with a residual around them all.

    The projections in and out are 1x1 convolutions in Stable Diffusion 1 and linear layers in 2: one and the same.
    """

    heads: int
    layers: int = 1
    groups: int = 32
    gated: bool = False
    injector: Factory | None = None
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], conditions: Conditions, seen: Any = None) -> Float[Array, "b h w c"]:
        b, h, w, c = x.shape
        y = GroupNorm(self.groups, 1e-6, self.dtype, name="norm")(x).reshape(b, h * w, c)
        y = nn.Dense(c, dtype=self.dtype, name="proj_in")(y)
        for i in range(self.layers):
            name = f"transformer_blocks_{i}"
            block = BasicTransformerBlock(self.heads, self.gated, self.injector, self.dtype, name=name)
            y = block(y, conditions.inside(name), seen)
        y = nn.Dense(c, kernel_init=nn.initializers.zeros, dtype=self.dtype, name="proj_out")(y)
        return x + y.reshape(b, h, w, c)
