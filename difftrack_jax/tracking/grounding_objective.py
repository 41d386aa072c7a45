"""What the word encoder learns from procedural scenes, where every object and every word that is true of it is known.

    words     each word of the table at the cells in the middle of each object, true or not
    object    which cells are in the middle of one
    box       1 - GIoU there (Rezatofighi et al. 2019)
    point     - log of the share of softmax(heat) that lies on the object a phrase means
    fits      whether a phrase fits each object, and that its best cell does not where it fits nothing
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from difftrack_jax.data import phrases
from difftrack_jax.data.referring_phrases import Batch
from difftrack_jax.models.grounding import STRIDE, Cells, Found, Grounding
from difftrack_jax.ops.boxes import centre_size, iou
from difftrack_jax.ops.sampling import cell_centres
from difftrack_jax.typing import Array, Float, Params

_CONCEPT = np.maximum(phrases.concept_of(), 0)


class Weights(NamedTuple):
    """Of the parts; chosen so that no other part's gradients drown those of the words."""

    words: float = 1.0  # of a sum over the table
    object_: float = 0.15  # of a sum over all cells
    box: float = 2.0
    point: float = 0.5
    fits: float = 0.5


def loss(net: Grounding, params: Params, batch: Batch, weights: Weights) -> tuple[Float[Array, ""], dict[str, Array]]:
    """The loss and its parts."""
    cells, found = look(net, params, batch)
    owned = middles(batch, cells)
    share = owned / jnp.maximum(owned.sum(axis=1, keepdims=True), 1)  # of each cell in its object
    objects = jnp.maximum(batch.told.clear.sum(), 1)
    parts = {
        "words": jnp.sum(share.sum(axis=-1) * _words(batch, cells, owned)) / objects,
        "object_": _object(batch, cells, owned) / objects,
        "box": jnp.sum(share * (1 - _giou(cells.box[:, :, None], batch.pictures.boxes[:, None]))) / objects,
        "point": _point(batch, found, owned),
        "fits": _fits(batch, cells, found, share),
    }
    total = sum(getattr(weights, name) * value for name, value in parts.items())
    return total, {"loss": total, **parts}


def look(net: Grounding, params: Params, batch: Batch) -> tuple[Cells, Found]:
    """The network's view of a batch."""
    cells = net.apply({"params": params}, batch.pictures.frame, batch.extent)
    return cells, net.apply({"params": params}, cells, batch.words, method=net.find)


def middles(batch: Batch, cells: Cells) -> Float[Array, "b q n"]:
    """1 where a cell is of the middle of a clear object: the half of its box, and a cell at least."""
    side = batch.pictures.frame.shape[1] // STRIDE
    middle, size = centre_size(batch.pictures.boxes)
    reach = jnp.maximum(size / 4, STRIDE / 2 + 0.01)
    centres = cell_centres(side, side)[None, :, None] * STRIDE
    away = jnp.max(jnp.abs(centres - middle[:, None]) / reach[:, None], axis=-1)
    away = jnp.where(batch.told.clear[:, None], away, jnp.inf)
    nearest = jnp.argmin(away, axis=-1)[..., None] == jnp.arange(away.shape[-1])[None, None]
    return (nearest & (away <= 1)) * cells.inside[..., None]


def _cross_entropy(logits, labels):
    """Binary, of labels in [0, 1]."""
    return jax.nn.softplus(logits) - labels * logits


def _words(batch, cells, owned):
    """Summed over the words whose truth is known; [b, q]."""
    true = jnp.einsum("bqn,bnc->bqc", owned, batch.told.true)[..., _CONCEPT]
    known = (true != 0.5).at[..., 0].set(False)
    return jnp.sum(known * _cross_entropy(cells.words, true), axis=-1)


def _object(batch, cells, owned):
    """Cells of an object's rim, or of one that is hardly seen, may say what they like."""
    side = batch.pictures.frame.shape[1] // STRIDE
    middle, size = centre_size(batch.pictures.boxes)
    away = jnp.abs(cell_centres(side, side)[None, :, None] * STRIDE - middle[:, None]) / jnp.maximum(size, 1)[:, None]
    near = jnp.any((away.max(axis=-1) < 0.4) & (batch.pictures.seen > 0)[:, None], axis=-1)
    mine = owned.sum(axis=-1)
    counts = cells.inside * jnp.where(near, mine, 1.0)
    return jnp.sum(counts * _cross_entropy(cells.object_, mine))


def _giou(a, b):
    low, high = jnp.minimum(a[..., :2], b[..., :2]), jnp.maximum(a[..., 2:], b[..., 2:])
    area = lambda z: jnp.prod(jnp.maximum(z[..., 2:] - z[..., :2], 0), axis=-1)
    hull = jnp.maximum(jnp.prod(high - low, axis=-1), 1e-6)
    overlap = iou(a, b)
    union = (area(a) + area(b)) / (1 + overlap)
    return overlap - (hull - union) / hull


def _point(batch, found, owned):
    """Over phrases that mean one object."""
    target = jnp.take_along_axis(owned.swapaxes(1, 2), batch.meant.target[..., None], axis=1)  # [b, k, q]
    one = batch.meant.one & (target.sum(axis=-1) > 0)
    here = jax.nn.logsumexp(jnp.where(target > 0, found.heat, -1e9), axis=-1)
    log_share = here - jax.nn.logsumexp(found.heat, axis=-1)
    return -jnp.sum(jnp.where(one, log_share, 0.0)) / jnp.maximum(one.sum(), 1)


def _fits(batch, cells, found, share):
    """Over pairs of a phrase and a clear object, and over phrases that fit nothing."""
    fits = batch.meant.fits
    known = (fits != 0.5) & batch.told.clear[:, None] & (batch.words > 0).any(axis=-1, keepdims=True)
    over = lambda label: jnp.einsum("bkq,bqn->bkn", _cross_entropy(found.fits, label), share)
    pairs = jnp.where(fits == 1, over(1.0), over(0.0))
    best = jnp.max(jnp.where(cells.inside[:, None] > 0, found.fits, -jnp.inf), axis=-1)
    nobody = batch.meant.nobody
    alone = jnp.sum(jnp.where(nobody, jax.nn.softplus(best), 0.0)) / jnp.maximum(nobody.sum(), 1)
    return jnp.sum(jnp.where(known, pairs, 0.0)) / jnp.maximum(known.sum(), 1) + 0.3 * alone


def score(net: Grounding, params: Params, batch: Batch) -> dict[str, Float[Array, ""]]:
    """found: share of phrases about one object whose box has IoU above .5; pointed: whose peak is in its middle.

    accepted: share of those that are said to fit something; refused: of phrases that fit nothing, said to fit nothing.
    """
    cells, found = look(net, params, batch)
    owned = middles(batch, cells)
    peak = jnp.argmax(found.heat, axis=-1)
    at = lambda values: jnp.take_along_axis(values, peak[..., None], axis=2)[..., 0]
    box = jnp.take_along_axis(cells.box, peak[..., None], axis=1)
    target = jnp.take_along_axis(batch.pictures.boxes, batch.meant.target[..., None], axis=1)
    mine = jnp.take_along_axis(owned.swapaxes(1, 2), batch.meant.target[..., None], axis=1)
    sure = at(found.fits) > 0
    one, nobody = batch.meant.one, batch.meant.nobody
    mean = lambda values, where: jnp.sum(values & where) / jnp.maximum(where.sum(), 1)
    return {
        "found": mean(iou(box, target) > 0.5, one),
        "pointed": mean(at(mine) > 0, one),
        "accepted": mean(sure, one),
        "refused": mean(~sure, nobody),
    }
