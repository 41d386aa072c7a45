"""Both stages train on the shared loop: only what should moves, and a killed run ends as an undisturbed one."""

import importlib.util
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.traverse_util import flatten_dict
from ml_collections import ConfigDict
from PIL import Image

import difftrack_jax
from difftrack_jax.checkpoints import bundled
from difftrack_jax.errors import UserError
from difftrack_jax.generation import objectives
from difftrack_jax.runners import train, train_tracklets
from difftrack_jax.runners.objective import Objective

ROOT = pathlib.Path(difftrack_jax.__file__).resolve().parent.parent


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def recipe(name, **changes):
    config = load(ROOT / "configs" / "train" / f"{name}.py").get_config("tiny")
    config.update({"quiet": True, **changes})
    return config


SMALL = "config.unet.update(widths=(32,), heads=(2,), attention=(True,))"  # one level compiles in half the time


def write_recipe(path, stage, changes):
    """A recipe of one's own, as a file that the command line takes, and its config."""
    body = ["config = tracklet_recipes.training(" + repr(stage) + ", 'tiny')", SMALL, f"config.update({changes!r})"]
    lines = ["from difftrack_jax.runners import tracklet_recipes", "def get_config():", *(f"    {b}" for b in body)]
    path.write_text("\n".join([*lines, "    return config", ""]))
    return load(path).get_config()


def weights(folder):
    return flatten_dict(bundled.load(folder / "weights.safetensors")[1], sep="/")


def losses(folder):
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return {line["step"]: line["train/loss"] for line in lines if "train/loss" in line}


@pytest.fixture
def youtube_vis(tmp_path, rng):
    """A folder in YouTube-VIS's layout: two videos of five frames, one object that leaves and comes back."""
    root = tmp_path / "ytvis"
    videos, annotations = [], []
    for number in (1, 2):
        names = [f"v{number}/{t:05d}.jpg" for t in range(5)]
        for name in names:
            path = root / "train" / "JPEGImages" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 255, (24, 32, 3), dtype=np.uint8)).save(path)
        videos.append({"id": number, "file_names": names, "width": 32, "height": 24, "length": 5})
        boxes = [None if t == 2 else [4 + t, 5, 10, 8] for t in range(5)]
        masks = [None if box is None else {"size": [24, 32], "counts": [5 + 24 * 4, 8, 24 * 27 - 13]} for box in boxes]
        annotations.append({
            "id": number, "video_id": number, "category_id": 1, "iscrowd": 0, "width": 32, "height": 24, "length": 5,
            "bboxes": boxes, "segmentations": masks, "areas": [None if b is None else 80 for b in boxes],
        })  # fmt: skip
    data = {"videos": videos, "annotations": annotations, "categories": [{"id": 1, "name": "airplane"}], "info": {}}
    (root / "train").mkdir(exist_ok=True)
    (root / "train" / "instances.json").write_text(json.dumps(data))
    return root


def prepared(tmp_path, rng, stage, **changes):
    """A tiny recipe of a stage that begins with random weights, and those weights."""
    changes |= {"init_from": str(tmp_path / "start.safetensors"), "save_every": 2, "log_every": 1, "quiet": True}
    config = write_recipe(tmp_path / "recipe.py", stage, changes)
    return config, random_weights(tmp_path / "start.safetensors", config, rng)


def assert_only_its_own_moved(stage, found, start):
    moved = {path for path, value in found.items() if not np.array_equal(value, start[path])}
    assert moved
    assert all(objectives.moves(stage)(path) for path in moved)


@pytest.mark.slow
def test_the_first_stage_moves_only_its_own_parameters(tmp_path, rng):
    """On procedural clips, two batches added up a step."""
    config, start = prepared(tmp_path, rng, "stage1", data="procedural", accumulate=2)
    train.run(config, tmp_path / "whole")
    assert sorted(losses(tmp_path / "whole")) == [1, 2, 3, 4, 5, 6]
    assert_only_its_own_moved("stage1", weights(tmp_path / "whole"), start)


