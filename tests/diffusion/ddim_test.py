"""DDIM walks the reference trajectories; inversion leads back, exactly where it can, else to first order."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.diffusion import ddim, schedules

SCHEDULES = {"sd": schedules.scaled_linear, "adm": schedules.linear}
NETWORKS = {
    "A": lambda x, t: 0.3 * jnp.sin(x) + 0.01 * t / 1000,
    "B": lambda x, t: 0.8 * jnp.tanh(x) + 0.1 * jnp.cos(t / 100),
}


def close(states, golden):
    """Relative to the size of each state, so that entries crossing zero do not ask for more than float32."""
    golden = np.asarray(golden)
    error = np.abs(np.asarray(states) - golden).reshape(len(golden), -1).max(1)
    size = np.abs(golden).reshape(len(golden), -1).max(1)
    assert (error / size).max() < 5e-5


def whole(walked):
    """All states, from the first the network saw to the last."""
    last, states = walked
    return jnp.concatenate([states, last[None]])


def diffusers_run(run):
    config = run["config"]
    names = ("timestep_spacing", "steps_offset", "set_alpha_to_one")
    clip = config["clip_sample_range"] if config["clip_sample"] else None
    grid = ddim.Grid(run["steps"], *(config[name] for name in names))
    return SCHEDULES[run["schedule"]](), grid, ddim.Rule(clip=clip), jnp.asarray(run["x"][0], jnp.float32)


@pytest.mark.parametrize("index", range(27))
def test_sampling_equals_diffusers(shared, index):
    run = json.loads(shared("goldens/schedulers/ddim.json").read_text())["runs"][index]
    schedule, grid, rule, x = diffusers_run(run)
    np.testing.assert_array_equal(ddim.path_down(schedule, grid).timesteps, run["timesteps"])
    close(whole(ddim.sample(NETWORKS[run["eps"]], schedule, x, grid, rule)), run["x"])


@pytest.mark.parametrize("index", range(18))
def test_inversion_equals_diffusers(shared, index):
    run = json.loads(shared("goldens/schedulers/ddim_inverse.json").read_text())["runs"][index]
    schedule, grid, rule, x = diffusers_run(run)
    np.testing.assert_array_equal(ddim.path_up(schedule, grid).timesteps, run["timesteps"])
    close(whole(ddim.invert(NETWORKS[run["eps"]], schedule, x, grid, rule)), run["x"])


@pytest.mark.parametrize("index", [0, 1, 2, 3, 6, 7, 8, 9])
def test_sampling_and_inversion_equal_guided_diffusion(shared, index):
    run = json.loads(shared("goldens/schedulers/adm_guided_diffusion.json").read_text())["runs"][index]
    steps = len(run["timestep_map"])
    schedule, grid = schedules.named(run["noise_schedule"]), ddim.Grid(steps, "ddim", 0, True)

    def states(kind):
        return jnp.asarray(run[kind], jnp.float32)

    plain = ddim.sample(NETWORKS["A"], schedule, states("ddim_x")[0], grid)
    close(whole(plain), run["ddim_x"])
    rule = ddim.Rule(clip=1.0, renoise=True)
    clipped = ddim.sample(NETWORKS["A"], schedule, states("ddim_clip_denoised_x")[0], grid, rule)
    close(whole(clipped), run["ddim_clip_denoised_x"])
    up = ddim.invert(NETWORKS["A"], schedule, states("ddim_reverse_x")[0], grid, shown="start")
    close(whole(up), run["ddim_reverse_x"])


def round_trip(denoise, steps, x):
    noise, _ = ddim.invert(denoise, schedules.scaled_linear(), x, ddim.Grid(steps))
    return ddim.sample(denoise, schedules.scaled_linear(), noise, ddim.Grid(steps))[0]


@pytest.mark.parametrize("steps", [1, 10, 50])
def test_inverts_exactly_when_the_noise_does_not_depend_on_the_state(rng, steps):
    # With y = x / sqrt(abar) and s = sqrt(1/abar - 1) a step is y += (s_to - s_from) eps(t), which undoes.
    x, direction = jnp.asarray(rng.standard_normal((2, 8)), jnp.float32)
    back = round_trip(lambda x, t: direction * jnp.cos(t / 100), steps, x)
    np.testing.assert_allclose(back, x, atol=2e-5)


def test_inverts_to_first_order_under_a_linear_network(rng):
    # eps = x / 2 is read at the low end of a step on the way up, at its high end on the way down: O(1/steps).
    x = jnp.asarray(rng.standard_normal(8), jnp.float32)
    errors = [np.abs(round_trip(lambda x, t: 0.5 * x, steps, x) - x).max() for steps in (125, 250, 500)]
    np.testing.assert_allclose(np.divide(errors[:-1], errors[1:]), 2, rtol=0.1)


@pytest.mark.parametrize("kind", ["noise", "data", "velocity"])
def test_one_distribution_gives_one_trajectory_whatever_is_predicted(rng, kind):
    # Standard normal data: the best guess of x_0 is sqrt(abar) x, of the noise sqrt(1 - abar) x, of v zero.
    schedule, grid = schedules.linear(), ddim.Grid(20, "leading", 0, True)

    def denoise(x, t):
        abar = schedule.alphas_cumprod[t]
        return {"noise": jnp.sqrt(1 - abar), "data": jnp.sqrt(abar), "velocity": 0.0}[kind] * x

    x = jnp.asarray(rng.standard_normal(8), jnp.float32)
    last, _ = ddim.sample(denoise, schedule, x, grid, ddim.Rule(kind))
    # Each step multiplies by the cosine of the angle it crosses, with abar = cos^2(angle).
    path = ddim.path_down(schedule, grid)
    shrink = np.prod(np.cos(np.arccos(np.sqrt(path.start)) - np.arccos(np.sqrt(path.end))))
    np.testing.assert_allclose(last, shrink * x, rtol=1e-4)


def test_jit_equals_no_jit(rng):
    x = jnp.asarray(rng.standard_normal((2, 3, 3, 1)), jnp.float32)

    def run(x):
        return ddim.sample(NETWORKS["A"], schedules.linear(), x, ddim.Grid(5), ddim.Rule(clip=1.0))

    with jax.disable_jit():
        plain = run(x)
    for ours, theirs in zip(jax.jit(run)(x), plain):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
