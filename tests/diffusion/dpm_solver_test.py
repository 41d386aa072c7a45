"""DPM-Solver++(2M) walks the reference trajectories, is of second order, and finds its way back to first."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.diffusion import ddim, dpm_solver, schedules

from ..goldens import reference

SCHEDULES = {"sd": schedules.scaled_linear, "adm": schedules.linear}
NETWORKS = {
    "A": lambda x, t: 0.3 * jnp.sin(x) + 0.01 * t / 1000,
    "B": lambda x, t: 0.8 * jnp.tanh(x) + 0.1 * jnp.cos(t / 100),
}


def close(states, golden, tolerance):
    """Relative to the size of each state, so that entries crossing zero do not ask for more than float32."""
    golden = np.asarray(golden)
    error = np.abs(np.asarray(states) - golden).reshape(len(golden), -1).max(1)
    size = np.abs(golden).reshape(len(golden), -1).max(1)
    assert (error / size).max() < tolerance, (error / size).max()


def whole(walked):
    """All states, from the first the network saw to the last."""
    last, states = walked
    return jnp.concatenate([states, last[None]])


def grid(run):
    config = run["config"]
    return dpm_solver.Grid(
        run["steps"],
        config.get("timestep_spacing", "linspace"),
        config.get("steps_offset", 0),
        config.get("final_sigmas_type", "sigma_min"),  # before it was a choice the end was the first training level
        config.get("use_karras_sigmas", False),
        config.get("solver_order", 2),
    )


@pytest.mark.parametrize("index", range(48))
def test_sampling_equals_diffusers(shared, index):
    run = json.loads(shared("goldens/schedulers/dpmpp_2m.json").read_text())["runs"][index]
    schedule = SCHEDULES[run["schedule"]]()
    path = dpm_solver.path_down(schedule, grid(run))
    np.testing.assert_array_equal(path.timesteps, run["timesteps"])
    # Near the data 1 / abar - 1 has four digits left in float32.
    np.testing.assert_allclose(np.sqrt(1 / path.start - 1), run["sigmas"][:-1], rtol=3e-4)
    x = jnp.asarray(run["x"][0], jnp.float32)
    tolerance = 5e-4 if run["steps"] == 50 else 1e-4
    close(whole(dpm_solver.walk(NETWORKS[run["eps"]], x, path)), run["x"], tolerance)


@pytest.mark.parametrize("index", range(12))
def test_sampling_equals_the_diffusers_of_trackdiffusion(shared, index):
    runs = json.loads(shared("goldens/schedulers/vendored_diffusers_0_21.json").read_text())["runs"]
    run = [run for run in runs if run["cls"] == "DPMSolverMultistepScheduler"][index]
    path = dpm_solver.path_down(schedules.scaled_linear(), grid(run))
    np.testing.assert_array_equal(path.timesteps, run["timesteps"])
    x = jnp.asarray(run["x"][0], jnp.float32)
    close(whole(dpm_solver.walk(NETWORKS[run["eps"]], x, path)), run["x"], 5e-4 if run["steps"] == 50 else 1e-4)


@pytest.mark.parametrize("mode", reference.MODES)
@pytest.mark.parametrize("spacing", ["linspace", "leading"])
@pytest.mark.parametrize("steps", [10, 25])
def test_inversion_equals_diffusers(mode, spacing, steps):
    run = {
        key.split("/")[-1]: value
        for key, value in reference.outputs("dpm_inverse", mode).items()
        if key.startswith(f"{spacing}{steps}/")
    }
    choice = dpm_solver.Grid(steps, spacing, 1 if spacing == "leading" else 0)
    path = dpm_solver.path_up(schedules.scaled_linear(), choice)
    np.testing.assert_array_equal(path.timesteps, run["timesteps"])
    close(whole(dpm_solver.walk(NETWORKS["B"], jnp.asarray(run["x"][0]), path)), run["x"], 1e-4)


def test_order_one_is_ddim(rng):
    """On the same levels, to the first training level; DDIM is the first-order solver of the same equation."""
    x, schedule = jnp.asarray(rng.standard_normal(8), jnp.float32), schedules.scaled_linear()
    path = dpm_solver.path_down(schedule, dpm_solver.Grid(20, "trailing", final="sigma_min", order=1))
    end = jnp.append(path.start[1:], schedule.alphas_cumprod[0])
    last, _ = dpm_solver.walk(NETWORKS["B"], x, path)
    want, _ = ddim.walk(NETWORKS["B"], x, ddim.Path(path.timesteps, path.start, end))
    np.testing.assert_allclose(last, want, rtol=2e-4, atol=1e-5)


SPREAD = 0.5


def gaussian(abars):
    """The exact denoiser of data N(0, SPREAD^2), at the level abars[t]."""

    def denoise(x, t):
        abar = abars[t]
        return jnp.sqrt(1 - abar) * x / (abar * SPREAD**2 + 1 - abar)

    return denoise


def deviation(abar):
    """Of x at a level; the ODE multiplies x by what it grows by."""
    return np.sqrt(abar * SPREAD**2 + 1 - abar)


def test_halving_the_step_quarters_the_error():
    # Karras' levels are smooth in the number of steps; timesteps are not, so the network is told the level itself.
    schedule, errors = schedules.scaled_linear(), {}
    for order, steps in [(1, 40), (1, 80), (2, 40), (2, 80)]:
        choice = dpm_solver.Grid(steps, final="sigma_min", karras=True, order=order)
        path = dpm_solver.path_down(schedule, choice)
        last, _ = dpm_solver.walk(gaussian(path.start), jnp.ones(1), path._replace(timesteps=jnp.arange(steps)))
        errors[order, steps] = abs(float(last[0]) - deviation(path.start[-1]) / deviation(path.start[0]))
    np.testing.assert_allclose(errors[1, 40] / errors[1, 80], 2, rtol=0.1)
    np.testing.assert_allclose(errors[2, 40] / errors[2, 80], 4, rtol=0.2)


def test_the_last_step_to_clean_data_lands_on_what_the_network_takes_them_to_be(rng):
    x, target = jnp.asarray(rng.standard_normal((2, 8)), jnp.float32)
    last, _ = dpm_solver.sample(lambda x, t: target, schedules.linear(), x, dpm_solver.Grid(20), ddim.Rule("data"))
    np.testing.assert_allclose(last, target, atol=1e-5)


def test_there_and_back_gets_closer_with_more_steps(rng):
    x, schedule = jnp.asarray(rng.standard_normal(8), jnp.float32), schedules.scaled_linear()
    errors = []
    for steps in (20, 40, 80):
        choice = dpm_solver.Grid(steps, final="sigma_min")
        noise, _ = dpm_solver.invert(gaussian(schedule.alphas_cumprod), schedule, x, choice)
        back, _ = dpm_solver.sample(gaussian(schedule.alphas_cumprod), schedule, noise, choice)
        errors.append(np.abs(back - x).max())
    assert errors[1] < 0.5 * errors[0]
    assert errors[2] < 0.5 * errors[1]


@pytest.mark.parametrize("choice", [dpm_solver.Grid(20, "trailing"), dpm_solver.Grid(20, karras=True)])
def test_what_cannot_be_inverted_is_refused(choice):
    with pytest.raises(ValueError, match="inverted"):
        dpm_solver.path_up(schedules.linear(), choice)


def test_impossible_grids_are_refused():
    with pytest.raises(ValueError, match="1000 of 1000"):
        dpm_solver.path_down(schedules.linear(), dpm_solver.Grid(1000))
    with pytest.raises(ValueError, match="spacing 'ddim'"):
        dpm_solver.path_down(schedules.linear(), dpm_solver.Grid(10, "ddim"))


def test_clipping_holds_the_data_in_their_range(rng):
    x = 10 * jnp.asarray(rng.standard_normal(8), jnp.float32)
    last, _ = dpm_solver.sample(NETWORKS["A"], schedules.linear(), x, dpm_solver.Grid(10), ddim.Rule(clip=1.0))
    assert jnp.abs(last).max() <= 1 + 1e-6


def test_jit_equals_no_jit(rng):
    x = jnp.asarray(rng.standard_normal((2, 3, 3, 1)), jnp.float32)
    run = lambda x: dpm_solver.sample(NETWORKS["A"], schedules.linear(), x, dpm_solver.Grid(5))
    with jax.disable_jit():
        plain = run(x)
    for ours, theirs in zip(jax.jit(run)(x), plain):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
