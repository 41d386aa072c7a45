"""The bound's weights are differences of signal-to-noise, and a network that knows frame t + 1 finds it."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.diffusion import ddim, reconstruction, schedules

GRID = ddim.Grid(10, "leading", 0, True)


@pytest.fixture
def frames(rng):
    z_start, z_end, noise = jnp.asarray(rng.standard_normal((3, 2, 4, 4, 3)), jnp.float32)
    return z_start, z_end, noise


@pytest.mark.parametrize("index", range(12))
def test_posterior_equals_guided_diffusion(shared, index):
    run = json.loads(shared("goldens/schedulers/adm_guided_diffusion.json").read_text())["runs"][index]
    visited = np.asarray(run["timestep_map"])
    schedule = schedules.respace(schedules.named(run["noise_schedule"]), visited)
    for case in run["p_mean_variance_clip"]:
        k = case["index"]
        x, data = np.asarray(case["x"]), np.asarray(case["pred_xstart"])
        ours = reconstruction.posterior(schedule, k)
        np.testing.assert_allclose(ours.data * data + ours.state * x, case["mean"], rtol=1e-4, atol=1e-5)
        if run["learn_sigma"]:
            # The learned variance lies between the posterior's and beta, as far as the toy network says.
            fraction = (0.5 * np.cos(x) + 1) / 2
            low = np.log(reconstruction.posterior(schedule, max(k, 1)).variance)
            learned = fraction * np.log(schedule.betas[k]) + (1 - fraction) * low
            np.testing.assert_allclose(learned, case["log_variance"], rtol=1e-4)


@pytest.mark.parametrize("name", schedules.SCHEDULES)
def test_weights_of_the_bound_add_up_to_half_the_signal_to_noise_crossed(name):
    schedule = schedules.respace(schedules.named(name), schedules.timesteps(1000, 50, "trailing"))
    abar = np.asarray(schedule.alphas_cumprod, np.float64)
    snr = abar / (1 - abar)
    weights = reconstruction.posterior_weight(schedule, jnp.arange(50))
    np.testing.assert_allclose(weights[1:].sum(), (snr[0] - snr[-1]) / 2, rtol=1e-4)
    np.testing.assert_allclose(weights[1:], -np.diff(snr) / 2, rtol=1e-3)
    assert np.isfinite(weights[0])


def test_kl_of_equal_gaussians_is_the_weighted_data_error():
    # Scalar states: KL = (mean - mean')^2 / (2 variance), with both means from the posterior of the same z_k.
    schedule, k, z_k, data, guess = schedules.linear(), 400, 0.3, 0.8, -0.5
    ours = reconstruction.posterior(schedule, k)
    means = [float(ours.data * x + ours.state * z_k) for x in (data, guess)]
    kl = (means[0] - means[1]) ** 2 / (2 * float(ours.variance))
    weight = float(reconstruction.posterior_weight(schedule, k))
    np.testing.assert_allclose(weight * (data - guess) ** 2, kl, rtol=1e-3)


def test_loss_is_zero_for_a_perfect_network_and_bound_weighs_each_sample(frames):
    z_start, z_end, noise = frames
    schedule, k = schedules.linear(), jnp.asarray([10, 700])

    def loss(prediction, bound=False):
        return reconstruction.loss(lambda z, k: (prediction, k), schedule, z_start, z_end, noise, k, bound)

    assert loss(z_end)[0] == 0
    np.testing.assert_array_equal(loss(z_end)[1], k)
    np.testing.assert_allclose(loss(z_end + 2)[0], 4, rtol=1e-5)
    weights = reconstruction.posterior_weight(schedule, k)
    np.testing.assert_allclose(loss(z_end + 2, bound=True)[0], 4 * weights.mean(), rtol=1e-5)


@pytest.mark.parametrize("way_up", ["drawn noise", "inversion"])
def test_a_network_that_knows_the_next_frame_reconstructs_it(frames, way_up):
    # A noise predictor tuned to the pair: whatever the state, it gives the noise that leaves z_end as data.
    z_start, z_end, noise = frames
    schedule = schedules.linear()

    def predict(z_k, t):
        abar = schedule.alphas_cumprod[t]
        return (z_k - jnp.sqrt(abar) * z_end) / jnp.sqrt(1 - abar), t

    drawn = noise if way_up == "drawn noise" else None
    z_0, states, visited = reconstruction.operate(predict, schedule, z_start, GRID, drawn)
    np.testing.assert_allclose(z_0, z_end, atol=1e-4)
    assert states.shape == (10, *z_end.shape)
    np.testing.assert_array_equal(visited, ddim.path_down(schedule, GRID).timesteps)


def test_inversion_then_sampling_returns_the_frame_it_started_from(frames):
    # Noise that does not depend on the state is the case where DDIM inverts exactly.
    z_start, _, noise = frames

    def predict(z_k, t):
        return noise * jnp.cos(t / 100), None

    z_0, _, _ = reconstruction.operate(predict, schedules.linear(), z_start, GRID)
    np.testing.assert_allclose(z_0, z_start, atol=2e-5)


def test_jit_equals_no_jit(frames):
    z_start, _, noise = frames

    def predict(z_k, t):
        return 0.3 * jnp.sin(z_k), z_k.mean()

    def run(z):
        return reconstruction.operate(predict, schedules.linear(), z, ddim.Grid(3), noise)

    with jax.disable_jit():
        plain = run(z_start)
    for ours, theirs in zip(jax.jit(run)(z_start), plain):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
