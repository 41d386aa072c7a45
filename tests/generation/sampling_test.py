"""Sampling: the recorded timesteps, and a network that knows the answer is believed whatever the number of frames."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.diffusion import dpm_solver, schedules
from difftrack_jax.generation import windows
from difftrack_jax.generation.conditioning import Conditions
from difftrack_jax.generation.sampling import Settings, sample
from difftrack_jax.models.tracklets import Tracklets


def conditions(frames, b=1):
    text = jnp.ones((b, 1, 2))
    tracklets = Tracklets(jnp.zeros((b, frames, 3, 4)), jnp.ones((b, frames, 3)), jnp.zeros((b, 3, 2)))
    return Conditions(text, -text, tracklets)


def test_fifty_steps_visit_the_published_timesteps():
    grid = dpm_solver.Grid(50, final="sigma_min")
    visited = np.asarray(dpm_solver.path_down(schedules.scaled_linear(), grid).timesteps).tolist()
    assert visited[:2] == [999, 979]
    assert visited[-1] == 20
    assert {519, 500, 480} <= set(visited)
    assert len(visited) == 50


@pytest.mark.parametrize(("frames", "size", "overlap"), [(5, 8, 2), (8, 8, 4), (9, 8, 4), (30, 8, 4), (17, 8, 0)])
def test_windows_cover_every_frame_and_their_shares_add_up(rng, frames, size, overlap):
    plan = windows.plan(frames, size, overlap)
    clip = jnp.asarray(rng.standard_normal((2, frames, 3)), jnp.float32)
    np.testing.assert_allclose(windows.join(plan, windows.cut(plan, clip)), clip, atol=1e-5)
    assert plan.shares.shape[1] == min(frames, size)
    if len(plan.starts) > 1:
        assert np.diff(plan.starts).max() <= size - overlap


@pytest.mark.parametrize("solver", ["dpm++2m", "ddim"])
@pytest.mark.parametrize("frames", [3, 11])
def test_a_network_that_knows_the_data_is_believed(rng, solver, frames):
    truth = jnp.asarray(rng.uniform(-1, 1, (1, frames, 2, 2, 1)), jnp.float32)
    cut = windows.plan(frames, 4, 2)
    pieces = windows.cut(cut, truth)

    def knows(x, t, told, gate):
        # Which window this is shows in its boxes, that count frames.
        index = jnp.argmin(jnp.abs(jnp.asarray(cut.starts) - told.tracklets.boxes[0, 0, 0, 0]))
        return jnp.broadcast_to(pieces[index], x.shape)

    told = conditions(frames)
    count = jnp.broadcast_to(jnp.arange(frames, dtype=jnp.float32).reshape(1, frames, 1, 1), (1, frames, 3, 4))
    told = told._replace(tracklets=told.tracklets._replace(boxes=count))
    settings = Settings(steps=20, solver=solver, guidance=3.0, window=4, overlap=2)
    noise = jax.random.normal(jax.random.key(0), truth.shape)
    out = jax.jit(lambda z: sample(knows, told, z, schedules.cosine(), "data", settings))(noise)
    np.testing.assert_allclose(out, truth, atol=0.05)


def test_guidance_pushes_away_from_nothing_and_grounding_ends_with_its_share():
    """The network answers 1 with conditions and 0 without, and reports its gate in a second channel."""

    def answers(x, t, told, gate):
        said = jnp.where(told.text[:, :1, :1] > 0, 1.0, 0.0)[..., None, None]
        spread = lambda value: jnp.broadcast_to(value, (*x.shape[:-1], 1))
        return jnp.concatenate([spread(said), spread(gate)], axis=-1)

    noise = jnp.zeros((1, 2, 2, 2, 2))
    run = lambda **s: sample(answers, conditions(2), noise, schedules.cosine(), "data", Settings(steps=10, **s))
    np.testing.assert_allclose(run(guidance=5.0)[..., 0], 5.0, atol=0.01)
    np.testing.assert_allclose(run(guidance=1.0)[..., 0], 1.0, atol=0.01)
    np.testing.assert_allclose(run(guidance=1.0)[..., 1], 1.0, atol=0.01)
    assert run(guidance=1.0, grounding_beta=0.0)[..., 1].max() < 0.01
