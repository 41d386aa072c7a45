"""From noise and conditions to latents: a solver, guidance, scheduled grounding, overlapping windows.

    eps = eps_u + g (eps_c - eps_u)                                            the paper's rule, g = 5
    eps = eps_u + (g - 1) ||eps_c|| / ||eps_c - eps_u|| (eps_c - eps_u)        the released code's, made for g = 1.2

Unconditional means the empty caption and no tracklets. Values of g for one rule mean nothing for the other.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from difftrack_jax.diffusion import ddim, schedules
from difftrack_jax.diffusion.predictions import Kind
from difftrack_jax.diffusion.schedules import Schedule
from difftrack_jax.generation import windows
from difftrack_jax.generation.conditioning import Conditions, join, unconditional
from difftrack_jax.typing import Array, Float

Predict = Callable[[Array, Array, Conditions, Array], Array]  # (x [b, f, h, w, c], t [b], conditions, gate) -> kind


class Settings(NamedTuple):
    """steps, and how they are spaced; guidance and its rule; grounding_beta: share of the steps that see tracklets'
    fusers and injectors (GLIGEN's scheduled sampling; 1 is all, as TrackDiffusion does). clip: data are kept in
    [-clip, clip], for generators of pixels. window, overlap: frames at once, and how many of them two windows share.
    """

    steps: int = 50
    guidance: float = 5.0
    rule: Literal["plain", "rescaled"] = "plain"
    grounding_beta: float = 1.0
    solver: Literal["dpm++2m", "ddim"] = "dpm++2m"
    clip: float | None = None
    window: int = 16
    overlap: int = 4


def start(noise: Float[Array, "b t h w c"]) -> Any:
    """The state before the first update; `noise` is standard normal. Its `x` are the latents at any time."""
    return ddim.init(noise)


def update(
    predict: Predict, conditions: Conditions, state: Any, schedule: Schedule, kind: Kind, settings: Settings
) -> Any:
    """The state after one of `settings.steps` steps, of clips of any number of frames."""
    frames = state.x.shape[1]
    visited = schedules.timesteps(len(schedule.alphas_cumprod), settings.steps, "linspace")
    grounded = round(settings.grounding_beta * settings.steps)
    last = int(visited[grounded - 1]) if grounded else len(schedule.alphas_cumprod)
    cut = windows.plan(frames, settings.window, settings.overlap)
    tracklets = conditions.tracklets
    moving = windows.cut(cut, (tracklets.boxes, tracklets.valid))

    def denoise(x: Array, t: Array) -> Array:
        gate = jnp.where(t >= last, 1.0, 0.0)
        level = jnp.full(x.shape[:1], t, jnp.float32)

        def window(part):
            piece, boxes, valid = part
            told = conditions._replace(tracklets=tracklets._replace(boxes=boxes, valid=valid))
            return _guided(predict, piece, level, told, gate, settings)

        return windows.join(cut, jax.lax.map(window, (windows.cut(cut, x), *moving)))

    path = ddim.path_down(schedule, ddim.Grid(settings.steps, "linspace", 0, True))
    rule = ddim.Rule(kind, settings.clip, True)
    return ddim.update(state, denoise, path, rule)


def sample(
    predict: Predict,
    conditions: Conditions,
    noise: Float[Array, "b t h w c"],
    schedule: Schedule,
    kind: Kind,
    settings: Settings,
) -> Float[Array, "b t h w c"]:
    """Latents in one go."""
    step = lambda state, _: (update(predict, conditions, state, schedule, kind, settings), None)
    return jax.lax.scan(step, start(noise), length=settings.steps)[0].x


def _guided(predict, x, level, conditions, gate, settings):
    if settings.rule == "plain" and settings.guidance == 1.0:
        return predict(x, level, conditions, gate)
    both = join(unconditional(conditions), conditions)
    twice = lambda z: jnp.concatenate([z, z])
    without, given = jnp.split(predict(twice(x), twice(level), both, gate), 2)
    return guide(without, given, settings.guidance, settings.rule)


def guide(without: Array, given: Array, guidance: float, rule: str) -> Array:
    """The guided prediction, from that without and that with the conditions."""
    push = given - without
    if rule == "plain":
        return without + guidance * push
    axes = tuple(range(1, given.ndim))
    norm = lambda z: jnp.sqrt(jnp.sum(z.astype(jnp.float32) ** 2, axis=axes, keepdims=True))
    return without + (guidance - 1) * norm(given) / jnp.maximum(norm(push), 1e-12) * push
