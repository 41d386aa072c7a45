"""From a target's map to its place: point, box, segment, and whether it is visible.

The paper reads arg max, {A* > 0} and the extent of that set (eq. 12); a softmax is positive everywhere, so [D]:

    point      soft arg max around the peak; or the vote of the cells around it (below)
    segment    cells whose share of the target beats all that is left, after up-sampling
    box        extent that holds all but a little of the mass; or the similarity that carries the old box along (below)
    score      how much of the cells that claim to be the target comes from it, against what a perfect match would give;
               of points, times how far what is there is what their first frame had there

Votes and similarity use that A_X carries positions as well as it carries membership: cell i at p_i says "I was at u_i",
a place in the target's own frame (its anchor at 0, its size 1), so p_i = anchor + scale * size * u_i, solved over all
cells that claim the target, weighted and robust.

Where few cells claim a point and agree, it is hidden, and what took its place is what moves: how clear its matches were
goes with it into the next frame, where its kernel is as faint (tracker.on_grid).
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from difftrack_jax.ops.masks import largest_component, quantile_box
from difftrack_jax.ops.sampling import cell_centres, soft_arg_max
from difftrack_jax.ops.windows import from_window
from difftrack_jax.ops.windows import resample as resample_window
from difftrack_jax.tracking.indicators import BOX, POINT, SEGMENT, Targets, boxes, is_point
from difftrack_jax.tracking.settings import Settings
from difftrack_jax.typing import Array, Float

_CLEAR = 0.05 * math.pi  # cells that make a point clear: a twentieth of what its kernel, squared, holds


class Reading(NamedTuple):
    """What the rows of A_X carried to each of the q cells of frame t+1: linear in the rows, so readings average.

    share: of target n, over all r references. mass: of each reference. position: where in each reference a cell came
    from, in its cells: the mean under A_X squared, which is nearer to the mode.
    """

    share: Float[Array, "q n"]
    mass: Float[Array, "r q"]
    position: Float[Array, "r q 2"]


class Evidence(NamedTuple):
    """What a frame's matches say of the n targets of a window, ready to be read.

    maps: propagated shares. votes: where in the target's own frame (anchor 0, size 1) each cell was in each of r
    references. mass: how much that counts; credit: how far it leads to what looks like the target. perfect: the score
    of a match that misses nothing. masks: membership of every pixel of the window, which segments are made of.
    """

    maps: Float[Array, "q n"]
    votes: Float[Array, "r q n 2"]
    mass: Float[Array, "r q n"]
    credit: Float[Array, "r q n"]
    perfect: Float[Array, "n"]
    masks: Float[Array, "h w n"]


class Fit(NamedTuple):
    """A similarity: where the anchor went and how the size changed; how well each cell goes along with it, how far
    what is at the anchor now is what the first frame had there, and how clearly cells that agree tell where it is, all
    in [0, 1].
    """

    anchor: Float[Array, "*n 2"]
    scale: Float[Array, "*n"]
    agreement: Float[Array, "*n q"]
    same: Float[Array, "*n"]
    clear: Float[Array, "*n"]


def carry(rows: Float[Array, "q m"], kernels: Float[Array, "r c n"], grid: tuple[int, int]) -> Reading:
    """Apply rows (over r references of c = grid cells, then the null column, if any) to what the references know."""
    r, c, _ = kernels.shape
    rows = jnp.moveaxis(rows[:, : r * c].reshape(-1, r, c), 1, 0)
    mass = jnp.sum(rows, axis=-1)
    # A reference in which a target is not marked (it joined later) says nothing of it, neither yes nor no.
    silent = jnp.einsum("rq,rn->qn", mass, 1.0 - marked(kernels))
    share = jnp.einsum("rqc,rcn->qn", rows, kernels) / jnp.maximum(1.0 - silent, 0.2)
    sharp = rows**2
    position = sharp @ cell_centres(*grid) / jnp.maximum(jnp.sum(sharp, axis=-1), 1e-12)[..., None]
    return Reading(share, mass, position)


def marked(kernels: Float[Array, "r c n"]) -> Float[Array, "r n"]:
    """One where a reference knows of a target."""
    return (jnp.max(kernels, axis=1) > 0).astype(jnp.float32)


def read(
    evidence: Evidence, targets: Targets, window: Float[Array, "4"], grid: tuple[int, int], settings: Settings
) -> Targets:
    """Targets of the new frame."""
    maps = evidence.maps
    score = jnp.clip(_concentration(maps) / jnp.maximum(evidence.perfect, 1e-6), 0.0, 1.0)
    claimed = (score > settings.visible_above) & targets.valid
    fit = jax.vmap(_follow, (1, 2, 2, 2, 0, 0, 0, None, None))(
        *(maps, evidence.votes, evidence.mass, evidence.credit),
        *(targets.kind, targets.anchor, targets.size, window, grid),
    )
    masks = _segments(evidence.masks, targets)
    anchor, size = _choose(maps, fit, masks, targets, window, grid, settings)
    # A point that seems hidden is followed all the same: nothing better is known of it. Joints have each other.
    lone, found = targets.kind == POINT, claimed[:, None]
    score = jnp.where(lone, score * fit.same, score)
    visible = claimed & (~lone | (fit.same > settings.point_visible_above))
    new = targets._replace(
        anchor=jnp.where(found, anchor, targets.anchor),
        size=jnp.where(found, size, targets.size),
        visible=visible,
        clear=jnp.where(lone, fit.clear, 1.0),
    )
    mask, mask_window = _new_masks(new, masks, fit.agreement, window, grid)
    return new._replace(
        mask=jnp.where(found[..., None], mask, targets.mask),
        mask_window=jnp.where(found, mask_window, targets.mask_window),
        score=jnp.where(targets.valid, score, 0.0),
    )


def _new_masks(targets, segments, agreement, window, grid):
    """What is fed back beside the place: a segment's mask over the window; over a box, which of its cells belong to it.

    A box holds background too. Cells that keep moving with the box are its object's; the rest fade from its kernel.
    """
    side = targets.mask.shape[-1]
    place = boxes(targets)
    resample = lambda a, box: resample_window(a.reshape(*grid, 1), window, box, (side, side))[..., 0]
    moving = 0.9 * targets.mask + 0.1 * jax.vmap(resample)(agreement, place)
    is_box = targets.kind == BOX
    mask = jnp.where(is_box[:, None, None], moving, segments)
    return mask, jnp.where(is_box[:, None], place, window[None])


def concentration_of(kernels: Float[Array, "m n"]) -> Float[Array, "n"]:
    """The score that reading a kernel back unchanged would give before it is divided by itself."""
    return _concentration(kernels)


def _concentration(maps):
    """Mean share over the cells, each weighted by its share: near one where the claim is clear, small where diffuse."""
    return jnp.sum(maps**2, axis=0) / jnp.maximum(jnp.sum(maps, axis=0), 1e-6)


def _follow(share, u, mass, credit, kind, anchor, size, window, grid):
    """The target's similarity over all references, told apart from the background's in each.

    A cell of a box that goes along with the background says little of the target, whatever it claims: boxes hold
    background, and background is easier to match than most targets. Where both move alike nothing is lost, since all
    cells count less alike.
    """
    is_box, lone = kind == BOX, kind == POINT
    p = from_window(cell_centres(*grid), window, grid)
    outside = mass * (jnp.max(jnp.abs(u), axis=-1) > 0.6)
    cell = (window[2] - window[0]) / grid[1]
    tolerance = 0.4 * cell + 0.03 * jnp.min(size)
    u = u * size[None, None]

    still = jax.vmap(lambda weight, u: _agreement(_similarity(weight, p, u, cell, tolerance), p, u, tolerance))(
        outside, u
    )
    claim = jnp.where(share > 0.3 * jnp.max(share), share * share, 0.0)[None] * mass * credit
    claim = claim * (1.0 - 0.9 * still * is_box)
    # A share is of what goes to references that know the target. So is a point's claim, or those that other
    # references draw attention from would count for less.
    claim = claim / jnp.where(lone, jnp.maximum(jnp.sum(mass, axis=0), 0.2), 1.0)[None]
    flat = lambda a: a.reshape(-1, *a.shape[2:])
    every = jnp.tile(p, (u.shape[0], 1))
    new, scale = _similarity(flat(claim), every, flat(u), cell, tolerance)
    with_target = _agreement((new, scale), every, flat(u), tolerance).reshape(still.shape)
    belongs = jnp.minimum(2 * with_target / jnp.maximum(with_target + still, 1e-6), 1.0) * jnp.sqrt(with_target)
    agreement = jnp.sum(mass * belongs, axis=0) / jnp.maximum(jnp.sum(mass, axis=0), 1e-6)
    enough = jnp.sum(claim) > 1e-6
    same = _same(new, p, cell, mass, with_target)
    clear = jnp.minimum(jnp.sum(flat(claim * with_target)) / _CLEAR, 1.0)
    return Fit(jnp.where(enough, new, anchor), jnp.where(enough, scale, 1.0), agreement, same, clear)


def _same(
    anchor: Float[Array, "2"],
    p: Float[Array, "q 2"],
    cell: Float[Array, ""],
    mass: Float[Array, "r q"],
    agreement: Float[Array, "r q"],
) -> Float[Array, ""]:
    """Share of the attention around the anchor that goes where the target was, in the reference that knew it first, of
    all that goes there, or to nothing that looks alike.

    There nothing hid it. Later references may show an occluder in its place, and the last does as soon as one is there.
    One where no reference but the last knows the target.
    """
    rest = 1 - jnp.sum(mass, axis=0)
    known = jnp.any(mass > 0, axis=1).at[-1].set(False)
    earliest = jnp.argmax(known)
    here = jnp.exp(-0.5 * jnp.sum((p - anchor[None]) ** 2, axis=-1) / cell**2)
    goes = jnp.sum(here * mass[earliest] * agreement[earliest])
    total = jnp.sum(here * (mass[earliest] + rest))
    return jnp.where(known.any(), goes / jnp.maximum(total, 1e-6), 1.0)


def _similarity(
    claim: Float[Array, "m"],
    p: Float[Array, "m 2"],
    u: Float[Array, "m 2"],
    cell: Float[Array, ""],
    tolerance: Float[Array, ""],
) -> tuple[Float[Array, "2"], Float[Array, ""]]:
    """Anchor and scale of p = anchor + scale * u by iteratively re-weighted least squares; all in pixels."""

    def solve(weight):
        weight = weight / jnp.maximum(jnp.sum(weight), 1e-12)
        mean = lambda z: jnp.sum(weight[:, None] * z, axis=0)
        p0, u0 = mean(p), mean(u)
        new, old = (jnp.sum(weight[:, None] * (z - z0[None]) ** 2) for z, z0 in ((p, p0), (u, u0)))
        # The ratio of spreads favours neither side's noise, as either regression would. A lone cell (a small target)
        # says nothing of scale: a prior of one, as heavy as a spread of one cell.
        scale = jnp.clip(jnp.sqrt((new + cell**2) / (old + cell**2)), 0.8, 1.25)
        return p0 - scale * u0, scale

    def again(weight, _):
        return claim * _agreement(solve(weight), p, u, tolerance), None

    weight, _ = jax.lax.scan(again, claim, None, length=5)
    return solve(weight)


def _agreement(fit, p, u, tolerance):
    """One for cells where the similarity says they are, falling to zero beyond the tolerance."""
    anchor, scale = fit
    return 1 / (1 + jnp.sum((p - anchor[None] - scale * u) ** 2, axis=-1) / tolerance**2)


def _segments(masks, targets):
    """Membership on each target's mask grid: its own at every pixel against the larger of the rest and the others'."""
    n, side = masks.shape[-1], targets.mask.shape[-1]
    total = jnp.sum(masks, axis=-1, keepdims=True)
    rest = jnp.maximum(1 - total, 0.0)
    p = masks / jnp.maximum(masks + jnp.maximum(rest, total - masks), 1e-6)
    return jnp.clip(jax.image.resize(jnp.moveaxis(p, -1, 0), (n, side, side), "linear"), 0.0, 1.0)


def _choose(maps, fit, masks, targets, window, grid, settings):
    """Anchor and size by the target's kind and the settings."""
    new, scale, *_ = fit
    # One frame tells little of scale and its errors add up: sizes follow with inertia.
    size = targets.size * (jnp.clip(scale, 0.9, 1.1) ** settings.scale_rate)[:, None]
    shaped = maps.T.reshape(-1, *grid)
    quantile = from_window(jax.vmap(quantile_box)(shaped**2).reshape(-1, 2), window, grid).reshape(-1, 4)
    if settings.box == "quantile":
        new, size = (quantile[:, :2] + quantile[:, 2:]) / 2, quantile[:, 2:] - quantile[:, :2]
    extent, found = jax.vmap(_extent, (0, None))(masks, window)
    is_segment = (targets.kind == SEGMENT)[:, None] & found[:, None]
    new = jnp.where(is_segment, (extent[:, :2] + extent[:, 2:]) / 2, new)
    size = jnp.where(is_segment, extent[:, 2:] - extent[:, :2], size)
    peak = from_window(soft_arg_max(shaped), window, grid)
    lone = is_point(targets.kind)[:, None]
    point = peak if settings.point == "soft_arg_max" else fit.anchor
    return jnp.where(lone, point, new), jnp.where(lone, targets.size, size)


def _extent(mask, window):
    """Box in source pixels of the largest part of a mask, less a sliver of its mass; and whether there is one."""
    part = largest_component(mask > 0.5)
    side = mask.shape[-1]
    box = quantile_box(part.astype(jnp.float32), 0.003)
    return from_window(box.reshape(2, 2), window, (side, side)).reshape(4), part.any()
