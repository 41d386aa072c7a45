"""Patches found again to a fraction of a pixel: regularised inverse-compositional Lucas-Kanade, many at once.

    d* = arg min_d  sum_x (I(x + d) - T(x))^2 / s_n^2 + |d - d_0|^2 / s_d^2,      T and I less their means

by Gauss-Newton steps whose matrix, of the template's gradients, is made once (Baker and Matthews 2004). d_0 is where a
coarser method found the patch: where there is little texture it stays the answer.
"""

import jax
import jax.numpy as jnp

from difftrack_jax.typing import Array, Float

_NOISE = 0.05  # s_n, of grey values in [-1, 1]
_SPREAD = 2.0  # s_d, in pixels


def align(
    image: Float[Array, "h w"],
    template: Float[Array, "h2 w2"],
    centres: Float[Array, "q 2"],
    start: Float[Array, "q 2"],
    side: int = 12,
    iterations: int = 3,
) -> tuple[Float[Array, "q 2"], Float[Array, "q"]]:
    """Where in `image` the patches of `template` around `centres` (x, y) are, in pixels, begun at `start`; and how
    unlike they are there: the mean square of the difference.

    Answers that leave the neighbourhood of the start (half a patch) or fit no better than it give the start.
    """
    t, slope = _template(template, centres, side)
    prior = (_NOISE / _SPREAD) ** 2
    inverse = jnp.linalg.inv(jnp.einsum("qyxi,qyxj->qij", slope, slope) + prior * jnp.eye(2)[None])

    def error(at):
        return _centred(_patches(image, at, side) - t)

    def again(at, _):
        pull = jnp.einsum("qyxi,qyx->qi", slope, error(at)) + prior * (at - start)
        return at - jnp.einsum("qij,qj->qi", inverse, pull), None

    found, _ = jax.lax.scan(again, start, None, length=iterations)
    before, after = (jnp.mean(error(at) ** 2, axis=(1, 2)) for at in (start, found))
    good = (after < before) & (jnp.max(jnp.abs(found - start), axis=-1) < side / 2)
    return jnp.where(good[:, None], found, start), jnp.where(good, after, before)


def _template(image, centres, side):
    """Patches [q, side, side] and their slopes [q, side, side, 2], the slopes less their means."""
    wide = _patches(image, centres, side + 2)
    along_x, along_y = wide[:, 1:-1, 2:] - wide[:, 1:-1, :-2], wide[:, 2:, 1:-1] - wide[:, :-2, 1:-1]
    return wide[:, 1:-1, 1:-1], _centred(jnp.stack([along_x, along_y], axis=-1) / 2)


def _centred(patches):
    return patches - patches.mean(axis=(1, 2), keepdims=True)


def _patches(image, centres, side):
    """Bilinear patches [q, side, side] around real-valued centres (x, y); beyond the border its values hold."""
    padded = jnp.pad(image, side, mode="edge")
    corner = centres - side / 2
    low = jnp.floor(corner)
    fx, fy = jnp.moveaxis((corner - low)[:, :, None, None], 1, 0)
    index = low.astype(jnp.int32) + side
    cut = jax.vmap(lambda at: jax.lax.dynamic_slice(padded, (at[1], at[0]), (side + 1, side + 1)))(index)
    rows = cut[:, :, :-1] * (1 - fx) + cut[:, :, 1:] * fx
    return rows[:, :-1] * (1 - fy) + rows[:, 1:] * fy
