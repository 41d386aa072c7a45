"""Tracking as interpolation: walk from one frame to the next in T steps and watch where the attention goes.

    z_k = alpha_k z^t + (1 - alpha_k) z^{t+1},    alpha_k = k/T,    k = T..0               DINTR eq. C.14

so z_T is the frame we know and z_0 the one that follows. The network phi predicts the end from anywhere on
the way and is trained for it with min || z^{t+1} - P_phi(z_k, k) ||^2 (eq. 6). Table 2 gives four ways to go
from k to k - 1, Alg. 2 (L4) a fifth; with an exact network (2a)-(2d) are one trajectory, the blend.

Symbols: z^t `z_start`, z^{t+1} `z_end` (the anchors), z_k `z_k`, alpha_k `alpha` (weight of the START; not
the abar_k of a noise schedule), P_phi `predict`: (z_k, alpha) -> (data prediction of z^{t+1}, aux).

Where we differ [D]: eq. 7's single-step KL is not well typed, so `loss` is eq. 6 with k ~ U{1..T} and the
exact blend as input. Alg. 2 line 3, z_k <- P_phi(z_k, k), mixes an end with a state at level k; see `refine`.
(2a) does not accumulate, so the paper trains it with the step-wise loss (C.2), `reconstruction.loss`.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from difftrack_jax.diffusion.schedules import Index, Level, State, over
from difftrack_jax.typing import Array, Float, Int, Key, PyTree, Scalar

Predict = Callable[[Array, Array], tuple[Array, PyTree]]
Operator = Callable[[Array, Array, Array, Index, int], Array]


def blend(z0: State, z1: State, alpha: Level) -> State:
    """alpha z0 + (1 - alpha) z1; alpha is one number, or one for each entry of the leading axes."""
    alpha = over(alpha, z0)
    return alpha * z0 + (1 - alpha) * z1


def blend_step(z_k: State, z_start: State, z_end: State, k: Index, T: int) -> State:
    """(2a) z_{k-1} = alpha_{k-1} z^t + (1 - alpha_{k-1}) z^{t+1}: forgets z_k."""
    return blend(z_start, z_end, (k - 1) / T)


def destination_step(z_k: State, z_start: State, z_end: State, k: Index, T: int) -> State:
    """(2b) z_{k-1} = z^{t+1} + (alpha_{k-1} / alpha_k) (z_k - z^{t+1}): shrinks what is left to go."""
    return z_end + over((k - 1) / k, z_k) * (z_k - z_end)


def start_step(z_k: State, z_start: State, z_end: State, k: Index, T: int) -> State:
    """(2c) z_{k-1} = z^t + (1 - alpha_{k-1}) / (1 - alpha_k) (z_k - z^t): stretches what is done.

    At k = T that is 0/0 and (2a) steps in.
    """
    k = over(k, z_k)
    # The 1/0 at k = T is replaced before it is formed: a `where` around the result alone would keep it out of
    # the value but not out of the gradient.
    done = jnp.where(k == T, 1, T - k)
    stretched = z_start + (done + 1) / done * (z_k - z_start)
    return jnp.where(k == T, blend_step(z_k, z_start, z_end, k, T), stretched)


def offset_step(z_k: State, z_start: State, z_end: State, k: Index, T: int) -> State:
    """(2d) z_{k-1} = z_k + (alpha_k - alpha_{k-1}) (z^{t+1} - z^t): equal strides, the paper's choice."""
    return z_k + (z_end - z_start) / T


def noised_offset_step(
    z_k: State,
    z_start: State,
    z_end: State,
    k: Index,
    T: int,
    *,
    levels: Float[Array, "{T}+1"],
    noise: State,
    scaled: bool,
) -> State:
    """(L4) z_{k-1} = z_k + s (Q(z^{t+1}, k-1) - Q(z^t, k)); levels: abar_0 = 1 .. abar_T.

    Printed with s = 1 it walks T times too far; `scaled` takes s = 1/T, which is (2d) where abar = 1. The two
    Q share one draw of noise [D], so it does not pile up: over the walk it is -s sqrt(1 - abar_T) noise.
    Bind levels, noise and scaled with `functools.partial` to use it as an operator.
    """

    def noised(z: State, abar: Level) -> State:
        return jnp.sqrt(over(abar, z)) * z + jnp.sqrt(1 - over(abar, z)) * noise

    difference = noised(z_end, levels[k - 1]) - noised(z_start, levels[k])
    return z_k + (difference / T if scaled else difference)


OPERATORS: dict[str, Callable[..., Array]] = {
    "blend": blend_step,
    "destination": destination_step,
    "start": start_step,
    "offset": offset_step,
    "noised_offset": noised_offset_step,
}


def offset_to_data(z_k: State, offset: State, alpha: Level) -> State:
    """The end, from a predicted offset: z^{t+1} = z_k + alpha_k (z^{t+1} - z^t)."""
    return z_k + over(alpha, z_k) * offset


def refine(z_start: State, predicted_end: State, alpha: Level) -> State:
    """Our reading of "z_k <- P_phi(z_k, k)" [D]: the predicted end, said again at level k as a blend.

    A network trained with eq. 6 answers with z^{t+1} itself; taken literally the first call would end the
    walk. Blended back to level k, an exact network leaves the state as it was and an inexact one corrects it.
    """
    return blend(z_start, predicted_end, alpha)


def sequential(
    predict: Predict, z_start: State, z_end: State | None, T: int, operator: Operator
) -> tuple[Array, Array, PyTree]:
    """Alg. 2: for k = T..1 refine, then step; returns z_0 [*z], the refined z_k [T, *z] and aux [T, ...].

    The operator is anchored in the observed z_end, or, where that frame has not arrived (None), in the end
    the network predicts at each k [D].
    """

    def step(z_k: State, k: Index):
        predicted_end, aux = predict(z_k, k / T)
        z_k = refine(z_start, predicted_end, k / T)
        anchor = predicted_end if z_end is None else z_end
        return operator(z_k, z_start, anchor, k, T), (z_k, aux)

    z_0, (states, aux) = jax.lax.scan(step, z_start, jnp.arange(T, 0, -1))
    return z_0, states, aux


def parallel(predict: Predict, z_start: State, z_end: State, ks: Int[Array, "m"], T: int) -> tuple[Array, PyTree]:
    """Teacher-forced: both frames are there, so every z_k is known and the chosen k are one batch.

    One call predict([m, *z], alpha [m]); returns the refined z_k [m, *z] and aux. Equals `sequential` at
    those k under an exact network.
    """
    alpha = ks / T
    predicted_end, aux = predict(jax.vmap(blend, (None, None, 0))(z_start, z_end, alpha), alpha)
    return jax.vmap(refine, (None, 0, 0))(z_start, predicted_end, alpha), aux


def draw_alpha(key: Key[Array, ""], T: int, shape: tuple[int, ...] = ()) -> Float[Array, "*k"]:
    """alpha_k for k ~ U{1..T}; k = 0 is left out, where the input is the answer."""
    return jax.random.randint(key, shape, 1, T + 1) / T


def loss(predict: Predict, z_start: State, z_end: State, alpha: Level) -> tuple[Scalar, PyTree]:
    """Eq. 6: mean squared error of the end predicted from the blend at alpha (`draw_alpha`); and aux."""
    predicted_end, aux = predict(blend(z_start, z_end, alpha), jnp.asarray(alpha))
    return jnp.mean(jnp.square(predicted_end - z_end)), aux
