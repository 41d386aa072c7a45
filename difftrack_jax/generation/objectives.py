"""What a tracklet-conditioned generator learns: denoising, with more weight on the foreground (TrackDiffusion, 3.4).

    x_k = sqrt(abar_k) z + sqrt(1 - abar_k) eps,   k ~ U{0..N-1} a clip, eps ~ N(0, 1) a frame
    loss = mean(W (net(x_k, k, c) - target)^2),    W = lambda inside any box, 1 outside, then W / mean(W)

Stage 1 trains grounding on single frames, stage 2 all that looks along time; `MOVES` says which parameters each moves.
The published code leaves `null_track_feat` frozen at random values, by an accident of its name: here it is trained.
It also norms W over the micro-batch, one clip a device; here each clip is normed by itself, which is the same for one.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from difftrack_jax.diffusion.predictions import Kind, to_data
from difftrack_jax.diffusion.schedules import Schedule, over, q_sample
from difftrack_jax.generation.conditioning import Conditions, drop
from difftrack_jax.typing import Array, Float, Key, Params

# A parameter moves when this is found in its path.
MOVES = {
    "stage1": r"fuser|position_net",
    "stage2": r"temp_|tracklet_|instance_embedding|transformer_in|injector|null_track_feat",
    "all": r"",
}


class Rule(NamedTuple):
    """kind: what the network predicts. foreground: lambda. drop_text, drop_boxes: probabilities.

    weighting: of noise levels; "flat" is the published one, in terms of what is predicted; "velocity" weighs an error
    of the data by 1 / (1 - abar), at most `cap`, which suits a network that predicts data.
    """

    kind: Kind = "noise"
    foreground: float = 2.0
    drop_text: float = 0.1
    drop_boxes: float = 0.1
    weighting: str = "flat"
    cap: float = 5.0


def moves(stage: str) -> Callable[[str], bool]:
    """Whether a parameter, by its path joined with /, is trained in a stage."""
    pattern = re.compile(MOVES[stage])
    return lambda path: bool(pattern.search(path))


def foreground(
    boxes: Float[Array, "b f n 4"], valid: Float[Array, "b f n"], h: int, w: int, strength: float
) -> Float[Array, "b f {h} {w}"]:
    """Weights of the cells, `strength` times as heavy in boxes, with mean one in each clip.

    A box covers rows floor(y0 h) to floor(y1 h) - 1, and columns likewise: one that is smaller than a cell may cover
    none. Boxes that overlap do not add up.
    """
    cells = jnp.floor(boxes * jnp.array([w, h, w, h], boxes.dtype).reshape(1, 1, 1, 4))
    x0, y0, x1, y1 = jnp.moveaxis(cells, -1, 0)[..., None]
    row, column = jnp.arange(h, dtype=cells.dtype), jnp.arange(w, dtype=cells.dtype)
    spread = lambda line: line.reshape(1, 1, 1, -1)
    rows = (spread(row) >= y0) & (spread(row) < y1) & (valid[..., None] > 0)
    columns = (spread(column) >= x0) & (spread(column) < x1)
    inside = jnp.any(rows[..., :, None] & columns[..., None, :], axis=2)
    weights = jnp.where(inside, strength, 1.0)
    return weights / jnp.mean(weights, axis=(1, 2, 3), keepdims=True)


Predict = Callable[[Params, Array, Array, Conditions, Array], Array]  # (params, x_k, k [b], c, dropout key)


def loss(
    predict: Predict,
    params: Params,
    latents: Float[Array, "b f h w c"],
    conditions: Conditions,
    key: Key[Array, ""],
    schedule: Schedule,
    rule: Rule,
) -> tuple[Float[Array, ""], dict[str, Array]]:
    """The loss and its parts. `conditions` are whole: dropping happens here, after the weights know the boxes."""
    k_level, k_noise, k_drop, k_net = jax.random.split(key, 4)
    b, _, h, w, _ = latents.shape
    level = jax.random.randint(k_level, (b,), 0, len(schedule.alphas_cumprod))
    noise = jax.random.normal(k_noise, latents.shape, jnp.float32)
    x = q_sample(schedule, latents, noise, level)
    weights = foreground(conditions.tracklets.boxes, conditions.tracklets.valid, h, w, rule.foreground)
    given = drop(k_drop, conditions, rule.drop_text, rule.drop_boxes)
    predicted = predict(params, x, level.astype(jnp.float32), given, k_net).astype(jnp.float32)
    abar = schedule.alphas_cumprod[level]
    error = (predicted - target(rule.kind, latents, noise, abar)) ** 2
    # Per clip, so that the weight of the noise level can be set apart from that of the place.
    errors = jnp.mean(weights[..., None] * error, axis=(1, 2, 3, 4))
    value = jnp.mean(errors * _level_weight(rule, abar))
    mse = jnp.mean((to_data(rule.kind, predicted, x, abar) - latents) ** 2, axis=(1, 2, 3, 4))
    high = abar < 0.5
    return value, {"loss": value, "data_error_noisy_half": jnp.sum(mse * high) / jnp.maximum(jnp.sum(high), 1)}


def target(kind: Kind, data: Array, noise: Array, abar: Float[Array, "b"]) -> Array:
    """What a network of this kind should say."""
    if kind == "noise":
        return noise
    if kind == "data":
        return data
    abar = over(abar, data)
    return jnp.sqrt(abar) * noise - jnp.sqrt(1 - abar) * data


def _level_weight(rule: Rule, abar):
    if rule.weighting == "flat":
        return jnp.ones_like(abar)
    return jnp.minimum(1.0 / (1.0 - abar), rule.cap)
