"""Classifier-free guidance (Ho and Salimans 2022): away from what the network says without the condition.

    plain      eps = eps_u + g (eps_c - eps_u)                                        g = 1 is no guidance
    rescaled   eps = eps_u + (g - 1) ||eps_c|| / ||eps_c - eps_u|| (eps_c - eps_u)    TrackDiffusion's released code

Values of g for one rule mean nothing for the other. Symbols: eps_u `without`, eps_c `given`, g `scale`.
"""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp

from difftrack_jax.diffusion.schedules import State
from difftrack_jax.typing import Array, PyTree, Scalar

Rule = Literal["plain", "rescaled"]


def guide(without: State, given: State, scale: Scalar, rule: Rule = "plain") -> State:
    """The guided prediction; norms of "rescaled" are over everything but the first axis, in float32."""
    push = given - without
    if rule == "plain":
        return without + scale * push
    axes = tuple(range(1, given.ndim))
    norm = lambda z: jnp.sqrt(jnp.sum(jnp.square(z.astype(jnp.float32)), axis=axes, keepdims=True))
    return without + (scale - 1) * norm(given) / jnp.maximum(norm(push), 1e-12) * push


def classifier_free(
    denoise: Callable[[Array, Array, PyTree], Array],
    condition: PyTree,
    null: PyTree,
    scale: Scalar,
    rule: Rule = "plain",
) -> Callable[[Array, Array], Array]:
    """A denoiser for the solvers, from one that takes a condition: denoise(x [b, ...], t [2b], condition) at twice b.

    Both predictions come from one call, the null half first. condition, null: pytrees of arrays with leading axis b
    (or 1, repeated). t may be one number, or one a sample.
    """

    def guided(x: Array, t: Array) -> Array:
        b = x.shape[0]
        spread = lambda a: jnp.broadcast_to(a, (b, *a.shape[1:]))
        both = jax.tree.map(lambda u, c: jnp.concatenate([spread(u), spread(c)]), null, condition)
        times = jnp.tile(jnp.broadcast_to(t, (b,)), 2)
        without, given = jnp.split(denoise(jnp.concatenate([x, x]), times, both), 2)
        return guide(without, given, scale, rule)

    return guided
