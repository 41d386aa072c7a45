"""Schedules agree with the published ones, respacing keeps abar, the forward process has unit variance."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.diffusion import schedules

PUBLISHED = {"sd": "scaled_linear", "adm": "linear"}


@pytest.mark.parametrize("backbone", PUBLISHED)
def test_tables_and_forward_process_equal_diffusers(shared, backbone):
    golden = json.loads(shared("goldens/schedulers/betas.json").read_text())["schedules"][backbone]
    schedule = schedules.named(PUBLISHED[backbone])
    np.testing.assert_allclose(schedule.betas, golden["betas"], rtol=1e-5)
    np.testing.assert_allclose(schedule.alphas_cumprod, golden["alphas_cumprod"], rtol=1e-4)
    case = {name: np.asarray(value) for name, value in golden["add_noise"].items()}
    x0, noise = (jnp.asarray(case[name], jnp.float32) for name in ("x0", "noise"))
    ours = schedules.q_sample(schedule, x0, noise, jnp.asarray(case["t"], jnp.int32))
    np.testing.assert_allclose(ours, case["xt"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("index", range(12))
def test_respacing_equals_guided_diffusion(shared, index):
    run = json.loads(shared("goldens/schedulers/adm_guided_diffusion.json").read_text())["runs"][index]
    name = run["timestep_respacing"]
    spacing, steps = ("ddim", int(name[4:])) if name.startswith("ddim") else ("linspace", int(name))
    visited = schedules.timesteps(1000, steps, spacing)
    np.testing.assert_array_equal(visited[::-1], run["timestep_map"])

    schedule = schedules.respace(schedules.named(run["noise_schedule"]), visited)
    np.testing.assert_allclose(schedule.betas, run["betas"], rtol=1e-4)
    np.testing.assert_allclose(schedule.alphas_cumprod, run["alphas_cumprod"], rtol=1e-4)
    case = {key: np.asarray(value) for key, value in run["q_sample"].items()}
    x0, noise = (jnp.asarray(case[key], jnp.float32) for key in ("x0", "noise"))
    ours = schedules.q_sample(schedule, x0, noise, jnp.asarray(case["index"], jnp.int32))
    np.testing.assert_allclose(ours, case["xt"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", schedules.SCHEDULES)
def test_abar_falls_from_nearly_one_to_nearly_zero(name):
    abar = np.asarray(schedules.named(name).alphas_cumprod)
    assert (np.diff(abar) < 0).all()
    assert abar[0] > 0.999
    assert abar[-1] < 5e-3


def test_levels_count_as_dintr_does():
    schedule = schedules.linear()
    levels = schedules.levels(schedule, 50)
    assert levels.shape == (51,)
    assert levels[0] == 1
    assert levels[50] == schedule.alphas_cumprod[999]
    assert levels[1] == schedule.alphas_cumprod[19]


def test_forward_process_keeps_unit_variance(rng):
    schedule = schedules.cosine()
    x0, noise = jnp.asarray(rng.standard_normal((2, 4, 100_000)), jnp.float32)
    noised = schedules.q_sample(schedule, x0, noise, jnp.asarray([0, 300, 700, 999]))
    np.testing.assert_allclose(noised.std(axis=1), 1, atol=0.01)


def test_per_sample_steps_equal_one_at_a_time(rng):
    schedule = schedules.linear()
    x0, noise = jnp.asarray(rng.standard_normal((2, 3, 4, 4, 2)), jnp.float32)
    k = jnp.asarray([0, 500, 999])
    together = schedules.q_sample(schedule, x0, noise, k)
    for i in range(3):
        np.testing.assert_allclose(together[i], schedules.q_sample(schedule, x0[i], noise[i], k[i]), rtol=1e-6)


def test_impossible_grids_are_refused():
    with pytest.raises(ValueError, match="no integer stride"):
        schedules.timesteps(1000, 600, "ddim")
    with pytest.raises(ValueError, match="never trained"):
        schedules.timesteps(1000, 1000, "leading", 1)
    with pytest.raises(ValueError, match="cannot visit"):
        schedules.stride(1000, 1001, "trailing")
