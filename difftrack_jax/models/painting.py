"""Location tokens painted onto the cells their boxes cover, before the first layer: a short cut of ours.

    x_cell <- x_cell + W sum_i cover_i(cell) silu(A token_i + B edges_i(cell))

A pretrained network reads tokens through gated attention alone, as published; one that is trained from scratch in an
hour does not learn in that time which cell a box means. cover is the share of the cell that the box covers, edges are
the signed distances from the cell's centre to the box's four sides, in cells, at most two.
"""

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from difftrack_jax.models.tracklets import Grounds
from difftrack_jax.typing import Array, Float


class Painting(nn.Module):
    """What is added to a map [b f, h, w, features]."""

    features: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, grounds: Grounds, h: int, w: int) -> Float[Array, "k h w c"]:
        b, f, n, d = grounds.location.shape
        boxes = grounds.boxes.reshape(b * f, n, 4) * jnp.array([w, h, w, h], jnp.float32).reshape(1, 1, 4)
        cover = _cover(boxes[..., 0::2], w)[:, :, None, :] * _cover(boxes[..., 1::2], h)[:, :, :, None]
        cover = cover * grounds.valid.reshape(b * f, n, 1, 1)
        tokens = nn.Dense(self.features, dtype=self.dtype, name="tokens")(grounds.location.reshape(b * f, n, d))
        near = nn.Dense(self.features, dtype=self.dtype, name="edges")(_edges(boxes, h, w).astype(self.dtype))
        seen = nn.silu(tokens[:, :, None, None] + near)
        total = jnp.einsum("knhw,knhwc->khwc", cover.astype(self.dtype), seen)
        return nn.Dense(self.features, use_bias=False, dtype=self.dtype, name="out")(total)


def _cover(sides: Float[Array, "k n 2"], size: int) -> Float[Array, "k n {size}"]:
    """Share of each cell between two sides."""
    cells = jnp.arange(size, dtype=jnp.float32).reshape(1, 1, size)
    low, high = sides[..., :1], sides[..., 1:]
    return jnp.clip(jnp.minimum(high, cells + 1) - jnp.maximum(low, cells), 0.0, 1.0)


def _edges(boxes: Float[Array, "k n 4"], h: int, w: int) -> Float[Array, "k n {h} {w} 4"]:
    x, y = jnp.arange(w) + 0.5, jnp.arange(h) + 0.5
    along_x = boxes[:, :, None, None, 0::2] - x.reshape(1, 1, 1, w, 1)
    along_y = boxes[:, :, None, None, 1::2] - y.reshape(1, 1, h, 1, 1)
    both = [jnp.broadcast_to(part, (*boxes.shape[:2], h, w, 2)) for part in (along_x, along_y)]
    return jnp.clip(jnp.concatenate(both, axis=-1), -2.0, 2.0)
