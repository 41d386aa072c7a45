"""DDIM without noise (eta = 0) and its inversion: one step, walked along a path of levels either way.

    x_to = sqrt(abar_to) x_0(x, t) + sqrt(1 - abar_to) eps(x, t)                 Song et al. 2021, eq. 12

Sampling and inversion differ only in the `Path`: which levels are crossed and which t the network is shown.
Symbols: x_t `x`, abar_t `start`, abar_{t-1} (or abar_{t+1}) `end`, t `timesteps`; x_0 and eps are both
read from one prediction, as `Rule` says. Example:
`x_0, states = sample(denoise, scaled_linear(), x_T, Grid(50))`.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from difftrack_jax.diffusion import schedules
from difftrack_jax.diffusion.predictions import Kind, to_data, to_noise
from difftrack_jax.diffusion.schedules import Schedule, Spacing, State
from difftrack_jax.typing import Array, Float, Int

Denoise = Callable[[Array, Array], Array]  # (x [*z], t []) -> prediction [*z]


class Grid(NamedTuple):
    """Which levels to visit, named as in diffusers' scheduler configs; the defaults are Stable Diffusion's.

    set_alpha_to_one: the clean end is abar = 1, else the first training level, abar_0.
    """

    steps: int = 50
    spacing: Spacing = "leading"
    steps_offset: int = 1
    set_alpha_to_one: bool = False


class Rule(NamedTuple):
    """How a prediction is read. clip: x_0 is held in [-clip, clip].

    renoise: eps is recomputed from the clipped x_0 (guided-diffusion), else left as predicted (diffusers).
    """

    kind: Kind = "noise"
    clip: float | None = None
    renoise: bool = False


class Path(NamedTuple):
    """Step i goes from level start[i] to end[i] (both abar) while the network is shown timesteps[i]."""

    timesteps: Int[Array, "s"]
    start: Float[Array, "s"]
    end: Float[Array, "s"]


class DDIMState(NamedTuple):
    x: Array
    step: Int[Array, ""] | int


NOISE = Rule()


def path_down(schedule: Schedule, grid: Grid) -> Path:
    """From noise to data."""
    abar, num_train = schedule.alphas_cumprod, len(schedule.alphas_cumprod)
    visited = schedules.timesteps(num_train, grid.steps, grid.spacing, grid.steps_offset)
    below = visited - schedules.stride(num_train, grid.steps, grid.spacing)
    clean = 1.0 if grid.set_alpha_to_one else abar[0]
    return Path(jnp.asarray(visited), abar[visited], jnp.where(below >= 0, abar[below.clip(0)], clean))


def path_up(schedule: Schedule, grid: Grid, shown: Literal["end", "start"] = "end") -> Path:
    """From data to noise. shown: which end of the step the network is told it is at.

    "end" (diffusers) is `path_down` walked backwards, with the same t shown on the same step. "start"
    (guided-diffusion) begins on the lowest visited level and its last step reaches pure noise, abar = 0.
    """
    timesteps, high, low = (values[::-1] for values in path_down(schedule, grid))
    if shown == "end":
        return Path(timesteps, low, high)
    return Path(timesteps, high, jnp.concatenate([high[1:], jnp.zeros(1)]))


def init(x: State) -> DDIMState:
    return DDIMState(x, jnp.zeros((), jnp.int32))


def update(state: DDIMState, denoise: Denoise, path: Path, rule: Rule = NOISE) -> DDIMState:
    """One step along the path: one call of the network."""
    x, step = state
    start, end = path.start[step], path.end[step]
    prediction = denoise(x, path.timesteps[step])
    data, noise = to_data(rule.kind, prediction, x, start), to_noise(rule.kind, prediction, x, start)
    if rule.clip is not None:
        data = jnp.clip(data, -rule.clip, rule.clip)
        noise = to_noise("data", data, x, start) if rule.renoise else noise
    return DDIMState(jnp.sqrt(end) * data + jnp.sqrt(1 - end) * noise, step + 1)


def walk(denoise: Denoise, x: State, path: Path, rule: Rule = NOISE) -> tuple[Array, Array]:
    """The state at the end of the path [*z] and those the network saw on the way [s, *z]."""

    def step(state: DDIMState, _):
        return update(state, denoise, path, rule), state.x

    last, states = jax.lax.scan(step, init(x), length=len(path.timesteps))
    return last.x, states


def sample(denoise: Denoise, schedule: Schedule, noise: State, grid: Grid, rule: Rule = NOISE) -> tuple[Array, Array]:
    """Noise to data, T calls of the network; returns as `walk` does."""
    return walk(denoise, noise, path_down(schedule, grid), rule)


def invert(
    denoise: Denoise,
    schedule: Schedule,
    data: State,
    grid: Grid,
    rule: Rule = NOISE,
    shown: Literal["end", "start"] = "end",
) -> tuple[Array, Array]:
    """Data to the noise that `sample` would take back to it, T calls of the network; returns as `walk` does.

    Exact where eps does not depend on x; else the round trip is off by O(1/T), for eps is read at the low end
    of a step here and at its high end there.
    """
    return walk(denoise, data, path_up(schedule, grid, shown), rule)
