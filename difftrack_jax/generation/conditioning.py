"""What a video is made from: a caption and tracklets, and what stands for "nothing said".

Nothing said is the empty caption and no instance in any frame: every slot is then the null token. Boxes keep their
numbers when they are dropped, only `valid` goes to zero, so the loss still knows where the objects are.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from difftrack_jax.models.tracklets import Tracklets
from difftrack_jax.typing import Array, Float, Key


class Conditions(NamedTuple):
    """text: encoded caption; nothing: that of the empty one, to fall back to."""

    text: Float[Array, "b s d"]
    nothing: Float[Array, "b s d"]
    tracklets: Tracklets


def unconditional(conditions: Conditions) -> Conditions:
    """The same clip with nothing said of it."""
    return without(conditions, jnp.ones(len(conditions.text), bool), jnp.ones(len(conditions.text), bool))


def drop(key: Key[Array, ""], conditions: Conditions, text: float, boxes: float) -> Conditions:
    """Drop the caption and, independently, the tracklets of each clip with these probabilities (0.1 both, as
    published), so that the network also learns the unconditional prediction that guidance needs.
    """
    k_text, k_boxes = jax.random.split(key)
    b = len(conditions.text)
    return without(conditions, jax.random.bernoulli(k_text, text, (b,)), jax.random.bernoulli(k_boxes, boxes, (b,)))


def without(conditions: Conditions, text: Array, boxes: Array) -> Conditions:
    """Conditions without the caption, and without the tracklets, of the clips that are marked."""
    states = jnp.where(text[:, None, None], conditions.nothing, conditions.text)
    tracklets = conditions.tracklets
    valid = jnp.where(boxes[:, None, None], 0.0, tracklets.valid)
    return conditions._replace(text=states, tracklets=tracklets._replace(valid=valid))