@pytest.mark.slow
def test_killed_and_resumed_is_undisturbed_and_only_its_own_parameters_move(tmp_path, rng, youtube_vis):
    """Exactly: the same weights, and the same losses on the way."""
    config, start = prepared(tmp_path, rng, "stage2", data="youtube_vis_2021", data_dir=str(youtube_vis))
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train.run(config, whole)

    command = [sys.executable, "-m", "difftrack_jax.main", f"--config={tmp_path / 'recipe.py'}", f"--workdir={cut}"]
    environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": jax.config.jax_compilation_cache_dir}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    while process.poll() is None and not any((cut / "checkpoints" / str(step)).is_dir() for step in range(2, 6)):
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (cut / "weights.safetensors").exists()
    train.run(config, cut)

    found = weights(whole)
    for path, value in weights(cut).items():
        np.testing.assert_array_equal(value, found[path], err_msg=path)
    assert losses(cut) == losses(whole)
    assert sorted(losses(whole)) == [1, 2, 3, 4, 5, 6]
    assert_only_its_own_moved("stage2", found, start)


def random_weights(path, config, rng):
    """A file to start from in which nothing is zero, and its flat contents."""
    shapes = jax.eval_shape(train_tracklets.objective_from(config).init, jax.random.key(0))
    drawn = jax.tree.map(lambda leaf: (0.1 * rng.standard_normal(leaf.shape)).astype(np.float16), shapes)
    bundled.save(path, drawn, config.model)
    return flatten_dict(drawn, sep="/")


def test_a_stage_begins_where_the_earlier_one_ended(tmp_path, rng):
    """It starts with all that the earlier one left, and with nothing else."""
    earlier = random_weights(tmp_path / "weights.safetensors", recipe("tracklets_stage1"), rng)
    later = train_tracklets.objective_from(recipe("tracklets_stage2", init_from=str(tmp_path)))
    shapes = jax.eval_shape(later.init, jax.random.key(0))
    start = flatten_dict(later.start(shapes), sep="/")
    assert start.keys() == earlier.keys() < flatten_dict(shapes, sep="/").keys()
    for name, value in start.items():
        np.testing.assert_array_equal(value, earlier[name], err_msg=name)


def test_what_a_start_lacks_is_drawn():
    one = Objective(lambda key: {"a": jnp.ones(3), "b": {"c": jax.random.normal(key, (2,))}}, None, None)
    state = lambda objective: train.make_state(objective, optax.sgd(0.1), ConfigDict({"seed": 3, "average": 0.5}))
    fresh = state(one)
    np.testing.assert_array_equal(fresh.params["a"], 1)
    some = state(one._replace(start=lambda shapes: {"a": np.full(shapes["a"].shape, 7.0, np.float16)}))
    assert some.params["a"].dtype == jnp.float32
    np.testing.assert_array_equal(some.average["a"], 7)
    np.testing.assert_array_equal(some.params["b"]["c"], fresh.params["b"]["c"])


def test_a_start_that_lacks_nothing_needs_no_initialisation():
    def init(key):
        drawn.append(key)
        return {"a": jnp.ones(3)}

    drawn = []
    objective = Objective(init, None, None, start=lambda shapes: {"a": np.zeros(3)})
    state = train.make_state(objective, optax.sgd(0.1), ConfigDict({"seed": 3, "average": 0.0}))
    np.testing.assert_array_equal(state.params["a"], 0)
    assert len(drawn) == 1  # for its shapes


def test_the_batch_of_a_dry_run_is_of_the_shapes_of_a_real_one_and_needs_no_data():
    config = recipe("tracklets_stage2", dry_run=True, latents="vae", data="youtube_vis_2021", size=32, height=16)
    objective = train_tracklets.objective_from(config)
    latents, conditions = objective.batches(0)
    assert latents.shape == (2, 4, 2, 4, 48)
    params, key = jax.eval_shape(objective.init, jax.random.key(0)), jax.random.key(1)
    loss, _ = jax.eval_shape(objective.loss, params, key, (latents, conditions))
    assert loss.shape == ()


def test_wrong_fields_are_one_line():
    with pytest.raises(UserError, match="latents"):
        train_tracklets.objective_from(recipe("tracklets_stage1", latents="waves"))
    with pytest.raises(UserError, match="name a benchmark"):
        train_tracklets.objective_from(recipe("tracklets_stage1", latents="vae"))
    objective = train_tracklets.objective_from(recipe("tracklets_stage2", init_from="nowhere.safetensors"))
    with pytest.raises(UserError, match="no such file"):
        objective.start({})
