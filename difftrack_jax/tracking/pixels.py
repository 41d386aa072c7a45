"""Matches and masks at the resolution of pixels: attention proposes where a pixel came from, the pixels decide.

Cells of A_X are eight pixels wide, and what is carried by whole cells loses its border in a single frame. But every
cell i says, for every reference r, where it came from:

    y_ri  = sum_j A_X(i, j)^2 p_j / sum_j A_X(i, j)^2             squared, so nearer to the mode than to the mean
    y*_ri = y_ri, moved until the pixels around p_i and around y_ri agree                          (ops/alignment.py)

and a pixel x of a segment takes the proposals of the nine cells around it, each as far as it shows the pixel's colour:

    y_ri(x) = y*_ri + (x - p_i)
    w_ri(x) = e_ri  exp(-|x - p_i|^2 / 2 s^2)  exp(-|I(x) - I_r(y_ri(x))|^2 / 2 c^2)
    m(x)    = sum_ri w_ri m_r(y_ri(x)) / (sum_ri w_ri + w_0 null(x))

e_ri is the cell's share of attention to all references, in equal parts to those that have any of it: attention goes to
the last frame most, which looks most like this one, but the first frame's mask alone is without errors. The null key's
share votes for "not the target": what has no counterpart is new.

Cells around a point on something thin hold as much of what is behind it, which moves otherwise. A cell's vote, that the
point is now at a_ri, counts as far as the few pixels there show what they showed around the point itself:

    v_ri = v_0 + (1 - v_0) exp(-|I(a_ri) - I_r(a_r)|^2 / 2 c_p^2)
"""

import jax
import jax.numpy as jnp

from difftrack_jax.ops.alignment import align
from difftrack_jax.ops.sampling import bilinear, cell_centres
from difftrack_jax.typing import Array, Float

_REACH = 0.8  # s, in cells
_COLOUR = 0.15  # c, for colours in [-1, 1]
_NEW = 0.02  # w_0
_POINT, _POINT_COLOUR = 3, 0.1  # pixels a side around a point, and c_p
_OTHERWISE = 0.02  # v_0
_LIKE = 0.15  # grey values differ by so much where two patches are alike


def aligned(
    position: Float[Array, "r q 2"], images: Float[Array, "r h w 3"], now: Float[Array, "h w 3"], grid: tuple[int, int]
) -> tuple[Float[Array, "r q 2"], Float[Array, "r q"]]:
    """Where each of the q cells of a window came from in r references, y -> y*, in cells; and how alike both look, in
    [0, 1].
    """
    scale = now.shape[0] // grid[0]
    centres, grey = cell_centres(*grid) * scale, now.mean(-1)
    one = lambda at, image: align(image.mean(-1), grey, centres, at * scale)
    found, unlike = jax.vmap(one)(position, images)
    return found / scale, jnp.exp(-0.5 * unlike / _LIKE**2)


def carry_masks(
    position: Float[Array, "r q 2"],
    mass: Float[Array, "r q"],
    images: Float[Array, "r h w 3"],
    masks: Float[Array, "r h w n"],
    now: Float[Array, "h w 3"],
    grid: tuple[int, int],
) -> Float[Array, "h w n"]:
    """Membership m(x) of every pixel of a window in n targets, from r references of the same size.

    position: where each of the q cells came from, in cells of the reference's window. mass: its share of attention.
    """
    (h, w), (gh, gw), r = now.shape[:2], grid, position.shape[0]
    scale = h // gh
    x = (cell_centres(h, w) / scale).reshape(1, h, w, 2)
    # Around the grid its border cells are repeated, with centres of their own.
    ring = lambda a: jnp.pad(a, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    shift = ring((position - cell_centres(gh, gw)[None]).reshape(r, gh, gw, 2))
    sure = ring(_even(mass).reshape(r, gh, gw, 1))
    centre = (cell_centres(gh + 2, gw + 2) - 1).reshape(1, gh + 2, gw + 2, 2)
    # The nine neighbours of every cell, cut out beforehand: cutting inside the loop trips XLA's compiler for CPUs.
    around = lambda a: jnp.stack([a[:, i : i + gh, j : j + gw] for i in range(3) for j in range(3)])
    known = jnp.concatenate([images, masks], axis=-1).reshape(r, h * w, -1)
    limit = jnp.array([w, h]).reshape(1, 1, 1, 2)
    of_pixels = lambda cells: jnp.repeat(jnp.repeat(cells, scale, axis=1), scale, axis=2)

    def neighbour(sums, cells):
        shift, sure, centre = map(of_pixels, cells)
        y = jnp.floor((x + shift) * scale).astype(jnp.int32)
        inside = jnp.all((y >= 0) & (y < limit), axis=-1)
        y = jnp.clip(y, 0, limit - 1)
        found = jax.vmap(lambda a, i: a[i])(known, (y[..., 1] * w + y[..., 0]).reshape(r, -1)).reshape(r, h, w, -1)
        unlike = _smooth(jnp.sum((found[..., :3] - now[None]) ** 2, axis=-1))
        far = jnp.sum((x - centre) ** 2, axis=-1)
        weight = sure[..., 0] * jnp.exp(-0.5 * (far / _REACH**2 + unlike / _COLOUR**2)) * inside
        member, total = sums
        return (member + jnp.sum(weight[..., None] * found[..., 3:], axis=0), total + jnp.sum(weight, axis=0)), None

    start = jnp.zeros((h, w, masks.shape[-1])), jnp.zeros((h, w))
    (member, total), _ = jax.lax.scan(neighbour, start, (around(shift), around(sure), around(centre)))
    null = jnp.clip(1 - jnp.sum(mass, axis=0), 0.0, 1.0).reshape(gh, gw)
    total = total + _NEW * jax.image.resize(null, (h, w), "linear")
    return member / jnp.maximum(total, 1e-9)[..., None]


def _even(mass: Float[Array, "r q"]) -> Float[Array, "r q"]:
    """e: what a cell gives to all references, shared evenly among those that it gives anything."""
    given = (mass > 0).astype(mass.dtype)
    total = lambda a: jnp.sum(a, axis=0, keepdims=True)
    return given * total(mass) / jnp.maximum(total(given), 1.0)


def resemblance(
    homes: Float[Array, "r n 2"],
    images: Float[Array, "r h w 3"],
    places: Float[Array, "r q n 2"],
    now: Float[Array, "h w 3"],
) -> Float[Array, "r q n"]:
    """v: how much `places` look like the n points at `homes` in r references, in (0, 1]; both in pixels."""
    offsets = cell_centres(_POINT, _POINT) - _POINT / 2

    def patches(image, at):
        around = at[..., None, :] + offsets.reshape(*(1,) * (at.ndim - 1), -1, 2)
        return bilinear(image, around.reshape(-1, 2)).reshape(*around.shape[:-1], 3)

    difference = patches(now, places) - jax.vmap(patches)(images, homes)[:, None]
    unlike = jnp.mean(jnp.sum(difference**2, axis=-1), axis=-1)
    return _OTHERWISE + (1 - _OTHERWISE) * jnp.exp(-0.5 * unlike / _POINT_COLOUR**2)


def _smooth(a: Float[Array, "r h w"]) -> Float[Array, "r h w"]:
    """Mean over 3 x 3 pixels."""
    pad = jnp.pad(a, ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows = (pad[:, :-2] + pad[:, 1:-1] + pad[:, 2:]) / 3
    return (rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]) / 3
