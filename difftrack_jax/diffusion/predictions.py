"""Three ways to say the same thing: a network may predict the noise, the data or the velocity.

    x_k = sqrt(abar) x_0 + sqrt(1 - abar) eps,    v = sqrt(abar) eps - sqrt(1 - abar) x_0

Given x_k and abar any one of eps, x_0, v gives the other two. With (sqrt(abar), sqrt(1 - abar)) = (cos, sin)
the pairs (x_0, eps) and (x_k, v) are one vector in two frames, a rotation apart; hence the signs below.
Symbols: x_k `x`, abar_k `abar` (scalar, or one value per sample), eps "noise", x_0 "data", v "velocity".
"""

from typing import Literal

import jax.numpy as jnp

from difftrack_jax.diffusion.schedules import Level, State, over

Kind = Literal["noise", "data", "velocity"]


def to_data(kind: Kind, prediction: State, x: State, abar: Level) -> State:
    """x_0. From "noise" it needs abar > 0."""
    abar = over(abar, x)
    signal, noise = jnp.sqrt(abar), jnp.sqrt(1 - abar)
    if kind == "data":
        return prediction
    if kind == "noise":
        return (x - noise * prediction) / signal
    return signal * x - noise * prediction


def to_noise(kind: Kind, prediction: State, x: State, abar: Level) -> State:
    """eps. From "data" it needs abar < 1: a clean state holds no noise to read."""
    abar = over(abar, x)
    signal, noise = jnp.sqrt(abar), jnp.sqrt(1 - abar)
    if kind == "noise":
        return prediction
    if kind == "data":
        return (x - signal * prediction) / noise
    return signal * prediction + noise * x
