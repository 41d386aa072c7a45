"""Both stages train on the shared loop: only what should moves, and a killed run ends as an undisturbed one."""

import importlib.util
import json
import pathlib
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from PIL import Image

import difftrack_jax
from difftrack_jax.checkpoints import bundled
from difftrack_jax.errors import UserError
from difftrack_jax.generation import objectives
from difftrack_jax.runners import train, train_tracklets

ROOT = pathlib.Path(difftrack_jax.__file__).resolve().parent.parent


def recipe(name, **changes):
    spec = importlib.util.spec_from_file_location(name, ROOT / "configs" / "train" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config("tiny")
    config.update({"quiet": True, **changes})
    return config


def weights(folder):
    return flatten_dict(bundled.load(folder / "weights.safetensors")[1], sep="/")


def losses(folder):
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return {line["step"]: line["train/loss"] for line in lines if "train/loss" in line}


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["stage1", "stage2"])
def test_a_stage_moves_its_own_parameters_and_no_other(tmp_path, stage):
    config = recipe(f"tracklets_{stage}", steps=2, gates=0.5)
    train.run(config, tmp_path / "run")
    objective = train_tracklets.objective_from(config)
    start = flatten_dict(jax.jit(objective.init)(jax.random.key(config.seed)), sep="/")
    moves = objectives.moves(stage)
    moved = {name for name, value in weights(tmp_path / "run").items()
             if not np.array_equal(value, np.asarray(start[name], np.float16))}  # fmt: skip
    assert moved
    assert all(moves(name) for name in moved)


@pytest.mark.slow
def test_killed_and_resumed_is_undisturbed(tmp_path):
    """Exactly: the same weights, and the same losses on the way."""
    flags = ["--config.steps=6", "--config.save_every=1", "--config.log_every=1", "--quiet"]
    config = str(ROOT / "configs" / "train" / "tracklets_stage2.py:tiny")
    command = lambda name: [
        sys.executable, "-m", "difftrack_jax.main", f"--config={config}", f"--workdir={tmp_path / name}", *flags
    ]  # fmt: skip
    subprocess.run(command("whole"), check=True, cwd=ROOT, capture_output=True)
    process = subprocess.Popen(command("cut"), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    saved = tmp_path / "cut" / "checkpoints"
    while process.poll() is None and not any((saved / str(step)).is_dir() for step in (2, 3, 4)):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    subprocess.run(command("cut"), check=True, cwd=ROOT, capture_output=True)
    whole, cut = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    for name, value in whole.items():
        np.testing.assert_array_equal(value, cut[name], err_msg=name)
    assert losses(tmp_path / "whole") == losses(tmp_path / "cut")


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


@pytest.mark.slow
def test_it_trains_on_a_benchmark(tmp_path, youtube_vis):
    config = recipe("tracklets_stage2", steps=2, data="youtube_vis_2021", data_dir=str(youtube_vis), accumulate=2)
    train.run(config, tmp_path / "run")
    assert np.isfinite(list(losses(tmp_path / "run").values())).all()


def test_wrong_fields_are_one_line():
    with pytest.raises(UserError, match="latents"):
        train_tracklets.objective_from(recipe("tracklets_stage1", latents="waves"))
    with pytest.raises(UserError, match="name a benchmark"):
        train_tracklets.objective_from(recipe("tracklets_stage1", latents="vae"))
    objective = train_tracklets.objective_from(recipe("tracklets_stage2", init_from="nowhere.safetensors"))
    with pytest.raises(UserError, match="no such file"):
        objective.prepare({})
