"""What the bundled tracker is trained on: interpolate between two frames, and know where every cell came from.

Three losses (the first is DINTR's) on one network P(z_k, k | keys of frame t):

    interpolation     || (P(z_k, k) - z^{t+1}) / alpha_k ||^2,  z_k = alpha_k z^t + (1 - alpha_k) z^{t+1}   (eq. 6)
    correspondence    cross-entropy of the captured rows of A_X against the true source of every cell
    consistency       - log of what comes home of a walk along A_X to the other query and back

Queries that sit at k near 0, where the tracker reads, have two references, as the tracker does: the scene's reference
frame, and another query, whose keys are taken as given (no gradient). A source that both can see is split evenly; the
null key is right only where neither can. The walk (Jabri et al. 2020) starts at cells whose source the other query
shows, and is home within a cell of its start: labels are of one direction, the walk holds both to the same place.

The network predicts the offset z^{t+1} - z^t; its data prediction is z_k + alpha_k * offset, so eq. 6 divided by
alpha_k^2 is the plain error of the offset, which weighs all k alike. The target of a row is the bilinear one-hot of
the true source over the cells of the references, or the null key where the source is hidden or outside. Three
quarters of the queries sit at k near 0, where the tracker reads; only the last quarter, at k ~ U{1..T}, pays for the
decoder's last level, and their correspondence counts by 1 - alpha_k, since at k = T the input says nothing of t + 1.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from einops import rearrange, reduce

from difftrack_jax.data.synthetic import Pairs
from difftrack_jax.diffusion.interpolation import blend
from difftrack_jax.models.unet_adm import UNetADM
from difftrack_jax.ops.sampling import bilinear_one_hot, cell_centres
from difftrack_jax.typing import Array, Bool, Float, Key, Params


class Weights(NamedTuple):
    """Relative weights of the losses, and of cells on objects against the background."""

    interpolation: float = 0.5
    correspondence: float = 1.0
    coarse: float = 0.3
    objects: float = 3.0
    consistency: float = 0.0


def time_input(alpha: Float[Array, "b"]) -> Float[Array, "b"]:
    """The network's time is 1000 alpha, so that it spans the range the ADM embedding was made for."""
    return 1000.0 * alpha


def reference_keys(net: UNetADM, params: Params, frames: Float[Array, "b h w 3"]) -> dict:
    """Keys and values of every attention block for frames at the start of the process (k = T)."""
    start = time_input(jnp.ones(frames.shape[0]))
    _, out = net.apply({"params": params}, frames, start, mutable=["references"])
    return {name: block["own"] for name, block in out["references"].items()}


def correspondence_targets(
    source: Float[Array, "b r m 2"], seen: Bool[Array, "b r m"], grid: int
) -> Float[Array, "b m r*{grid}*{grid}+1"]:
    """Rows of the true A_X: weights over the cells of r references, then the null key; rows sum to one."""
    rows = jax.vmap(jax.vmap(lambda s: bilinear_one_hot(s, grid, grid)))(source)
    share = seen / jnp.maximum(jnp.sum(seen, axis=1, keepdims=True), 1)
    rows = rearrange(rows * share[..., None], "b r m c -> b m (r c)")
    return jnp.concatenate([rows, 1.0 - jnp.any(seen, axis=1)[..., None]], axis=-1)


def cross_entropy(rows: Float[Array, "b m m2"], targets: Float[Array, "b m m2"]) -> Float[Array, "b m"]:
    """-sum target log row, in float32."""
    return -jnp.sum(targets * jnp.log(rows.astype(jnp.float32) + 1e-9), axis=-1)


