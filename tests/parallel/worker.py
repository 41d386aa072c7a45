"""What the tests of this folder run in processes with devices of their own: `worker.py FOLDER DISTRIBUTED TASK...`.

Each task is a function that returns named arrays; they are saved to FOLDER/TASK-PROCESS.npz. XLA_FLAGS says how many
devices this process has.
"""

import importlib.util
import pathlib
import shutil
import sys
import time

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax
from safetensors.numpy import load_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
WIDTH = 64  # a matrix of WIDTH x WIDTH is large enough to be shared out


def load(path, name="recipe"):
    spec = importlib.util.spec_from_file_location(name, ROOT / path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def toy(config):
    """A regression that compiles in a second: data drawn in the step, or read by each process, in micro-batches."""
    from difftrack_jax.parallel import sharding
    from difftrack_jax.runners.objective import Objective

    def init(key):
        first, second = jax.random.split(key)
        return {"w": jax.random.normal(first, (WIDTH, WIDTH)) / 8, "b": jax.random.normal(second, (WIDTH,))}

    def loss(params, key, batch=None):
        x = sharding.share(jax.random.normal(key, (config.batch, WIDTH))) if batch is None else batch
        value = jnp.mean((jnp.tanh(x @ params["w"] + params["b"]) - jnp.roll(x, 1, axis=1)) ** 2)
        return value, {"loss": value}

    def read(step):
        whole = np.random.default_rng(step).normal(size=(2, config.batch, WIDTH)).astype(np.float32)
        part = config.batch // jax.process_count()
        return whole[:, part * jax.process_index() :][:, :part]

    evaluate = lambda params: {name: jnp.sum(leaf * jnp.cos(leaf)) for name, leaf in params.items()}
    own = dict(batches=read, micro_batches=2) if config.read else {}
    return Objective(init, loss, jax.jit(evaluate), **own)


def toy_config(mesh, steps, read=False):
    return ml_collections.ConfigDict(
        dict(task="train", objective="toy", recipe="toy", model="toy", seed=0, steps=steps, batch=16, read=read)
        | dict(learning_rate=1e-2, warmup=2, decay=0.3, beta2=0.98, weight_decay=0.02, clip=1.0, average=0.9)
        | dict(mesh=dict(zip(("data", "fsdp"), mesh)), log_every=1, eval_every=100, save_every=2)
        | dict(quiet=True, overwrite=False)
    )


def trained(folder, config):
    """The last evaluation and the exported weights of a training."""
    from difftrack_jax.runners import train

    results = train.run(config, folder)
    found = {name: np.asarray(value) for name, value in results.items()}
    if jax.process_index() == 0:
        found |= load_file(folder / "weights.safetensors")
    return found


def loop(folder):
    """The whole training loop on several meshes, and a checkpoint that moves from mesh to mesh."""
    from difftrack_jax.parallel import multihost
    from difftrack_jax.runners import train

    train.OBJECTIVES["toy"] = toy
    meshes = [(0, 1), (2, 4)] if jax.process_count() > 1 else [(1, 1), (0, 1), (2, 4), (1, 8)]
    found = {}
    for mesh in meshes:
        for read in (False, True):
            done = trained(folder / f"loop-{mesh}-{read}", toy_config(mesh, 4, read))
            found |= {f"{mesh}/{read}/{name}": value for name, value in done.items()}
    for start, end in [((0, 1), (2, 4))] if jax.process_count() > 1 else [((0, 1), (1, 1)), ((1, 1), (2, 4))]:
        moved = folder / f"loop-{start}-False"
        multihost.first_alone(lambda moved=moved: _forget(moved))
        done = trained(moved, toy_config(end, 4))
        found |= {f"{start} moved to {end}/{name}": value for name, value in done.items()}
    return found


def moved(folder):
    """The end of a training whose checkpoint other devices have saved, in FOLDER/saved."""
    from difftrack_jax.parallel import multihost
    from difftrack_jax.runners import train

    train.OBJECTIVES["toy"] = toy
    multihost.first_alone(lambda: _forget(folder / "saved"))
    return {f"moved/{name}": value for name, value in trained(folder / "saved", toy_config((2, 4), 4)).items()}


def _forget(folder):
    """As if the run had been killed after its first checkpoint."""
    shutil.rmtree(folder / "checkpoints" / "4")
    (folder / "weights.safetensors").unlink()


def tracker(_):
    """Its training's step, on pairs of noise."""
    from difftrack_jax.data import synthetic

    synthetic.training_batch = load("tests/noise.py", "noise").training_batch
    return _stepped("configs/train/mini_tracker.py", dict(batch=8, size=32, queries=1))


def generator(_):
    """Its training's step, with one level of the network."""
    small = dict(widths=(32,), heads=(2,), attention=(True,))
    return _stepped("configs/train/mini_generator.py", dict(batch=8, frames=2, size=8, unet=small))


def _stepped(recipe, changes):
    """One step of a recipe's training on one device and on a mesh: metrics, and the parameters after it."""
    from difftrack_jax.parallel import sharding
    from difftrack_jax.parallel.mesh import make_mesh
    from difftrack_jax.runners import train

    found = {}
    for mesh in [(2, 4)] if jax.process_count() > 1 else [(1, 1), (2, 4)]:
        config = load(recipe).get_config("tiny")
        config.update(changes | dict(average=0.0))
        with jax.set_mesh(make_mesh(*mesh)):
            objective = train.OBJECTIVES[config.objective](config)
            # Plain steps show the gradients as they are; AdamW, which takes as long to compile as both networks, is
            # part of `loop`.
            optimizer = optax.chain(optax.normalize_by_update_norm(), optax.sgd(1.0))
            state = _random_state(train.abstract_state(objective, optimizer, config))
            state, metrics = train.make_update(objective, optimizer, config)(state, None)
            held = sum(leaf.addressable_shards[0].data.size for leaf in jax.tree.leaves(state.params))
            flat = np.concatenate([leaf.ravel() for leaf in jax.tree.leaves(sharding.whole(state.params))])
        found |= {f"{mesh}/{name}": np.asarray(value) for name, value in metrics.items()}
        found |= {f"{mesh}/params": flat, f"{mesh}/held": np.asarray(held / flat.size)}
    return found


def _random_state(abstract):
    """Parameters that are nowhere zero, without compiling an initialisation."""
    from difftrack_jax.parallel import sharding

    rng = np.random.default_rng(0)
    draw = lambda leaf: (0.05 * rng.standard_normal(leaf.shape)).astype(leaf.dtype)
    params = jax.tree.map(draw, abstract.params)
    zeros = lambda tree: jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), tree)
    average = None if abstract.average is None else jax.tree.map(np.copy, params)
    state = abstract._replace(step=np.int32(0), params=params, average=average, optimizer=zeros(abstract.optimizer))
    return sharding.place(state, jax.tree.map(lambda leaf: leaf.sharding, abstract))


