"""RoI align (He et al. 2017) with static shapes: two small matrices a box, for the whole thing is separable.

    feature[p, q] = sum_{r, s} wy[p, r] F[r, s] wx[q, s],
    wy[p, r] = 1/g sum_{i < g} [-1 <= y_pi <= h] max(0, 1 - |clamp(y_pi, 0, h - 1) - r|),
    y_pi = y0 + (p + (i + 1/2) / g) bin

with bin = height / P and g = ceil(bin) samples a bin, which is torchvision's `roi_align(aligned=False,
sampling_ratio=-1)`: a box is at least one cell wide and high, samples more than a cell outside the map add nothing.
Coordinates are cells with cell r centred at r, as there; they stay float32 whatever the features are.
"""

import jax.numpy as jnp

from difftrack_jax.typing import Array, Float


def roi_weights(
    low: Float[Array, "*n"], high: Float[Array, "*n"], size: int, bins: int, samples: int | None = None
) -> Float[Array, "*n {bins} {size}"]:
    """Weights of `size` cells for each of `bins` bins of the intervals [low, high].

    samples: the most samples a bin can have; the default serves intervals no longer than the map.
    """
    samples = samples or -(-size // bins) + 1
    low, high = low.astype(jnp.float32), high.astype(jnp.float32)
    width = jnp.maximum(high - low, 1.0) / bins
    count = jnp.ceil(width)
    column = lambda x: x[..., None, None]
    i = jnp.arange(samples, dtype=jnp.float32).reshape((1,) * (low.ndim + 1) + (samples,))
    p = jnp.arange(bins, dtype=jnp.float32).reshape((1,) * low.ndim + (bins, 1))
    at = column(low) + (p + (i + 0.5) / column(count)) * column(width)
    counts = (i < column(count)) & (at >= -1) & (at <= size)
    at = jnp.clip(at, 0, size - 1)
    cells = jnp.arange(size, dtype=jnp.float32).reshape((1,) * at.ndim + (size,))
    near = jnp.maximum(0.0, 1.0 - jnp.abs(at[..., None] - cells))
    return jnp.sum(near * counts[..., None], axis=-2) / column(count)


def roi_align(
    features: Float[Array, "b h w c"],
    boxes: Float[Array, "b n 4"],
    bins: int = 1,
    samples: int | None = None,
) -> Float[Array, "b n {bins} {bins} c"]:
    """Features of n boxes an image; boxes are x0, y0, x1, y1 in cells of the map."""
    _, h, w, _ = features.shape
    wx = roi_weights(boxes[..., 0], boxes[..., 2], w, bins, samples)
    wy = roi_weights(boxes[..., 1], boxes[..., 3], h, bins, samples)
    rows = jnp.einsum("bnph,bhwc->bnpwc", wy.astype(features.dtype), features)
    return jnp.einsum("bnqw,bnpwc->bnpqc", wx.astype(features.dtype), rows)
