"""Training, told once: objective, state, restore, compile, steps, evaluation, checkpoint, export.

An objective (`OBJECTIVES[config.objective]`) says what is learnt; the loop knows nothing else of it. Every step's
data and noise are folded from the seed and the step, so a run that was killed and resumed ends in the same weights.
"""

import pathlib
import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import optax
from absl import logging

from difftrack_jax.checkpoints import bundled, store
from difftrack_jax.data import synthetic, textures
from difftrack_jax.models import variants
from difftrack_jax.models.unet_adm import UNetADM
from difftrack_jax.runners import common, train_tracklets
from difftrack_jax.runners.objective import Objective
from difftrack_jax.runners.progress import Progress
from difftrack_jax.runners.writers import Writer
from difftrack_jax.tracking import objective as tracker_objective
from difftrack_jax.typing import Array, Int, Key, Params, PyTree


class TrainState(NamedTuple):
    """All that a checkpoint holds. `average` is the exponential moving average that is exported, None for none."""

    step: Int[Array, ""]
    params: Params
    average: Params | None
    optimizer: PyTree

    @property
    def exported(self) -> Params:
        return self.params if self.average is None else self.average


def run(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> dict[str, float]:
    """Train from `workdir`'s newest checkpoint (or from scratch) to `config.steps`, and export the averaged weights."""
    with common.claim(workdir, config) as folder:
        return _train(config, folder)


def _train(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> dict[str, float]:
    objective = OBJECTIVES[config.objective](config)
    optimizer = objective.optimizer or make_optimizer(config)
    state = make_state(objective, optimizer, config)
    logging.info("%s: %.2f M parameters", config.model, _count(state.params) / 1e6)
    writer = Writer(workdir)
    with store.manager(workdir / "checkpoints") as checkpoints:
        state = store.restore_latest(checkpoints, state) or state
        if int(state.step) >= config.steps and (workdir / "weights.safetensors").is_file():
            print(f"{workdir}: done already, at step {int(state.step)}; nothing was computed")
            return {}
        batches = objective.batches or (lambda step: None)
        update = make_update(objective, optimizer, config).lower(state, batches(int(state.step))).compile()
        results: dict[str, float] = {}
        with Progress("train", config.steps, int(state.step), quiet=config.quiet) as progress:
            for step in range(int(state.step), config.steps):
                state, metrics = update(state, batches(step))
                done = step + 1
                if done % config.log_every == 0 or done == config.steps:
                    writer.write(done, {f"train/{k}": float(v) for k, v in metrics.items()} | {"seconds": time.time()})
                if done % config.eval_every == 0 or done == config.steps:
                    results = {f"eval/{k}": float(v) for k, v in objective.evaluate(state.exported).items()}
                    writer.write(done, results)
                if done % config.save_every == 0 or done == config.steps:
                    store.save(checkpoints, done, state)
                progress.update(done, f"loss {float(metrics['loss']):.3f}")
    path = workdir / "weights.safetensors"
    notes = {"steps": str(config.steps), "recipe": config.recipe, **objective.notes}
    bundled.save(path, state.exported, config.model, notes)
    logging.info("weights: %s", path)
    writer.close()
    return results or {f"eval/{k}": float(v) for k, v in objective.evaluate(state.exported).items()}


def make_optimizer(config: ml_collections.ConfigDict) -> optax.GradientTransformation:
    """AdamW: linear warm-up, a plateau, and a cosine to zero over the last `config.decay` share of the steps."""
    plateau = int(config.steps * (1 - config.decay))
    rate = optax.join_schedules(
        [
            optax.linear_schedule(0.0, config.learning_rate, config.warmup),
            optax.cosine_decay_schedule(config.learning_rate, max(config.steps - plateau, 1)),
        ],
        [plateau],
    )
    return optax.chain(
        optax.clip_by_global_norm(config.clip),
        optax.adamw(rate, b2=config.beta2, weight_decay=config.weight_decay),
    )


def make_state(
    objective: Objective, optimizer: optax.GradientTransformation, config: ml_collections.ConfigDict
) -> TrainState:
    """The state before the first step."""
    params = objective.prepare(jax.jit(objective.init)(jax.random.key(config.seed)))
    average = jax.tree.map(jnp.copy, params) if config.average else None
    return TrainState(jnp.zeros((), jnp.int32), params, average, jax.jit(optimizer.init)(params))


def make_update(objective: Objective, optimizer: optax.GradientTransformation, config: ml_collections.ConfigDict):
    """(state, batch) -> (state, metrics), jitted, the old state's memory reused."""

    def update(state: TrainState, batch: PyTree):
        key = jax.random.fold_in(jax.random.key(config.seed + 1), state.step)
        grads, metrics = _gradients(objective, state.params, key, batch)
        updates, optimizer_state = optimizer.update(grads, state.optimizer, state.params)
        params = optax.apply_updates(state.params, updates)
        average = state.average
        if average is not None:
            # Early averages forget faster, so that the random start is gone by the time anyone looks.
            decay = jnp.minimum(config.average, (1.0 + state.step) / (10.0 + state.step))
            average = jax.tree.map(lambda a, p: a + (1 - decay) * (p - a), average, params)
        metrics = {**metrics, "gradient_norm": optax.global_norm(grads)}
        return TrainState(state.step + 1, params, average, optimizer_state), metrics

    return jax.jit(update, donate_argnums=0)


def _gradients(objective: Objective, params: Params, key: Key[Array, ""], batch: PyTree) -> tuple[Params, dict]:
    """Mean gradients and metrics of a step, micro-batch by micro-batch when there are several."""
    gradient = jax.grad(objective.loss, has_aux=True)
    one = lambda key, batch: gradient(params, key) if batch is None else gradient(params, key, batch)
    count = objective.micro_batches
    if count == 1:
        return one(key, batch)
    keys = jax.random.split(key, count)
    shapes = jax.eval_shape(one, keys[0], jax.tree.map(lambda leaf: leaf[0], batch))
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    add = lambda total, step: (jax.tree.map(lambda a, b: a + b / count, total, one(*step)), None)
    return jax.lax.scan(add, zeros, (keys, batch))[0]


def tracker_objective_from(config: ml_collections.ConfigDict) -> Objective:
    """The bundled tracker: procedural pairs, interpolation and correspondence."""
    net = UNetADM(**variants.ADM[config.model])
    bank = textures.training_bank(config.seed) if config.photographs else textures.procedural_bank(config.seed)
    weights = tracker_objective.Weights(**config.weights)
    draw = lambda key, batch: synthetic.training_batch(
        key, bank, batch=batch, size=config.size, grid=config.size // config.stride, queries=config.queries
    )

    start = bundled.load_for(config.model, config.start_from) if config.start_from else None

    def init(key):
        image = jnp.zeros((1, config.size, config.size, 3))
        return net.init(key, image, jnp.zeros(1))["params"] if start is None else start

    def loss(params, key):
        k_data, k_noise = jax.random.split(key)
        pairs = draw(k_data, config.batch)
        return tracker_objective.loss(net, params, pairs, k_noise, config.capture, config.coarse, weights)

    held_out = draw(jax.random.key(config.seed + 1_000_003), config.eval_clips)
    score = jax.jit(lambda params, pairs: tracker_objective.score(net, params, pairs, config.capture))
    return Objective(init, loss, lambda params: score(params, held_out))


OBJECTIVES = {"tracker": tracker_objective_from, "tracklets": train_tracklets.objective_from}


def _count(params: Params) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(params))