def fleet(_):
    """Trackers that tune themselves, one a device, and each alone."""
    from difftrack_jax.parallel import multihost
    from difftrack_jax.tracking import fleet as fleets
    from difftrack_jax.tracking.indicators import Box
    from difftrack_jax.tracking.session import Tracker

    tracker_test = load("tests/tracking/oracle.py", "oracle")
    own = Tracker(_tiny_backbone(), _tuned_settings(), seed=1)
    numbers = list(multihost.share_of(range(9 if jax.process_count() == 1 else 8)))
    videos, targets = [], []
    for number in numbers:
        first = tracker_test.colourful(64, 64, seed=number)
        length = 3 if number % 4 else 2  # some end before others
        videos.append([tracker_test.shifted(first, (2 + number) * t, t) for t in range(length)])
        targets.append([Box(10 + number, 12, 34 + number, 40)])
    found = {}
    for t, predictions in enumerate(fleets.follow(own, videos, targets)):
        for number, one in zip(numbers, predictions):
            if one is not None:
                found[f"fleet/{number}/{t}"] = np.concatenate([one.box[0], one.score])
    for number, video, some in zip(numbers, videos, targets) if jax.process_count() == 1 else ():
        session = own.init(video[0], some)
        for t, frame in enumerate(video[1:], 1):
            session, one = own.step(session, frame)
            found[f"alone/{number}/{t}"] = np.concatenate([one.box[0], one.score])
        # The right factors of the low-rank updates begin at zero.
        found[f"tuned/{number}"] = np.asarray([abs(one["b"]).max() for one in session.pure.tuning.delta.values()])
    return found


def _tuned_settings():
    from difftrack_jax.tracking.settings import Settings

    # No top_k, whose choice may turn on the last digit; Adam's steps do so too, wherever a gradient is almost zero.
    return Settings(size=32, top_k=None, tune_first=1, tune_steps=1, trainable="low_rank", tune_rate=1e-3)


