"""Tracking as reconstruction, DINTR's own baseline: turn frame t into noise, and noise into frame t + 1.

    min E_k || z^{t+1} - P_eps(Q(z^t, k), k) ||^2                                   DINTR eq. 4
    sum_k KL( q(z_{k-1}^{t+1} | z_k, z^{t+1}) || p_eps(z_{k-1} | z_k) )               eq. 5, Alg. D.4

Both posteriors are Gaussians with the same fixed variance and a mean linear in the data [D], so each KL is
the squared error of eq. 4 times `posterior_weight`. Operation goes up to noise and down again: with DDIM
inversion that is T + T network calls, the 2T of Fig. D.5; with a drawn noise the way up is free, T are left.

Symbols: z^t `z_start`, z^{t+1} `z_end`, Q `q_sample`, P_eps `predict`, k an index into the schedule (0..N-1,
the paper's k - 1). To sum over the paper's T = 50 steps rather than over N, `respace` the schedule first.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from difftrack_jax.diffusion import ddim
from difftrack_jax.diffusion.schedules import Index, Schedule, State, over, q_sample
from difftrack_jax.typing import Array, Float, PyTree, Scalar

Predict = Callable[[Array, Array], tuple[Array, PyTree]]


class Posterior(NamedTuple):
    """q(z_{k-1} | z_k, z_0) = N(data z_0 + state z_k, variance)."""

    data: Float[Array, "*k"]
    state: Float[Array, "*k"]
    variance: Float[Array, "*k"]


def posterior(schedule: Schedule, k: Index) -> Posterior:
    """The DDPM posterior at index k (Ho et al. 2020, eq. 7); its variance is 0 at the first index."""
    betas = schedule.betas
    abar = jnp.concatenate([jnp.ones(1), schedule.alphas_cumprod])
    # noise is 1 - abar, and abar_k / abar_{k-1} is 1 - beta_k, but float32 may form neither by subtracting:
    # near the data abar is .9999, at the end of the cosine schedule beta is 1 - 1e-6.
    noise = -jnp.expm1(jnp.cumsum(jnp.log1p(-jnp.concatenate([jnp.zeros(1), betas]))))
    data = jnp.sqrt(abar[:-1]) * betas / noise[1:]
    state = jnp.sqrt(abar[1:] / abar[:-1]) * noise[:-1] / noise[1:]
    variance = betas * noise[:-1] / noise[1:]
    return Posterior(data[k], state[k], variance[k])


def posterior_weight(schedule: Schedule, k: Index) -> Float[Array, "*k"]:
    """KL per unit of squared data error, data^2 / (2 variance) = (SNR_{k-1} - SNR_k) / 2.

    At the first index the variance is 0 and the term is a log-likelihood; it takes the next index's
    variance, as in Improved DDPM.
    """
    return jnp.square(posterior(schedule, k).data) / (2 * posterior(schedule, jnp.maximum(k, 1)).variance)


def loss(
    predict: Predict,
    schedule: Schedule,
    z_start: State,
    z_end: State,
    noise: State,
    k: Index,
    bound: bool = False,
) -> tuple[Scalar, PyTree]:
    """Eq. 4, or with `bound` one term of eq. 5: predict(Q(z^t, k), k) is (data prediction of z^{t+1}, aux).

    A mean over all entries, hence with `bound` in nats per entry. This is also the step-wise loss that trains
    operator (2a).
    """
    prediction, aux = predict(q_sample(schedule, z_start, noise, k), jnp.asarray(k))
    error = jnp.square(prediction - z_end)
    if bound:
        error = over(posterior_weight(schedule, k), error) * error
    return jnp.mean(error), aux


def operate(
    predict: Predict,
    schedule: Schedule,
    z_start: State,
    grid: ddim.Grid,
    noise: State | None = None,
    rule: ddim.Rule = ddim.NOISE,
) -> tuple[Array, Array, PyTree]:
    """Up to z_T, then DDIM k = T..1; returns z_0 [*z], the visited z_k [T, *z] and their aux [T, ...].

    predict(z_k, t) -> (prediction, aux) with t the training step; the prediction is read by `rule`. noise:
    drawn by the caller for a network-free way up; None inverts DDIM.
    """
    path = ddim.path_down(schedule, grid)
    if noise is None:
        z_noisy, _ = ddim.invert(lambda x, t: predict(x, t)[0], schedule, z_start, grid, rule)
    else:
        z_noisy = q_sample(schedule, z_start, noise, path.timesteps[0])

    def step(state: ddim.DDIMState, _):
        prediction, aux = predict(state.x, path.timesteps[state.step])
        return ddim.update(state, lambda x, t: prediction, path, rule), (state.x, aux)

    last, (states, aux) = jax.lax.scan(step, ddim.init(z_noisy), length=len(path.timesteps))
    return last.x, states, aux
