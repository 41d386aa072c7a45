"""DPM-Solver++(2M), a second-order multistep solver of the probability-flow ODE (Lu et al. 2022, Alg. 2).

    D_i     = x_0(x_i) + (x_0(x_i) - x_0(x_{i-1})) / (2 r_i),      r_i = h_{i-1} / h_i
    x_{i+1} = (sigma_{i+1} / sigma_i) x_i - alpha_{i+1} (exp(-h_i) - 1) D_i

with alpha = sqrt(abar), sigma = sqrt(1 - abar), lambda = log(alpha / sigma) and h_i = lambda_{i+1} - lambda_i. One call
of the network a step. The first step has no memory and takes D = x_0, which is DDIM; so does the last one where it is
safer (few steps, or clean data at its end). All coefficients are numbers of the path, computed once.

Symbols: x_i `x`, x_0(x_{i-1}) `data`, sigma_{i+1}/sigma_i `keep`, -alpha (exp(-h) - 1) `gain`, 1/(2r) `push`. Example:
`x_0, states = sample(denoise, scaled_linear(), x_T, Grid(25))`. Checked against diffusers' scheduler of that name.
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from difftrack_jax.diffusion.ddim import NOISE, Denoise, Rule
from difftrack_jax.diffusion.predictions import to_data
from difftrack_jax.diffusion.schedules import Schedule, Spacing, State
from difftrack_jax.typing import Array, Float, Int

FEW = 15  # steps below which the last one is of first order, for stability


class Grid(NamedTuple):
    """Which levels to visit, named as in diffusers' scheduler configs.

    final: the last step lands on clean data ("zero"), or on the first training level ("sigma_min": the rule of
    TrackDiffusion's diffusers, and the one that can be inverted). karras: levels as Karras et al. 2022, rho = 7.
    """

    steps: int = 50
    spacing: Spacing = "linspace"
    steps_offset: int = 0
    final: Literal["zero", "sigma_min"] = "zero"
    karras: bool = False
    order: Literal[1, 2] = 2
    lower_order_final: bool = True


class Path(NamedTuple):
    """Step i starts at level start[i] (abar) while the network is shown timesteps[i]; its coefficients as above."""

    timesteps: Int[Array, "s"]
    start: Float[Array, "s"]
    keep: Float[Array, "s"]
    gain: Float[Array, "s"]
    push: Float[Array, "s"]


class DPMState(NamedTuple):
    """data: what the network took the data to be one step before; nothing yet at step 0."""

    x: Array
    data: Array
    step: Int[Array, ""] | int


def path_down(schedule: Schedule, grid: Grid) -> Path:
    """From noise to data."""
    lambdas = _lambdas(schedule)
    visited = _visited(len(lambdas), grid)
    if grid.karras:
        levels = _karras(lambdas, grid.steps)
        visited = jnp.interp(-levels, -lambdas, jnp.arange(len(lambdas))).round()
    else:
        levels = lambdas[visited]
    end = {"zero": jnp.inf, "sigma_min": lambdas[0]}[grid.final]
    return _path(visited, jnp.append(levels, end), grid)


def path_up(schedule: Schedule, grid: Grid) -> Path:
    """From data to noise: the same solver walked the other way, from the first training level to the last.

    Clean data hold no noise to read, so they are taken to be at the first level, as diffusers does. For grids of
    spacing "linspace" and "leading"; others raise ValueError.
    """
    if grid.karras or grid.spacing not in ("linspace", "leading"):
        raise ValueError("DPM-Solver++ is inverted on linspace or leading timesteps, without Karras levels")
    lambdas = _lambdas(schedule)
    num_train = len(lambdas)
    if grid.spacing == "linspace":
        visited = np.linspace(0, num_train - 1, grid.steps + 1).round()[:-1].astype(np.int64)
    else:
        visited = np.arange(grid.steps) * (num_train // (grid.steps + 1)) + grid.steps_offset
    return _path(visited, jnp.append(lambdas[visited], lambdas[-1]), grid._replace(final="sigma_min"))


def init(x: State) -> DPMState:
    return DPMState(x, jnp.zeros_like(x), jnp.zeros((), jnp.int32))


def update(state: DPMState, denoise: Denoise, path: Path, rule: Rule = NOISE) -> DPMState:
    """One step along the path: one call of the network."""
    x, before, i = state
    data = to_data(rule.kind, denoise(x, path.timesteps[i]), x, path.start[i])
    if rule.clip is not None:
        data = jnp.clip(data, -rule.clip, rule.clip)
    extrapolated = data + path.push[i] * (data - before)
    return DPMState(path.keep[i] * x + path.gain[i] * extrapolated, data, i + 1)


def walk(denoise: Denoise, x: State, path: Path, rule: Rule = NOISE) -> tuple[Array, Array]:
    """The state at the end of the path [*z] and those the network saw on the way [s, *z]."""

    def step(state: DPMState, _):
        return update(state, denoise, path, rule), state.x

    last, states = jax.lax.scan(step, init(x), length=len(path.timesteps))
    return last.x, states


def sample(denoise: Denoise, schedule: Schedule, noise: State, grid: Grid, rule: Rule = NOISE) -> tuple[Array, Array]:
    """Noise to data; returns as `walk` does."""
    return walk(denoise, noise, path_down(schedule, grid), rule)


def invert(denoise: Denoise, schedule: Schedule, data: State, grid: Grid, rule: Rule = NOISE) -> tuple[Array, Array]:
    """Data to noise; returns as `walk` does. Near the inverse of `sample` with `final="sigma_min"`, not exact."""
    return walk(denoise, data, path_up(schedule, grid), rule)


def _lambdas(schedule: Schedule) -> Float[Array, "n"]:
    """log(alpha / sigma) at each training step. Of betas: near the data 1 - abar has few digits in float32."""
    return -0.5 * jnp.log(jnp.expm1(-jnp.cumsum(jnp.log1p(-schedule.betas))))


def _visited(num_train: int, grid: Grid) -> Int[np.ndarray, "s"]:
    """Noise first. Unlike DDIM's lists these are of steps + 1 levels, of which the lowest is not visited."""
    if not 1 <= grid.steps < num_train:
        raise ValueError(f"cannot visit {grid.steps} of {num_train} steps")
    if grid.spacing == "linspace":
        return np.linspace(0, num_train - 1, grid.steps + 1).round()[:0:-1].astype(np.int64)
    if grid.spacing == "leading":
        ratio = num_train // (grid.steps + 1)
        return np.arange(grid.steps, 0, -1) * ratio + grid.steps_offset
    if grid.spacing == "trailing":
        return np.arange(num_train, 0, -num_train / grid.steps).round().astype(np.int64) - 1
    raise ValueError(f"no DPM-Solver++ timesteps of spacing {grid.spacing!r}: linspace, leading or trailing")


def _karras(lambdas: Float[Array, "n"], steps: int, rho: float = 7.0) -> Float[Array, "s"]:
    """Even steps of (sigma / alpha)^(1/rho), from the noisiest training level to the cleanest."""
    low, high = jnp.exp(-lambdas[0] / rho), jnp.exp(-lambdas[-1] / rho)
    return -rho * jnp.log(jnp.linspace(high, low, steps))


def _path(visited: Array | np.ndarray, lambdas: Float[Array, "s1"], grid: Grid) -> Path:
    """Coefficients between successive levels; at the clean end lambda is infinite, and with it the last h."""
    h = jnp.diff(lambdas)
    alpha = jnp.sqrt(jax.nn.sigmoid(2 * lambdas))
    sigma = jnp.sqrt(jax.nn.sigmoid(-2 * lambdas))
    order = np.full(len(h), grid.order)
    order[0] = 1
    if grid.final == "zero" or (grid.lower_order_final and len(h) < FEW):
        order[-1] = 1
    r = jnp.concatenate([jnp.ones(1), h[:-1]]) / jnp.where(order == 2, h, 1.0)
    push = jnp.where((order == 2) & (h != 0), 0.5 / r, 0.0)
    gain = -alpha[1:] * jnp.expm1(-h)
    return Path(jnp.asarray(visited, jnp.int32), jnp.square(alpha[:-1]), sigma[1:] / sigma[:-1], gain, push)