def _tiny_backbone():
    from difftrack_jax.backbones import pixel_backbone
    from difftrack_jax.models import variants
    from difftrack_jax.models.unet_adm import UNetADM

    net = UNetADM(**variants.ADM["tiny"])
    shapes = jax.eval_shape(lambda k: net.init(k, jnp.zeros((1, 64, 64, 3)), jnp.zeros(1))["params"], jax.random.key(0))
    rng = np.random.default_rng(0)
    return pixel_backbone("tiny", jax.tree.map(lambda s: jnp.asarray(0.1 * rng.normal(size=s.shape), s.dtype), shapes))


def pmap(_):
    """A model that tunes itself on what it sees: by our fleet, by pmap, and one after the other."""
    from difftrack_jax.parallel import fleet as fleets
    from difftrack_jax.parallel.mesh import make_mesh

    def step(shared, own, seen):
        loss = lambda own: jnp.mean((jnp.tanh(seen @ (shared + own)) - seen) ** 2)
        return jax.tree.map(lambda w, g: w - 0.1 * g, own, jax.grad(loss)(own))

    draw = np.random.default_rng(0).normal
    shared, own, seen = draw(size=(8, 8)), draw(size=(8, 8, 8)), draw(size=(8, 4, 8))
    shared, own, seen = (jnp.asarray(value, jnp.float32) for value in (shared, own, seen))
    return dict(
        each=fleets.each(step, make_mesh(), donate=False)(shared, own, seen),
        pmap=jax.pmap(step, in_axes=(None, 0, 0))(shared, own, seen),
        alone=jnp.stack([jax.jit(step)(shared, *one) for one in zip(own, seen)]),
    )


def clips(_):
    """Videos made at once, and one after the other."""
    from difftrack_jax.data import tracklet_sets
    from difftrack_jax.diffusion import schedules
    from difftrack_jax.generation import fleet as fleets
    from difftrack_jax.generation.conditioning import Conditions
    from difftrack_jax.generation.generator import Generator
    from difftrack_jax.generation.sampling import Settings
    from difftrack_jax.models.tracklets import Tracklets
    from difftrack_jax.parallel import multihost

    def predict(params, x, t, conditions, gate):
        told = jnp.einsum("bfnk,bnd->bfd", conditions.tracklets.boxes, conditions.tracklets.classes)
        return jnp.tanh(params * x + told[:, :, None, None, :1] * gate + t[:, None, None, None, None] / 1000)

    def encode(tracklets, caption):
        boxes, valid = tracklet_sets.arrays(tracklets, 4)
        rows = Tracklets(jnp.asarray(boxes)[None], jnp.asarray(valid)[None], jnp.ones((1, 4, 2)))
        return Conditions(jnp.ones((1, 1, 2)), jnp.zeros((1, 1, 2)), rows)

    settings = Settings(steps=3, guidance=2.0, clip=1.0, window=4, overlap=2)
    generator = Generator(
        params=jnp.float32(0.7),
        predict=predict,
        encode=encode,
        decode=lambda latents: latents,
        shape=(8, 8, 3),
        slots=4,
        schedule=schedules.named("cosine"),
        kind="data",
        settings=settings,
    )
    tracklets = tracklet_sets.read("synthetic:3:6")
    start = lambda number: generator.start(tracklets, None, jax.random.key(number))
    numbers = list(multihost.share_of(range(9 if jax.process_count() == 1 else 8)))
    together = fleets.gather([start(number) for number in numbers])
    alone = [start(number) for number in numbers]
    for _ in range(together.steps):
        together = together.advance()
        alone = [one.advance() for one in alone] if jax.process_count() == 1 else alone
    found = {f"fleet/{number}": video for number, video in zip(numbers, together.frames())}
    if jax.process_count() == 1:
        found |= {f"alone/{number}": one.frames() for number, one in zip(numbers, alone)}
        shared = fleets.over_frames(start(0))
        assert len(shared.state.x.sharding.device_set) == 2  # six frames on eight devices
        for _ in range(shared.steps):
            shared = shared.advance()
        found["by frames"] = shared.frames()
    return found


def main(folder, distributed, *tasks):
    from difftrack_jax.parallel import multihost
    from difftrack_jax.runners import compilation

    compilation.use_cache()
    multihost.initialize(distributed, folder)
    for task in tasks:
        begun = time.process_time()
        found = globals()[task](pathlib.Path(folder))
        np.savez(pathlib.Path(folder) / f"{task}-{jax.process_index()}.npz", **found)
        print(f"{task}: {time.process_time() - begun:.1f} s of CPU", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
