"""Boxes as x0, y0, x1, y1."""

import jax.numpy as jnp

from difftrack_jax.typing import Array, Float


def centre_size(box: Float[Array, "*n 4"]) -> tuple[Float[Array, "*n 2"], Float[Array, "*n 2"]]:
    """Centre (x, y) and size (w, h)."""
    return (box[..., :2] + box[..., 2:]) / 2, box[..., 2:] - box[..., :2]


def from_centre_size(centre: Float[Array, "*n 2"], size: Float[Array, "*n 2"]) -> Float[Array, "*n 4"]:
    """The inverse of `centre_size`."""
    return jnp.concatenate([centre - size / 2, centre + size / 2], axis=-1)


def iou(a, b):
    """Intersection over union of boxes [..., 4], pairwise along equal leading axes; numpy or jax arrays, 0 when
    empty.
    """
    xp = a.__array_namespace__()
    low, high = xp.maximum(a[..., :2], b[..., :2]), xp.minimum(a[..., 2:], b[..., 2:])
    overlap = xp.prod(xp.maximum(high - low, 0), axis=-1)
    area = lambda z: xp.prod(xp.maximum(z[..., 2:] - z[..., :2], 0), axis=-1)
    union = area(a) + area(b) - overlap
    return xp.where(union > 0, overlap / xp.where(union > 0, union, 1), 0)
