"""Through the front door: flags, exit codes, one line for what is wrong, and a training that goes on."""

import importlib.util
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest

import difftrack_jax as dt
from difftrack_jax import main
from difftrack_jax.checkpoints import bundled
from difftrack_jax.data import synthetic
from difftrack_jax.runners import track, train

from . import noise

ROOT = pathlib.Path(__file__).resolve().parents[1]
TRACK = ROOT / "configs" / "track" / "video.py"
TRAIN = ROOT / "configs" / "train" / "mini_tracker.py"


def load_recipe(path):
    spec = importlib.util.spec_from_file_location("recipe", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def difftrack(*flags, cwd=ROOT):
    command = [sys.executable, "-m", "difftrack_jax.main", *flags]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "no --config given"),
        (["--config=nowhere.py"], "nowhere.py"),
        (
            [f"--config={TRACK}", "--config.sped=1"],
            "--config.sped: there is no such field in this config; did you mean seed?",
        ),
        ([f"--config={TRACK}", "--config.tracker.sped=1"], "--config.tracker.sped: there is no such field"),
        ([f"--config={TRACK}", "--config.seed=one"], "--config.seed=one"),
        ([f"--config={TRACK}", "--sped"], "sped"),
        ([f"--config={TRACK}", "clip.mp4"], "'clip.mp4' is not a flag"),
        ([f"--config={TRACK}", "--config.video=nowhere.mp4"], "nowhere.mp4: no such video"),
    ],
)
def test_wrong_flags_are_one_line(tmp_path, flags, message):
    done = difftrack(*flags, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not [path for path in tmp_path.rglob("*") if path.name != "runs"]


def test_ctrl_c_says_how_to_go_on(tmp_path, capsys, monkeypatch):
    def interrupted(config, workdir):
        raise KeyboardInterrupt

    monkeypatch.setattr(track, "run", interrupted)
    assert main.execute(load_recipe(TRACK).get_config(), str(tmp_path)) == 130
    assert f"the same command with --workdir={tmp_path} resumes" in capsys.readouterr().err


def test_importing_the_package_does_not_import_jax():
    code = "import sys, difftrack_jax; assert 'jax' not in sys.modules and 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_public_names_are_there():
    for name in dt.__all__:
        assert getattr(dt, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = dt.nothing


@pytest.mark.slow
def test_a_training_that_is_resumed_equals_one_that_never_stopped(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(synthetic, "training_batch", noise.training_batch)
    config = load_recipe(TRAIN).get_config("tiny")
    config.update(steps=4, save_every=1, log_every=1, quiet=True, profile=True)
    config.weights.consistency = 0.2
    train.run(config, tmp_path / "whole")
    assert list((tmp_path / "whole" / "profile").rglob("*.xplane.pb"))
    config.profile = False

    class Stop(train.Progress):
        def update(self, done, note=""):
            if done == 2:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train, "Progress", Stop)
        assert main.execute(config, str(tmp_path / "stopped")) == 130
    assert main.execute(config, str(tmp_path / "stopped")) == 0
    # Not the files' bytes: safetensors writes the notes in its header in any order.
    whole, stopped = (bundled.load(tmp_path / name / "weights.safetensors") for name in ("whole", "stopped"))
    jax.tree.map(np.testing.assert_array_equal, whole[1], stopped[1])
    assert main.execute(config, str(tmp_path / "stopped")) == 0
    assert "done already" in capsys.readouterr().out


def test_a_walk_between_queries_needs_two_of_them(tmp_path, capsys):
    config = load_recipe(TRAIN).get_config("tiny")
    config.update(queries=3, quiet=True)
    config.weights.consistency = 0.2
    assert main.execute(config, str(tmp_path / "run")) == 1
    assert "weights.consistency needs queries=2, not 3" in capsys.readouterr().err


@pytest.mark.slow
def test_a_dry_run_of_a_training_says_what_a_step_needs_and_leaves_nothing(tmp_path, capsys):
    config = load_recipe(TRAIN).get_config("tiny")
    config.update(dry_run=True, quiet=True)
    assert main.execute(config, str(tmp_path / "dry")) == 0
    said = dict(line.split(": ") for line in capsys.readouterr().out.splitlines())
    assert float(said["parameters"]) * 4 / 2**20 < float(said["held_mb"]) < float(said["total_mb"])
    assert float(said["compile_seconds"]) > 0
    assert not (tmp_path / "dry").exists()
