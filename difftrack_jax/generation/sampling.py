"""From noise and conditions to latents: a solver, guidance, scheduled grounding, overlapping windows.

Unconditional means the empty caption and no tracklets. The paper guides plainly with 5, its released code by the
rescaled rule with 1.2; `diffusion/guidance.py` has both. The solver is the paper's, 50 steps of DPM-Solver++(2M) that
end on the first training level, as the released scheduler's do.
"""

import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from difftrack_jax.diffusion import ddim, dpm_solver
from difftrack_jax.diffusion.guidance import Rule as Guidance
from difftrack_jax.diffusion.guidance import classifier_free
from difftrack_jax.diffusion.predictions import Kind
from difftrack_jax.diffusion.schedules import Schedule
from difftrack_jax.generation import windows
from difftrack_jax.generation.conditioning import Conditions, unconditional
from difftrack_jax.typing import Array, Float

Predict = Callable[[Array, Array, Conditions, Array], Array]  # (x [b, f, h, w, c], t [b], conditions, gate) -> kind


class Settings(NamedTuple):
    """steps: network calls; guidance and its rule; grounding_beta: share of the steps that see tracklets'
    fusers and injectors (GLIGEN's scheduled sampling; 1 is all, as TrackDiffusion does). clip: data are kept in
    [-clip, clip], for generators of pixels. window, overlap: frames at once, and how many of them two windows share.
    """

    steps: int = 50
    guidance: float = 5.0
    rule: Guidance = "plain"
    grounding_beta: float = 1.0
    solver: Literal["dpm++2m", "ddim"] = "dpm++2m"
    clip: float | None = None
    window: int = 16
    overlap: int = 4


def start(noise: Float[Array, "b t h w c"], settings: Settings) -> Any:
    """The state before the first update; `noise` is standard normal. Its `x` are the latents at any time."""
    return ddim.init(noise) if settings.solver == "ddim" else dpm_solver.init(noise)


def update(
    predict: Predict, conditions: Conditions, state: Any, schedule: Schedule, kind: Kind, settings: Settings
) -> Any:
    """The state after one of `settings.steps` steps, of clips of any number of frames."""
    if settings.solver == "ddim":
        path = ddim.path_down(schedule, ddim.Grid(settings.steps, "linspace", 0, True))
        solve = ddim.update
    else:
        path = dpm_solver.path_down(schedule, dpm_solver.Grid(settings.steps, final="sigma_min"))
        solve = dpm_solver.update
    denoise = functools.partial(_denoise, predict, conditions, settings, _grounded_until(path.timesteps, settings))
    return solve(state, denoise, path, ddim.Rule(kind, settings.clip, renoise=True))


def _grounded_until(timesteps: Array, settings: Settings) -> Array | float:
    """The last time at which fusers and injectors are open."""
    count = round(settings.grounding_beta * settings.steps)
    return timesteps[count - 1] if count else jnp.inf


def _denoise(predict, conditions, settings, grounded, x, t):
    """What the network says of the whole clip, window by window."""
    gate = jnp.where(t >= grounded, 1.0, 0.0)
    cut = windows.plan(x.shape[1], settings.window, settings.overlap)
    tracklets = conditions.tracklets

    def window(part):
        piece, boxes, valid = part
        told = conditions._replace(tracklets=tracklets._replace(boxes=boxes, valid=valid))
        says = lambda z, level, given: predict(z, level.astype(jnp.float32), given, gate)
        if settings.rule == "plain" and settings.guidance == 1.0:
            return says(piece, jnp.broadcast_to(t, piece.shape[:1]), told)
        nothing = unconditional(told)
        return classifier_free(says, told, nothing, settings.guidance, settings.rule)(piece, t)

    parts = windows.cut(cut, (x, tracklets.boxes, tracklets.valid))
    return windows.join(cut, jax.lax.map(window, parts))


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
    return jax.lax.scan(step, start(noise, settings), length=settings.steps)[0].x