def loss(
    net: UNetADM,
    params: Params,
    pairs: Pairs,
    key: Key[Array, ""],
    capture: tuple[str, ...],
    coarse: tuple[str, ...],
    weights: Weights,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Loss and metrics of a batch.

    capture: the attention blocks whose maps the tracker reads. coarse: blocks on coarser grids that are taught too,
    since what they find the finer ones need not search for. Consistency needs two queries a scene: ValueError.
    """
    b, r = pairs.query.shape[:2]
    if weights.consistency and r != 2:
        raise ValueError(f"consistency walks between two queries a scene, not {r}")
    repeat = lambda z: jnp.repeat(z, r, axis=0)
    keys, start = jax.tree.map(repeat, (reference_keys(net, params, pairs.reference), pairs.reference))
    end = pairs.query.reshape(start.shape)
    others = jnp.roll(pairs.query, 1, axis=1).reshape(start.shape)
    near = b * r - max(1, b * r // 4)
    head = lambda z: jax.tree.map(lambda a: a[:near], z)
    tail = lambda z: jax.tree.map(lambda a: a[near:], z)

    k_near, k_far = jax.random.split(key)
    alpha_near = 0.06 * jax.random.uniform(k_near, (near,)) ** 2
    alpha_far = jax.random.uniform(k_far, (b * r - near,), minval=0.02, maxval=1.0)
    other_keys = jax.lax.stop_gradient(reference_keys(net, params, head(others)))
    both = jax.tree.map(lambda *parts: jnp.concatenate(parts, axis=1), head(keys), other_keys)
    _, maps_near = _maps(net, params, head(start), head(end), alpha_near, both)
    offset, maps_far = _maps(net, params, tail(start), tail(end), alpha_far, tail(keys))

    interpolation = jnp.mean((offset - tail(end - start)) ** 2)
    grid = int(pairs.source.shape[3] ** 0.5)
    flat = lambda a: a.reshape(b * r, *a.shape[2:])
    source, seen, object_ = flat(pairs.source), flat(pairs.seen), flat(pairs.object_)
    weight = jnp.where(object_, weights.objects, 1.0)
    targets_near = correspondence_targets(head(source), head(seen), grid)
    targets_far = correspondence_targets(tail(source)[:, :1], tail(seen)[:, :1], grid)
    cell_near, cell_far = (1 - alpha_near)[:, None] * head(weight), (1 - alpha_far)[:, None] * tail(weight)
    entropy = lambda n: (
        (_entropy(maps_near[n], targets_near, cell_near) + _entropy(maps_far[n], targets_far, cell_far))
        / (jnp.sum(cell_near) + jnp.sum(cell_far))
    )
    entropies = {n: entropy(n) for n in (*capture, *coarse)}
    fine = sum(entropies[n] for n in capture) / len(capture)
    rough = sum(entropies[n] for n in coarse) / max(len(coarse), 1)
    total = weights.interpolation * interpolation + weights.correspondence * fine + weights.coarse * rough
    parts = {"interpolation": interpolation, **entropies}
    if weights.consistency:
        walk = sum(_walk(maps_near[n], head(seen)[:, 1], grid) for n in capture) / len(capture)
        total, parts = total + weights.consistency * walk, {**parts, "consistency": walk}
    return total, {"loss": total, **parts}


def _walk(rows, seen, grid):
    """Mean consistency of the scenes whose two queries, which lie side by side, both look into each other."""
    pairs, m = rows.shape[0] // 2, grid * grid
    there = rows[: 2 * pairs, :, m : 2 * m]
    back = jnp.flip(there.reshape(pairs, 2, m, m), axis=1).reshape(there.shape)
    starts = seen[: 2 * pairs]
    lost = -jnp.log(there_and_back(there, back, grid) + 1e-4)
    return jnp.sum(starts * lost) / jnp.maximum(jnp.sum(starts), 1)


def there_and_back(there: Float[Array, "b m m"], back: Float[Array, "b m m"], grid: int) -> Float[Array, "b m"]:
    """Share of a walk from each cell along rows `there`, then along rows `back`, that ends within a cell of its start.

    Rows are normalised first, so that what they give to other references does not count. grid: cells a side.
    """
    whole = lambda rows: rows / jnp.maximum(jnp.sum(rows, axis=-1, keepdims=True), 1e-6)
    at = cell_centres(grid, grid)
    near = jnp.max(jnp.abs(at[:, None] - at[None]), axis=-1) < 1.5
    return jnp.sum(whole(there) @ whole(back) * near[None], axis=-1)


def _entropy(rows, targets, cell):
    """Weighted sum of one layer's cross-entropy; a layer on a coarser grid is held to the pooled targets."""
    area = targets.shape[1] // rows.shape[1]
    if area > 1:
        targets, cell = pool_targets(targets, rows.shape[1]), area * pool_cells(cell, rows.shape[1])
    return jnp.sum(cell * cross_entropy(rows, targets))


def pool_cells(cell: Float[Array, "b m"], size: int) -> Float[Array, "b {size}"]:
    """Mean over square blocks of a square grid of cells, down to `size` cells."""
    grid, coarse = int(cell.shape[1] ** 0.5), int(size**0.5)
    return reduce(cell, "b (h i w j) -> b (h w)", "mean", h=coarse, w=coarse, i=grid // coarse, j=grid // coarse)


def pool_targets(targets: Float[Array, "b m s"], size: int) -> Float[Array, "b {size} s2"]:
    """The true A_X between coarser grids: mean over each block of queries, sum over each block of sources."""
    grid, coarse = int(targets.shape[1] ** 0.5), int(size**0.5)
    sizes = dict(h=coarse, w=coarse, i=grid // coarse, j=grid // coarse)
    rows = reduce(targets, "b (h i w j) m -> b (h w) m", "mean", **sizes)
    sources = reduce(rows[..., :-1], "b q (r h i w j) -> b q (r h w)", "sum", **sizes)
    return jnp.concatenate([sources, rows[..., -1:]], axis=-1)


def _maps(net, params, start, end, alpha, keys):
    z = blend(start, end, alpha)
    offset, out = net.apply({"params": params}, z, time_input(alpha), references=keys, mutable=["attention"])
    return offset, {name: block["maps"].cross for name, block in out["attention"].items()}


def score(net: UNetADM, params: Params, pairs: Pairs, capture: tuple[str, ...]) -> dict[str, Float[Array, ""]]:
    """How well the averaged maps at k = 0 know the source: errors in grid cells, and how well the null key knows.

    error: median distance of the most attended place (soft-arg-max) to the true source, over cells with a visible
    source. object_pck: share of such cells on objects within one cell. seen_auc: chance that a hidden cell's null share
    exceeds a visible cell's.
    """
    b, r = pairs.query.shape[:2]
    keys = jax.tree.map(lambda z: jnp.repeat(z, r, axis=0), reference_keys(net, params, pairs.reference))
    end = pairs.query.reshape(b * r, *pairs.query.shape[2:])
    _, maps = _maps(net, params, end, end, jnp.zeros(b * r), keys)
    rows = sum(maps[n] for n in capture) / len(capture)
    grid = int(pairs.source.shape[3] ** 0.5)
    centres = cell_centres(grid, grid)
    peak = centres[jnp.argmax(rows[..., :-1], axis=-1)]
    near = jnp.max(jnp.abs(centres[None, None] - peak[:, :, None]), axis=-1) <= 1.0
    mass = rows[..., :-1] * near
    found = jnp.einsum("bqm,mc->bqc", mass, centres) / jnp.sum(mass, axis=-1, keepdims=True)
    error = jnp.linalg.norm(found - pairs.source[:, :, 0].reshape(found.shape), axis=-1)
    seen, object_ = (z.reshape(b * r, -1) for z in (pairs.seen[:, :, 0], pairs.object_))
    null = rows[..., -1]
    order = jnp.argsort(jnp.argsort(null.reshape(-1))) + 1.0
    hidden = ~seen.reshape(-1)
    count = jnp.sum(hidden)
    area = (jnp.sum(jnp.where(hidden, order, 0.0)) - count * (count + 1) / 2) / jnp.maximum(count * jnp.sum(~hidden), 1)
    on = seen & object_
    return {
        "error": jnp.nanmedian(jnp.where(seen, error, jnp.nan)),
        "object_pck": jnp.sum((error < 1.0) & on) / jnp.sum(on),
        "pck": jnp.sum((error < 1.0) & seen) / jnp.sum(seen),
        "seen_auc": area,
    }
