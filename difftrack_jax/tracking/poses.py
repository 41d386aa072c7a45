"""Joints of one body move together: each is read on its own, then held near where its neighbours' motion takes it.

    t_j  = sum_k w_jk (q_k - p_k) / sum_k w_jk       motion of the joints around j, robustly (re-weighted three times)
    q'_j = p_j + t_j + (q_j - p_j - t_j) min(1, r / |q_j - p_j - t_j|)

with p the joints before, q as read, w_jk falling with the distance of j and k and with k's doubt, and r a share of the
body's size: a limb may swing by r in a frame, and a joint that is hidden or mistaken goes along with its neighbours.
"""

import jax
import jax.numpy as jnp

from difftrack_jax.tracking.indicators import POSE, Targets
from difftrack_jax.typing import Array, Bool, Float

_NEAR = 0.35  # how far neighbours reach, in body sizes
_SWING = 0.2  # r, in body sizes a frame
_ITERATIONS = 3


def hold_together(before: Targets, after: Targets) -> Targets:
    """`after` with the joints of every pose held together; all else as it was."""
    joint = after.valid & (after.kind == POSE)
    same = joint[:, None] & joint[None] & (after.identity[:, None] == after.identity[None])
    size = _sizes(before.anchor, same)
    moved = after.anchor - before.anchor
    common = _common_motion(before.anchor, moved, same * (after.visible * after.score)[None], size)
    swing = moved - common
    reach = jnp.linalg.norm(swing, axis=-1)
    share = jnp.where(after.visible, jnp.minimum(1.0, _SWING * size / jnp.maximum(reach, 1e-6)), 0.0)
    held = before.anchor + common + share[:, None] * swing
    return after._replace(anchor=jnp.where(joint[:, None], held, after.anchor))


def _sizes(place: Float[Array, "n 2"], same: Bool[Array, "n n"]) -> Float[Array, "n"]:
    """The largest distance between joints of the body that each slot belongs to; at least a pixel."""
    distance = jnp.linalg.norm(place[:, None] - place[None], axis=-1) * same
    own = jnp.max(distance, axis=-1)
    return jnp.maximum(jnp.max(jnp.where(same, own[None], 0.0), axis=-1), 1.0)


def _common_motion(place, moved, weight, size):
    """Robust mean motion of each joint's neighbours, itself left out. weight [n, n]: how far j trusts k."""
    near = jnp.sum((place[:, None] - place[None]) ** 2, axis=-1) / (_NEAR * size[:, None]) ** 2
    weight = weight * jnp.exp(-0.5 * near) * (1 - jnp.eye(place.shape[0]))

    def mean(weight):
        return (weight @ moved) / jnp.maximum(jnp.sum(weight, axis=-1, keepdims=True), 1e-6)

    def again(common, _):
        off = jnp.sum((moved[None] - common[:, None]) ** 2, axis=-1) / (0.5 * _SWING * size[:, None]) ** 2
        return mean(weight / (1 + off)), None

    return jax.lax.scan(again, mean(weight), None, length=_ITERATIONS)[0]
