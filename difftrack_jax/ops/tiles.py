"""Work on a large map part by part: overlapping tiles, each faded towards its neighbours, all of one static size.

    out(x) = sum_i w_i(x) f(tile_i)(x) / sum_i w_i(x),      w_i falls linearly to (almost) zero over the overlap

A function that looks only near each cell gives what it would give on the whole, but for cells that see a tile's edge,
which count least. One that looks everywhere (group norm, attention) differs: that is the price of bounded memory.
"""

from collections.abc import Callable
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np

from difftrack_jax.typing import Array, Float, Int


def starts(size: int, tile: int, overlap: int) -> Int[np.ndarray, "n"]:
    """Where tiles begin: as few as cover `size` with at least `overlap` shared, the last one flush with the end."""
    if not 0 <= overlap < tile:
        raise ValueError(f"an overlap of {overlap} in tiles of {tile}: it must be from 0 to {tile - 1}")
    count = 1 + max(0, -(-(size - tile) // (tile - overlap)))
    return np.round(np.linspace(0, max(size - tile, 0), count)).astype(np.int64)


def ramp(tile: int, overlap: int) -> Float[np.ndarray, "t"]:
    """Weights along a tile: 1 inside, falling linearly over the overlap at both ends, nowhere zero."""
    edge = (np.minimum(np.arange(tile), np.arange(tile)[::-1]) + 1) / (overlap + 1)
    return np.minimum(edge, 1.0).astype(np.float32)


def tiled(
    function: Callable[[Array], Array], x: Float[Array, "b h w c"], tile: int, overlap: int, scale: Fraction | int
) -> Float[Array, "b h2 w2 d"]:
    """`function` over tiles of at most `tile` x `tile` cells of x, one after another.

    scale: size of its output over that of its input, as 8 or Fraction(1, 8); where it shrinks, `tile`, `overlap` and
    the sides of x must be multiples of 1/scale, and tiles begin on such multiples. A map no larger than a tile is
    passed whole.
    """
    _, h, w, _ = x.shape
    scale, unit = Fraction(scale), max(1, int(1 / Fraction(scale)))
    if any(value % unit for value in (h, w, tile, overlap)):
        raise ValueError(f"tiles of {tile} and {overlap} on a map of {h} x {w}: all must be multiples of {unit}")
    if h <= tile and w <= tile:
        return function(x)
    sides = min(tile, h), min(tile, w)
    rows, columns = (starts(n // unit, s // unit, overlap // unit) * unit for n, s in zip((h, w), sides))
    grid = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)
    out_sides = tuple(int(s * scale) for s in sides)
    weight = ramp(out_sides[0], int(overlap * scale))[:, None] * ramp(out_sides[1], int(overlap * scale))[None]
    weight = jnp.asarray(weight)[None, :, :, None]
    shape = jax.eval_shape(function, x[:, : sides[0], : sides[1]])
    total = jnp.zeros((x.shape[0], int(h * scale), int(w * scale), shape.shape[-1]), jnp.float32)
    share = jnp.zeros((1, *total.shape[1:3], 1), jnp.float32)

    def add(whole, part, at):
        here = jax.lax.dynamic_slice(whole, at, part.shape)
        return jax.lax.dynamic_update_slice(whole, here + part, at)

    def step(carry, corner):
        part = jax.lax.dynamic_slice(x, (0, corner[0], corner[1], 0), (x.shape[0], *sides, x.shape[3]))
        place = corner * scale.numerator // scale.denominator
        at = (0, place[0], place[1], 0)
        total, share = carry
        return (add(total, weight * function(part).astype(jnp.float32), at), add(share, weight, at)), None

    (total, share), _ = jax.lax.scan(step, (total, share), jnp.asarray(grid, jnp.int32))
    return (total / share).astype(shape.dtype)
