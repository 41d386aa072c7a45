"""Spatial attention that can look at another frame, and can show where it looked.

    A_S = softmax(Q K^T / sqrt(d))              queries and keys of one frame                     (DINTR, section 3.2)
    A_X = softmax([Q K_ref^T, Q null] / sqrt(d))  keys of a reference frame, plus one null key    (spec: "dense" tokens)

Without a reference the block is the plain attention block of guided-diffusion: out = x + proj(A_S V). With one it reads
the reference's keys and values instead of its own, out = x + proj(A_X V_ref), as Tune-A-Video and FateZero do, so no
weight is new and published checkpoints run unchanged. The null key, where a network was trained with one, collects the
attention of cells that have no counterpart in the reference: it is what visibility is read from.

Ask for `mutable=["attention"]` and the maps come out; for `mutable=["references"]` and this frame's own keys and values
come out, ready to be another frame's reference. Ask for neither and a fused attention may run.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict
from jax.typing import DTypeLike

from difftrack_jax.models.layers import GroupNorm
from difftrack_jax.ops.attention import attend, logits, weighted
from difftrack_jax.ops.sampling import cell_centres
from difftrack_jax.typing import Array, Bool, Float


class Reference(NamedTuple):
    """Keys and values of one layer for the m cells of a reference (several references are joined along m)."""

    keys: Float[Array, "b m heads d"]
    values: Float[Array, "b m heads d"]


class Maps(NamedTuple):
    """What one layer attended to, averaged over its heads. `cross` has the null key last when the layer has one."""

    self_: Float[Array, "b q q"]
    cross: Float[Array, "b q m"] | None


def rotary(x: Float[Array, "b s heads d"], h: int, w: int) -> Float[Array, "b s heads d"]:
    """Rotate the first half of the channels by the cell's x and y, so that products depend on relative position.

    A quarter of the channels turns with x, a quarter with y, and half carries content only.
    """
    quarter = x.shape[-1] // 4
    frequencies = 0.7 * (0.03 ** (jnp.arange(quarter // 2) / (quarter // 2)))
    centres = cell_centres(h, w)

    def turn(part, position):
        angle = (position[:, None] * frequencies[None])[None, :, None]
        a, b = jnp.split(part, 2, axis=-1)
        cos, sin = jnp.cos(angle).astype(part.dtype), jnp.sin(angle).astype(part.dtype)
        return jnp.concatenate([a * cos - b * sin, a * sin + b * cos], axis=-1)

    along_x, along_y, content = jnp.split(x, [quarter, 2 * quarter], axis=-1)
    return jnp.concatenate([turn(along_x, centres[:, 0]), turn(along_y, centres[:, 1]), content], axis=-1)


def probabilities(
    q: Float[Array, "b q heads d"],
    k: Float[Array, "b m heads d"],
    null: Float[Array, "b q heads"] | None = None,
) -> Float[Array, "b heads q m2"]:
    """softmax(q k^T) in float32, with the null key's logits as the last column when given."""
    rows = logits(q, k)
    if null is not None:
        rows = jnp.concatenate([rows, jnp.moveaxis(null, 1, 2)[..., None].astype(jnp.float32)], axis=-1)
    return jax.nn.softmax(rows, axis=-1)


