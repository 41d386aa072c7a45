"""Training, told once: objective, state, restore, compile, steps, evaluation, checkpoint, export.

An objective (`OBJECTIVES[config.objective]`) says what is learnt; the loop knows nothing else of it. Every step's
data and noise are folded from the seed and the step, so a run that was killed and resumed ends in the same weights.

Devices form a mesh (parallel/mesh.py): batches are shared out over all of it, parameters, averages and optimizer states
over its `fsdp` axis. Any number of processes runs this same loop; the first one writes.
"""

import contextlib
import itertools
import pathlib
import time
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax
from absl import logging
from flax.traverse_util import flatten_dict, unflatten_dict

from difftrack_jax.checkpoints import bundled, store
from difftrack_jax.data import synthetic, textures
from difftrack_jax.data.video import prefetch
from difftrack_jax.errors import UserError
from difftrack_jax.models import variants
from difftrack_jax.models.unet_adm import UNetADM
from difftrack_jax.parallel import multihost, sharding
from difftrack_jax.parallel.mesh import make_mesh
from difftrack_jax.runners import common, compilation, train_tracklets, train_words
from difftrack_jax.runners.objective import Objective
from difftrack_jax.runners.profiling import Profile
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


def run(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> dict[str, int | float]:
    """Train from `workdir`'s newest checkpoint (or from scratch) to `config.steps`, and export the averaged weights."""
    mesh = make_mesh(**config.get("mesh", {}), batch=config.batch)
    with contextlib.ExitStack() as stack:
        stack.enter_context(jax.set_mesh(mesh))
        if config.get("dry_run"):
            return dry_run(config)
        # One process holds the folder for all.
        multihost.first_alone(lambda: stack.enter_context(common.claim(workdir, config)) and None)
        return _train(config, workdir)


def dry_run(config: ml_collections.ConfigDict) -> dict[str, int | float]:
    """Compile a step for the devices at hand and say what it will need; nothing is trained or written."""
    objective = OBJECTIVES[config.objective](config)
    optimizer = objective.optimizer or make_optimizer(config)
    state = abstract_state(objective, optimizer, config)
    known = {"parameters": _count(state.params), "state_mb": round(sharding.bytes_a_device(state) / 2**20, 1)}
    logging.info("%s on %s; now compiling", known, dict(_mesh().shape))  # a large network takes minutes
    update, seconds = compilation.ahead_of_time(make_update(objective, optimizer, config), state, _batch(objective, 0))
    return {**known, **compilation.memory(update), "compile_seconds": round(seconds, 2)}


def _train(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> dict[str, float]:
    objective = OBJECTIVES[config.objective](config)
    optimizer = objective.optimizer or make_optimizer(config)
    abstract = abstract_state(objective, optimizer, config)
    logging.info("%s: %.2f M parameters on %s", config.model, _count(abstract.params) / 1e6, dict(_mesh().shape))
    first = multihost.is_first()
    writer, path = Writer(workdir if first else None), workdir / "weights.safetensors"
    with store.manager(workdir / "checkpoints") as checkpoints:
        state = store.restore_latest(checkpoints, abstract) or make_state(objective, optimizer, config)
        if int(state.step) >= config.steps and path.is_file():
            print(f"{workdir}: done already, at step {int(state.step)}; nothing was computed")
            return {}
        start = int(state.step)
        update, seconds = compilation.ahead_of_time(
            make_update(objective, optimizer, config), state, _batch(objective, start)
        )
        logging.info("compiled in %.1f s; %s", seconds, compilation.memory(update))
        results: dict[str, float] = {}
        with (
            Progress("train", config.steps, start, quiet=config.quiet or not first) as progress,
            Profile(workdir, config.get("profile", False)) as profile,
            contextlib.closing(_batches(objective, start, config.steps)) as batches,
        ):
            for done, batch in enumerate(batches, start + 1):
                state, metrics = update(state, batch)
                profile.step(metrics)
                if done % config.log_every == 0 or done == config.steps:
                    writer.write(done, {f"train/{k}": float(v) for k, v in metrics.items()} | {"seconds": time.time()})
                    progress.update(done, f"loss {float(metrics['loss']):.3f}")
                if done % config.eval_every == 0 or done == config.steps:
                    results = _evaluate(objective, state)
                    writer.write(done, results)
                if done % config.save_every == 0 or done == config.steps:
                    store.save(checkpoints, done, state)
    results = results or _evaluate(objective, state)
    weights = sharding.whole(state.exported)
    if first:
        notes = {"steps": str(config.steps), "recipe": config.recipe, **objective.notes}
        bundled.save(path, weights, config.model, notes)
        logging.info("weights: %s", path)
    writer.close()
    return results


def _evaluate(objective: Objective, state: TrainState) -> dict[str, float]:
    return {f"eval/{name}": float(value) for name, value in objective.evaluate(state.exported).items()}


def _batch(objective: Objective, step: int) -> PyTree:
    """The batch of a step, each process having loaded its part; None where the loss draws its own."""
    if objective.batches is None:
        return None
    return _placed(objective, objective.batches(step))


def _batches(objective: Objective, start: int, end: int) -> Iterator[PyTree]:
    """The batches of some steps; those that are read, are read on a thread while the step before is computed."""
    if objective.batches is None:
        yield from itertools.repeat(None, end - start)
        return
    with contextlib.closing(prefetch(map(objective.batches, range(start, end)))) as read:
        yield from (_placed(objective, batch) for batch in read)


def _placed(objective: Objective, batch: PyTree) -> PyTree:
    return sharding.from_processes(batch, _mesh(), axis=0 if objective.micro_batches == 1 else 1)


def _mesh() -> jax.sharding.Mesh:
    """The mesh that is set, or one of all devices."""
    mesh = jax.sharding.get_mesh()
    return make_mesh() if mesh.empty else mesh


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
    """The state before the first step, every array made where it belongs."""
    abstract = abstract_state(objective, optimizer, config)
    places = jax.tree.map(lambda leaf: leaf.sharding, abstract)
    params = _first_params(objective, abstract.params, jax.random.key(config.seed))
    average = jax.tree.map(jnp.copy, params) if config.average else None
    step = sharding.place(jnp.zeros((), jnp.int32), places.step)
    return TrainState(step, params, average, jax.jit(optimizer.init, out_shardings=places.optimizer)(params))


def _first_params(objective: Objective, shapes: Params, key: Key[Array, ""]) -> Params:
    """What the objective starts from, and fresh values where it has none; drawing those is slow to compile."""
    wanted, start = (flatten_dict(tree, sep="/") for tree in (shapes, objective.start(shapes)))
    places = {name: leaf.sharding for name, leaf in wanted.items()}
    fresh = {}
    if start.keys() != wanted.keys():
        fresh = jax.jit(lambda key: flatten_dict(objective.init(key), sep="/"), out_shardings=places)(key)
    given = {name: np.asarray(value, wanted[name].dtype) for name, value in start.items()}
    return unflatten_dict(sharding.place({**fresh, **given}, places), sep="/")


def abstract_state(
    objective: Objective, optimizer: optax.GradientTransformation, config: ml_collections.ConfigDict
) -> TrainState:
    """Shapes and places of the state."""
    params = jax.eval_shape(objective.init, jax.random.key(config.seed))
    step = jax.ShapeDtypeStruct((), jnp.int32)
    state = TrainState(step, params, params if config.average else None, jax.eval_shape(optimizer.init, params))
    placed = lambda leaf, place: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place)
    return jax.tree.map(placed, state, sharding.parameters(state, _mesh()))


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
        metrics = {**metrics, "gradient_norm": optax.tree.norm(grads)}
        return sharding.keep(TrainState(state.step + 1, params, average, optimizer_state)), metrics

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


def _bank(config: ml_collections.ConfigDict) -> textures.Bank:
    """What scenes are cut from."""
    if config.photographs:
        return textures.training_bank(config.seed, config.photographs_in)
    return textures.procedural_bank(config.seed)


def tracker_objective_from(config: ml_collections.ConfigDict) -> Objective:
    """The bundled tracker: procedural pairs, interpolation and correspondence."""
    net = UNetADM(**variants.ADM[config.model])
    bank = _bank(config)
    weights = tracker_objective.Weights(**config.weights)
    if weights.consistency and config.queries != 2:
        raise UserError(f"weights.consistency needs queries=2, not {config.queries}; or set it to 0")
    draw = lambda key, batch: synthetic.training_batch(
        key,
        bank,
        batch=batch,
        size=config.size,
        grid=config.size // config.stride,
        queries=config.queries,
        windows=config.windows,
    )

    def init(key):
        image = jnp.zeros((1, config.size, config.size, 3))
        return net.init(key, image, jnp.zeros(1))["params"]

    def loss(params, key):
        k_data, k_noise = jax.random.split(key)
        pairs = sharding.share(draw(k_data, config.batch))
        return tracker_objective.loss(net, params, pairs, k_noise, config.capture, config.coarse, weights)

    held_out = draw(jax.random.key(config.seed + 1_000_003), config.eval_clips)
    score = jax.jit(lambda params, pairs: tracker_objective.score(net, params, sharding.share(pairs), config.capture))
    start = lambda _: bundled.load_for(config.model, config.start_from) if config.start_from else {}
    return Objective(init, loss, lambda params: score(params, held_out), start=start)


OBJECTIVES = {
    "tracker": tracker_objective_from,
    "tracklets": train_tracklets.objective_from,
    "words": train_words.objective_from,
}


def _count(params: Params) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(params))
