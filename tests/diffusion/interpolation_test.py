"""The operators are one trajectory under an exact network; without one each lands where its algebra says."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.diffusion import interpolation, schedules

FOUR = ["blend", "destination", "start", "offset"]


@pytest.fixture
def frames(rng):
    z_start, z_end = jnp.asarray(rng.standard_normal((2, 4, 4, 3)), jnp.float32)
    return z_start, z_end


def exact(z_start, z_end):
    """A network that knows the motion and reads the end off the state it is given; its aux is alpha."""

    def predict(z_k, alpha):
        motion = jnp.broadcast_to(z_end - z_start, z_k.shape)
        return interpolation.offset_to_data(z_k, motion, alpha), alpha

    return predict


def blends(z_start, z_end, T):
    return np.stack([k / T * z_start + (1 - k / T) * z_end for k in range(T, 0, -1)])


def walk(operator, z_start, z_end, T):
    """The operator alone, from k = T down to 0."""
    z = z_start
    for k in range(T, 0, -1):
        z = operator(z, z_start, z_end, k, T)
    return z


def noised(levels, noise, scaled):
    return functools.partial(interpolation.noised_offset_step, levels=levels, noise=noise, scaled=scaled)


def test_the_ends_of_the_blend_are_the_frames(frames):
    z_start, z_end = frames
    np.testing.assert_array_equal(interpolation.blend(z_start, z_end, 1.0), z_start)
    np.testing.assert_array_equal(interpolation.blend(z_start, z_end, 0.0), z_end)


@pytest.mark.parametrize("anchor", ["observed", "predicted"])
@pytest.mark.parametrize("T", [1, 2, 10, 50])
@pytest.mark.parametrize("name", FOUR)
def test_exact_network_gives_one_trajectory_the_blend(frames, name, T, anchor):
    z_start, z_end = frames
    operator = interpolation.OPERATORS[name]
    arrived = z_end if anchor == "observed" else None
    z_0, states, alphas = interpolation.sequential(exact(*frames), z_start, arrived, T, operator)
    np.testing.assert_allclose(states, blends(z_start, z_end, T), atol=2e-5)
    np.testing.assert_allclose(z_0, z_end, atol=2e-5)
    np.testing.assert_allclose(alphas, np.arange(T, 0, -1) / T, rtol=1e-6)


@pytest.mark.parametrize("T", [1, 2, 10, 50])
@pytest.mark.parametrize("name", FOUR)
def test_without_a_network_each_operator_lands_on_the_end(frames, name, T):
    np.testing.assert_allclose(walk(interpolation.OPERATORS[name], *frames, T), frames[1], atol=2e-5)


@pytest.mark.parametrize("T", [1, 2, 10])
def test_unscaled_noised_offset_overshoots_by_T_and_scaled_lands(frames, T):
    # With abar = 1 every printed step is the whole offset, and there are T of them.
    z_start, z_end = frames
    clean = jnp.ones(T + 1)
    landed = walk(noised(clean, z_start, True), z_start, z_end, T)
    overshot = walk(noised(clean, z_start, False), z_start, z_end, T)
    np.testing.assert_allclose(landed, z_end, atol=1e-5)
    np.testing.assert_allclose(overshot, z_start + T * (z_end - z_start), atol=1e-4)


def test_one_shared_draw_of_noise_telescopes(frames):
    # Between two grey frames (0) only noise is left: the sum of sqrt(1 - abar_{k-1}) - sqrt(1 - abar_k).
    noise, T = frames[0], 10
    levels, grey = schedules.levels(schedules.linear(), T), jnp.zeros_like(noise)
    landed = walk(noised(levels, noise, False), grey, grey, T)
    np.testing.assert_allclose(landed, -jnp.sqrt(1 - levels[T]) * noise, atol=1e-5)


def test_an_inexact_network_is_pulled_back_by_observed_anchors_only(frames):
    # A network that always answers `wrong`: (2a) ignores it if the end was observed, and follows it if not.
    z_start, z_end = frames
    wrong = z_end + 1
    run = functools.partial(
        interpolation.sequential, lambda z, alpha: (wrong, None), T=5, operator=interpolation.blend_step
    )
    np.testing.assert_allclose(run(z_start, z_end)[0], z_end, atol=1e-6)
    np.testing.assert_allclose(run(z_start, None)[0], wrong, atol=1e-6)


@pytest.mark.parametrize("ks", [[10], [8, 1, 5], list(range(10, 0, -1))], ids=str)
def test_parallel_equals_sequential_under_an_exact_network(frames, ks):
    z_start, z_end = frames

    def predict(z_k, alpha):
        alpha = jnp.asarray(alpha)
        offset = jnp.broadcast_to(z_end - z_start, z_k.shape)
        return interpolation.offset_to_data(z_k, offset, alpha), jnp.sum(z_k**2, axis=(-3, -2, -1))

    _, states, energy = interpolation.sequential(predict, z_start, z_end, 10, interpolation.offset_step)
    at_once, energy_at_once = interpolation.parallel(predict, z_start, z_end, jnp.asarray(ks), 10)
    chosen = 10 - np.asarray(ks)
    np.testing.assert_allclose(at_once, states[chosen], atol=1e-5)
    np.testing.assert_allclose(energy_at_once, energy[chosen], rtol=1e-5)


@pytest.mark.parametrize("name", FOUR)
@pytest.mark.parametrize("k", [1, 5, 10])
def test_gradients_are_finite_also_where_the_start_operator_is_0_over_0(frames, name, k):
    operator = interpolation.OPERATORS[name]
    total = jax.jit(lambda z, a, b, k: operator(z, a, b, k, 10).sum())
    for gradient in jax.grad(total, argnums=(0, 1, 2))(frames[0], *frames, jnp.asarray(k)):
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", FOUR)
def test_per_sample_k_equals_one_at_a_time(frames, name):
    z_start, z_end = (jnp.stack([z, 2 * z, -z]) for z in frames)
    z_k, ks = z_start + z_end, jnp.asarray([10, 4, 1])
    operator = interpolation.OPERATORS[name]
    together = operator(z_k, z_start, z_end, ks, 10)
    for i, k in enumerate([10, 4, 1]):
        alone = operator(z_k[i], z_start[i], z_end[i], k, 10)
        np.testing.assert_allclose(together[i], alone, rtol=1e-5, atol=1e-6)


def test_loss_is_zero_for_an_exact_network_and_the_frame_difference_for_one_that_stands_still(frames):
    z_start, z_end = frames
    alpha = interpolation.draw_alpha(jax.random.key(0), 50)
    exact_loss, aux = interpolation.loss(exact(*frames), z_start, z_end, alpha)
    np.testing.assert_allclose(exact_loss, 0, atol=1e-10)
    assert aux == alpha
    still, _ = interpolation.loss(lambda z, alpha: (z_start, None), z_start, z_end, alpha)
    np.testing.assert_allclose(still, np.mean((z_start - z_end) ** 2), rtol=1e-5)


def test_drawn_alphas_cover_one_Tth_to_one_evenly():
    alphas = np.asarray(interpolation.draw_alpha(jax.random.key(1), 4, (10_000,)))
    values, counts = np.unique(alphas, return_counts=True)
    np.testing.assert_array_equal(values, [0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(counts / 10_000, 0.25, atol=0.02)


@pytest.mark.parametrize("name", FOUR)
def test_jit_equals_no_jit(frames, name):
    def predict(z_k, alpha):
        return 0.1 * jnp.sin(z_k), alpha

    def run(z_start, z_end):
        return interpolation.sequential(predict, z_start, z_end, 3, interpolation.OPERATORS[name])

    with jax.disable_jit():
        plain = run(*frames)
    for ours, theirs in zip(jax.jit(run)(*frames), plain):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