class AttentionBlock(nn.Module):
    """guided-diffusion's AttentionBlock, with reference keys and captured maps.

    new_order: how the qkv projection is laid out, [q of all heads, k .., v ..] or (legacy) [q, k, v] head by head.
    cosine: unit-length queries and keys with a learned temperature instead of 1/sqrt(d).
    """

    heads: int
    new_order: bool = False
    cosine: bool = False
    rotary: bool = False
    null_key: bool = False
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], reference: Reference | None = None) -> Float[Array, "b h w c"]:
        b, h, w, c = x.shape
        y = GroupNorm(dtype=self.dtype, name="norm")(x.reshape(b, h * w, c))
        q, k, v = self._split(nn.Dense(3 * c, dtype=self.dtype, name="qkv")(y))
        q, k, null = self._scale(q, k, h, w)
        self.sow("references", "own", Reference(k, v), reduce_fn=lambda _, new: new)
        out = self._read(q, Reference(k, v), None) if reference is None else self._read(q, reference, null)
        if self.is_mutable_collection("attention"):
            cross = None if reference is None else probabilities(q, reference.keys, null).mean(axis=1)
            maps = Maps(probabilities(q, k).mean(axis=1), cross)
            self.sow("attention", "maps", maps, reduce_fn=lambda _, new: new)
        out = nn.Dense(c, kernel_init=nn.initializers.zeros, dtype=self.dtype, name="proj_out")(
            out.reshape(b, h * w, c)
        )
        return x + out.reshape(b, h, w, c)

    def _split(self, qkv):
        b, s, c3 = qkv.shape
        shape = (b, s, 3, self.heads, -1) if self.new_order else (b, s, self.heads, 3, c3 // (3 * self.heads))
        parts = qkv.reshape(shape)
        return tuple(jnp.moveaxis(parts, 2 if self.new_order else 3, 0))

    def _scale(self, q, k, h, w):
        """Queries and keys such that their plain product is the logit; the null key's logits, if there is one."""
        d = q.shape[-1]
        null = None
        if self.cosine:
            unit = lambda z: (
                z / jnp.linalg.norm(z.astype(jnp.float32), axis=-1, keepdims=True).clip(1e-6).astype(z.dtype)
            )
            temperature = jnp.exp(self.param("log_temperature", nn.initializers.constant(2.3), (self.heads,)))
            q, k = unit(q) * temperature[None, None, :, None].astype(q.dtype), unit(k)
        else:
            q = q / jnp.sqrt(d).astype(q.dtype)
        if self.null_key:
            key = self.param("null_key", nn.initializers.normal(0.1), (self.heads, d))
            bias = self.param("null_bias", nn.initializers.zeros, (self.heads,))
            null = jnp.einsum("bqhd,hd->bqh", q, key.astype(q.dtype)) + bias.astype(q.dtype)[None, None]
        if self.rotary:
            q, k = rotary(q, h, w), rotary(k, h, w)
        return q, k, null

    def _read(self, q, reference, null):
        if null is None and not self.is_mutable_collection("attention"):
            return attend(q, reference.keys, reference.values)
        p = probabilities(q, reference.keys, null)[..., : reference.keys.shape[1]]  # the null key has no value
        return weighted(p, reference.values)


class CrossAttention(nn.Module):
    """Attention with separate projections, as in Stable Diffusion: over its own cells, a context, or a reference's.

    watch: hand out what was attended to, in the manner above: `maps` and `own` where the keys are cells, `tokens`
    (rows over the context's entries, averaged over heads) where they are a text's. Off for layers nobody reads.
    head_dim: channels of a head; if None, those of x shared out among the heads. bias: of queries, keys and values.
    """

    heads: int
    head_dim: int | None = None
    bias: bool = False
    watch: bool = False
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "b q c"],
        context: Float[Array, "b s e"] | None = None,
        reference: Reference | None = None,
        mask: Bool[Array, "b s"] | None = None,
    ) -> Float[Array, "b q c"]:
        """mask: False hides an entry of the context (of unwatched layers)."""
        b, s, c = x.shape
        d = self.head_dim or c // self.heads
        source = x if context is None else context.astype(self.dtype)

        def project(name, y):
            y = nn.Dense(self.heads * d, use_bias=self.bias, dtype=self.dtype, name=name)(y)
            return y.reshape(b, -1, self.heads, d)

        q, k, v = project("to_q", x), project("to_k", source), project("to_v", source)
        q = q / jnp.sqrt(d).astype(q.dtype)
        if mask is None:
            out = self._read(q, Reference(k, v), reference, context is not None)
        else:
            out = jax.nn.dot_product_attention(q, k, v, mask=mask[:, None, None], scale=1.0)
        return nn.Dense(c, dtype=self.dtype, name="to_out_0")(out.reshape(b, s, self.heads * d))

    def _read(self, q, own, reference, is_text):
        new = dict(reduce_fn=lambda _, value: value)
        if self.watch and not is_text:
            self.sow("references", "own", own, **new)
        read = own if reference is None else reference
        if not (self.watch and self.is_mutable_collection("attention")):
            return attend(q, read.keys, read.values)
        p = probabilities(q, read.keys)
        mean = p.mean(axis=1)
        if is_text:
            self.sow("attention", "tokens", mean, **new)
        else:
            maps = Maps(mean, None) if reference is None else Maps(probabilities(q, own.keys).mean(axis=1), mean)
            self.sow("attention", "maps", maps, **new)
        return weighted(p, read.values)


def by_name(collection: dict, leaf: str) -> dict[str, Any]:
    """What every module sowed under `leaf` ("maps", "tokens", "own"), by the module's path, "up_blocks_1/.../attn1"."""
    flat = flatten_dict(collection, sep="/")
    return {path.removesuffix(f"/{leaf}"): value for path, value in flat.items() if path.endswith(f"/{leaf}")}
