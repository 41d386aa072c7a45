"""A run writes what interfaces promise, the same for the same seed, and wrong input is one line and touches nothing."""

import importlib.util
import json
import pathlib

import av
import jax
import numpy as np
import pytest

import difftrack_jax
from difftrack_jax.checkpoints import bundled
from difftrack_jax.errors import UserError
from difftrack_jax.generation.network import Network
from difftrack_jax.runners import generate

ROOT = pathlib.Path(difftrack_jax.__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A tiny generator that knows nothing: random weights of the right shapes."""
    network, path = Network("tiny_video"), tmp_path_factory.mktemp("model") / "weights.safetensors"
    shapes = jax.eval_shape(lambda key: network.init(key, 4, 4), jax.random.key(0))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: rng.standard_normal(leaf.shape).astype(np.float32) * 0.1, shapes)
    notes = {"unet": "{}", "rule": json.dumps({"kind": "data"}), "schedule": "cosine", "size": "16"}
    bundled.save(path, params, "tiny_video", notes)
    return path


def recipe(**changes):
    spec = importlib.util.spec_from_file_location("recipe", ROOT / "configs" / "generate" / "tracklets.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config("tiny")
    config.update({"quiet": True, "steps": 2, "guidance": 1.0, **changes})
    return config


@pytest.fixture
def tracklets(tmp_path):
    boxes = [[[4 + t, 5, 30 + t, 40], None if t == 1 else [0, 0, 20, 20]] for t in range(6)]
    rows = [{"id": n, "category": name, "boxes": [b[n] for b in boxes]} for n, name in enumerate(("red disc", "ring"))]
    path = tmp_path / "tracklets.json"
    head = {"width": 64, "height": 48, "fps": 6, "frames": 6, "caption": "on a blue background"}
    path.write_text(json.dumps({**head, "tracklets": rows}))
    return path


def decoded(path):
    with av.open(str(path)) as video:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)])


@pytest.mark.slow
def test_a_run_writes_its_files_resumes_and_repeats(tmp_path, tracklets, model):
    """Six frames from a network that knows four: two windows."""
    config = recipe(tracklets=str(tracklets), model=str(model), num_videos=2)
    folder = tmp_path / "run"
    generate.run(config, folder)
    first = {number: decoded(folder / f"video_{number:03d}.mp4") for number in range(2)}
    assert first[0].shape == (6, 48, 64, 3)
    assert (first[0] != first[1]).any()
    assert decoded(folder / "video_001_boxes.mp4").shape == (6, 48, 64, 3)
    assert len(list((folder / "frames" / "video_000").glob("*.png"))) == 6
    assert json.loads((folder / "tracklets.json").read_text()) == json.loads(tracklets.read_text())
    assert json.loads((folder / "summary.json").read_text())["frames"] == 6
    assert generate.run(config, folder) == {}
    # What is missing is made again, and is the same.
    for name in ("video_001.mp4", "video_001_boxes.mp4", "summary.json"):
        (folder / name).unlink()
    generate.run(config, folder)
    np.testing.assert_array_equal(decoded(folder / "video_001.mp4"), first[1])


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"num_videos": 0}, "num_videos is 0"),
        ({"steps": -1}, "steps is -1"),
        ({"rule": "best"}, "rule 'best'"),
        ({"solver": "euler"}, "solver 'euler'"),
        ({"grounding_beta": 1.5}, "grounding_beta is 1.5"),
        ({"overlap": 4}, "overlap is 4"),
        ({"model": "nobody"}, "no such generator"),
        ({"category": "red elephant"}, "category 'red elephant' is unknown"),
        ({"tracklets": "nowhere.json"}, "no such file"),
        ({"tracklets": "synthetic:x"}, "needs a seed"),
    ],
)
def test_wrong_input_is_one_line_and_touches_nothing(tmp_path, tracklets, model, changes, line):
    config = recipe(**{"tracklets": str(tracklets), "model": str(model), **changes})
    with pytest.raises(UserError, match=line) as error:
        generate.run(config, tmp_path / "run")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()
