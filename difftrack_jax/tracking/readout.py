"""From a target's map to its place: point, box, segment, and whether it is visible.

The paper reads arg max, {A* > 0} and the extent of that set (eq. 12); a softmax is positive everywhere, so [D]:

    point      soft arg max around the peak; or the vote of the cells around it (below)
    segment    cells whose share of the target beats all that is left, after up-sampling
    box        extent that holds all but a little of the mass; or the similarity that carries the old box along (below)
    score      how much of the cells that claim to be the target comes from it, against what a perfect match would give

Votes and similarity use that A_X carries coordinates as well as it carries membership: with u_j the position of reference
cell j in the target's own frame (its anchor at 0, its size 1), cell i at p_i says "I was at u_i = sum_j A_X(i, j) u_j", so
p_i = anchor + scale * size * u_i, solved over all cells that claim the target, weighted and robust.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from difftrack_jax.ops.masks import largest_component, quantile_box
from difftrack_jax.ops.sampling import cell_centres, soft_arg_max
from difftrack_jax.ops.windows import from_window
from difftrack_jax.tracking.indicators import POINT, SEGMENT, Targets
from difftrack_jax.tracking.settings import Settings
from difftrack_jax.typing import Array, Float


class Reading(NamedTuple):
    """What the rows of A_X carried to each of the q cells of frame t+1: linear in the rows, so readings average.

    share: of target n. coordinates: sum over non-null references of A_X times u (in target sizes). mass: of all references.
    """

    share: Float[Array, "q n"]
    coordinates: Float[Array, "q n 2"]
    mass: Float[Array, "q"]


def carry(
    rows: Float[Array, "q m2"], kernels: Float[Array, "m n"], coordinates: Float[Array, "m n 2"]
) -> Reading:
    """Apply rows (null column last, if any) to what the references know."""
    rows = rows[:, : kernels.shape[0]]
    return Reading(rows @ kernels, jnp.einsum("qm,mnc->qnc", rows, coordinates), jnp.sum(rows, axis=-1))


def read(
    maps: Float[Array, "q n"],
    reading: Reading,
    perfect: Float[Array, "n"],
    targets: Targets,
    window: Float[Array, "4"],
    grid: tuple[int, int],
    settings: Settings,
) -> Targets:
    """Targets of the new frame from their propagated maps. perfect: the score of a match that misses nothing."""
    score = jnp.clip(_concentration(maps) / jnp.maximum(perfect, 1e-6), 0.0, 1.0)
    visible = (score > settings.visible_above) & targets.valid
    fit = jax.vmap(_similarity, (1, 1, None, 0, 0, None, None))(
        maps, reading.coordinates, reading.mass, targets.anchor, targets.size, window, grid
    )
    masks = _segments(maps, targets, grid)
    anchor, size = _choose(maps, fit, masks, targets, window, grid, settings)
    found = visible[:, None]
    return targets._replace(
        anchor=jnp.where(found, anchor, targets.anchor),
        size=jnp.where(found, size, targets.size),
        mask=jnp.where(found[..., None], masks, targets.mask),
        mask_window=jnp.where(found, window[None], targets.mask_window),
        visible=visible,
        score=jnp.where(targets.valid, score, 0.0),
    )


def concentration_of(kernels: Float[Array, "m n"]) -> Float[Array, "n"]:
    """The score that reading a kernel back unchanged would give before it is divided by itself."""
    return _concentration(kernels)


def _concentration(maps):
    """Mean share over the cells, each weighted by its share: near one where the claim is clear, small where diffuse."""
    return jnp.sum(maps**2, axis=0) / jnp.maximum(jnp.sum(maps, axis=0), 1e-6)


def _similarity(share, coordinates, mass, anchor, size, window, grid):
    """Anchor and scale of p = anchor + scale * size * u by iteratively re-weighted least squares over cells."""
    p = from_window(cell_centres(*grid), window, grid)
    u = coordinates / jnp.maximum(mass, 1e-6)[:, None] * size[None]
    cell = (window[2] - window[0]) / grid[1]
    tolerance = cell + 0.1 * jnp.min(size)
    claim = jnp.where(share > 0.3 * jnp.max(share), share * share * mass, 0.0)

    def solve(weight):
        weight = weight / jnp.maximum(jnp.sum(weight), 1e-12)
        mean = lambda z: jnp.sum(weight[:, None] * z, axis=0)
        p0, u0 = mean(p), mean(u)
        dp, du = p - p0[None], u - u0[None]
        # Regress the old place on the new: the new positions are exact, the matched ones are noisy.
        together, alone = jnp.sum(weight[:, None] * dp * du), jnp.sum(weight[:, None] * dp * dp)
        # A lone cell (a small target) says nothing of scale: a prior of one, as heavy as a spread of one cell.
        scale = (alone + cell**2) / jnp.maximum(together + cell**2, 1e-6)
        scale = jnp.clip(scale, 0.8, 1.25)
        return p0 - scale * u0, scale

    def again(weight, _):
        new, scale = solve(weight)
        residual = jnp.linalg.norm(p - new[None] - scale * u, axis=-1)
        return claim / (1 + (residual / tolerance) ** 2), None

    weight, _ = jax.lax.scan(again, claim, None, length=4)
    new, scale = solve(weight)
    enough = jnp.sum(weight) > 1e-6
    return jnp.where(enough, new, anchor), jnp.where(enough, scale, 1.0)


def _segments(maps, targets, grid):
    """Membership on each target's mask grid: its share against the largest of what is left, up-sampled."""
    n = maps.shape[1]
    others = (jnp.sum(maps, axis=1, keepdims=True) - maps) * (n > 1)
    rest = jnp.maximum(1 - maps - others, 0.0)
    p = maps / jnp.maximum(maps + jnp.maximum(rest, others), 1e-6)
    side = targets.mask.shape[-1]
    fine = jax.image.resize(p.T.reshape(n, *grid), (n, side, side), "cubic")
    return jnp.clip(fine, 0.0, 1.0)


def _choose(maps, fit, masks, targets, window, grid, settings):
    """Anchor and size by the target's kind and the settings."""
    new, scale = fit
    size = targets.size * jnp.clip(scale, 0.9, 1.1)[:, None]
    shaped = maps.T.reshape(-1, *grid)
    quantile = from_window(jax.vmap(quantile_box)(shaped**2).reshape(-1, 2), window, grid).reshape(-1, 4)
    if settings.box == "quantile":
        new, size = (quantile[:, :2] + quantile[:, 2:]) / 2, quantile[:, 2:] - quantile[:, :2]
    extent, found = jax.vmap(_extent, (0, None))(masks, window)
    is_segment = (targets.kind == SEGMENT)[:, None] & found[:, None]
    new = jnp.where(is_segment, (extent[:, :2] + extent[:, 2:]) / 2, new)
    size = jnp.where(is_segment, extent[:, 2:] - extent[:, :2], size)
    peak = from_window(soft_arg_max(shaped), window, grid)
    is_point = (targets.kind == POINT)[:, None]
    point = peak if settings.point == "soft_arg_max" else fit[0]
    return jnp.where(is_point, point, new), jnp.where(is_point, targets.size, size)


def _extent(mask, window):
    """Box in source pixels of the largest part of a mask, less a sliver of its mass; and whether there is one."""
    part = largest_component(mask > 0.5)
    side = mask.shape[-1]
    box = quantile_box(part.astype(jnp.float32), 0.003)
    return from_window(box.reshape(2, 2), window, (side, side)).reshape(4), part.any()
