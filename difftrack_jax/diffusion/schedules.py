"""Noise schedules: how much of the data is left after each forward step, and which steps to visit.

    Q(z, k) = sqrt(abar_k) z + sqrt(1 - abar_k) noise,    abar_k = prod_{j <= k} (1 - beta_j)      DINTR eq. 3

Symbols: beta_k `betas`, abar_k `alphas_cumprod`, N `num_train` (1000 in all published backbones), T `steps`.
Indices count from 0 as the checkpoints do, so index k here is the papers' k + 1, and the papers' abar_0 = 1
is in no table; `levels` is the one place that counts as DINTR does.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax.numpy as jnp
import numpy as np

from difftrack_jax.typing import Array, Float, Int

Index = Int[Array, "*k"] | int
Level = Float[Array, "*k"] | float
State = Float[Array, "*z"]
Spacing = Literal["leading", "trailing", "linspace", "ddim"]


class Schedule(NamedTuple):
    """One forward process; both tables are float32, rounded from float64, and lie in (0, 1)."""

    betas: Float[Array, "n"]
    alphas_cumprod: Float[Array, "n"]


def from_betas(betas: Float[np.ndarray, "n"]) -> Schedule:
    # The product of a thousand factors is taken in float64: abar_N is near 1e-5, where float32 has drifted.
    betas = np.asarray(betas, np.float64)
    abar = np.cumprod(1 - betas)
    return Schedule(jnp.asarray(betas, jnp.float32), jnp.asarray(abar, jnp.float32))


def linear(num_train: int = 1000, start: float = 1e-4, end: float = 0.02) -> Schedule:
    """Betas on a line: DDPM, ADM and DINTR's online fine-tuning."""
    return from_betas(np.linspace(start, end, num_train))


def scaled_linear(num_train: int = 1000, start: float = 8.5e-4, end: float = 0.012) -> Schedule:
    """Square roots of betas on a line: latent diffusion and Stable Diffusion."""
    return from_betas(np.linspace(start**0.5, end**0.5, num_train) ** 2)


def cosine(num_train: int = 1000, max_beta: float = 0.999) -> Schedule:
    """abar(u) = cos^2((u + .008) / 1.008 pi / 2), u = k/N, of Improved DDPM; beta is kept below 1."""
    u = np.arange(num_train + 1) / num_train
    abar = np.cos((u + 0.008) / 1.008 * np.pi / 2) ** 2
    return from_betas(np.minimum(1 - abar[1:] / abar[:-1], max_beta))


SCHEDULES: dict[str, Callable[..., Schedule]] = {
    "linear": linear,
    "scaled_linear": scaled_linear,
    "cosine": cosine,
}


def named(name: str, num_train: int = 1000) -> Schedule:
    """The schedule a config calls `name`: linear, scaled_linear or cosine."""
    return SCHEDULES[name](num_train)


def stride(num_train: int, steps: int, spacing: Spacing) -> int:
    """Training steps between two visited ones.

    diffusers takes N // T for all its spacings, also where the list of steps is not that regular; "ddim"
    takes guided-diffusion's, the smallest stride that gives exactly T steps.
    """
    if not 1 <= steps <= num_train:
        raise ValueError(f"cannot visit {steps} of {num_train} steps")
    if spacing != "ddim":
        return num_train // steps
    fitting = (s for s in range(1, num_train + 1) if len(range(0, num_train, s)) == steps)
    found = next(fitting, None)
    if found is None:
        raise ValueError(f"no integer stride visits exactly {steps} of {num_train} steps")
    return found


def timesteps(num_train: int, steps: int, spacing: Spacing, steps_offset: int = 0) -> Int[np.ndarray, "s"]:
    """The training steps to visit, noise first; "ddim" is guided-diffusion's list, the others diffusers'."""
    if spacing == "trailing":
        return np.round(np.arange(num_train, 0, -num_train / steps)).astype(np.int32) - 1
    if spacing == "linspace":
        return np.linspace(0, num_train - 1, steps).round()[::-1].astype(np.int32)
    visited = np.arange(steps) * stride(num_train, steps, spacing) + steps_offset
    if visited[-1] >= num_train:
        raise ValueError(f"step {visited[-1]} was never trained: of {num_train}, with offset {steps_offset}")
    return visited[::-1].astype(np.int32)


def respace(schedule: Schedule, visited: Int[np.ndarray, "s"]) -> Schedule:
    """The shorter process that passes through the same abar at the visited steps, in any order given."""
    betas = np.asarray(schedule.betas, np.float64)
    abar = np.cumprod(1 - betas)[np.sort(visited)]
    return from_betas(1 - abar / np.concatenate([[1.0], abar[:-1]]))


def levels(schedule: Schedule, steps: int) -> Float[Array, "{steps}+1"]:
    """abar_k for DINTR's k = 0..T: entry 0 is clean (1), entry T the noisiest training step."""
    visited = timesteps(len(schedule.betas), steps, "trailing")[::-1]
    return jnp.concatenate([jnp.ones(1), schedule.alphas_cumprod[visited]])


def over(weight: Index | Level, state: State) -> Array:
    """A scalar or per-sample weight with trailing ones, so that it multiplies the leading axes of `state`."""
    weight = jnp.asarray(weight)
    return weight.reshape(weight.shape + (1,) * (state.ndim - weight.ndim))


def q_sample(schedule: Schedule, x0: State, noise: State, k: Index) -> State:
    """Q(x0, k); k is one index, or one for each entry of the leading axes."""
    abar = over(schedule.alphas_cumprod[k], x0)
    return jnp.sqrt(abar) * x0 + jnp.sqrt(1 - abar) * noise
