"""Masks on grids: boxes of them, from them, and their connected parts."""

import jax
import jax.numpy as jnp

from difftrack_jax.typing import Array, Bool, Float


def mask_box(mask: Bool[Array, "h w"]) -> Float[Array, "4"]:
    """x0, y0, x1, y1 around the true cells, in cells; zeros when there are none."""
    columns, rows = mask.any(axis=0), mask.any(axis=1)
    last = lambda line: line.shape[0] - jnp.argmax(line[::-1])
    box = jnp.stack([jnp.argmax(columns), jnp.argmax(rows), last(columns), last(rows)]).astype(jnp.float32)
    return jnp.where(mask.any(), box, 0.0)


def quantile_box(mass: Float[Array, "h w"], share: float = 0.02) -> Float[Array, "4"]:
    """The box that leaves `share` of the mass outside on each side, in cells; sub-cell, and deaf to single stray
    cells.
    """

    def extent(line):
        edges = jnp.concatenate([jnp.zeros(1), jnp.cumsum(line)]) / jnp.maximum(jnp.sum(line), 1e-12)
        at = jnp.arange(line.shape[0] + 1, dtype=jnp.float32)
        return jnp.interp(jnp.array([share, 1 - share]), edges, at)

    x, y = extent(mass.sum(axis=0)), extent(mass.sum(axis=1))
    return jnp.stack([x[0], y[0], x[1], y[1]])


def largest_component(mask: Bool[Array, "h w"]) -> Bool[Array, "h w"]:
    """The largest 4-connected part of a mask (the one that comes last in reading order among equals)."""
    h, w = mask.shape
    start = jnp.where(mask, jnp.arange(1, h * w + 1).reshape(h, w), 0)

    def spread(label):
        pad = jnp.pad(label, 1)
        best = jnp.stack([pad[1:-1, 1:-1], pad[:-2, 1:-1], pad[2:, 1:-1], pad[1:-1, :-2], pad[1:-1, 2:]]).max(axis=0)
        return jnp.where(mask, best, 0)

    # Labels spread to the largest in reach; every part ends with one label.
    label, _ = jax.lax.while_loop(
        lambda s: jnp.any(s[0] != s[1]), lambda s: (spread(s[0]), s[0]), (spread(start), start)
    )
    counts = jnp.zeros(h * w + 1, jnp.int32).at[label.reshape(-1)].add(1).at[0].set(0)
    return mask & (label == (counts.shape[0] - 1 - jnp.argmax(counts[::-1])))


def soft_box(points: Float[Array, "p 2"], box: Float[Array, "n 4"], sharpness: float = 1.0) -> Float[Array, "n p"]:
    """Membership of points in boxes: one inside, falling to zero across the border over a cell of size 1/sharpness."""
    low, high = points[None] - box[:, None, :2], box[:, None, 2:] - points[None]
    inside = jnp.minimum(low, high).min(axis=-1) * sharpness
    return jnp.clip(inside + 0.5, 0.0, 1.0)
