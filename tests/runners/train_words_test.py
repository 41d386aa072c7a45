"""The word encoder's recipe, tiny: it trains on the shared loop, goes on where it stopped, and is read back."""

import importlib.util
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

import difftrack_jax
from difftrack_jax.backbones.phrases import read_phrases
from difftrack_jax.checkpoints import bundled
from difftrack_jax.data import phrases
from difftrack_jax.errors import UserError
from difftrack_jax.runners import train

ROOT = pathlib.Path(difftrack_jax.__file__).resolve().parent.parent


def recipe(size="tiny", **changes):
    spec = importlib.util.spec_from_file_location("mini_words", ROOT / "configs" / "train" / "mini_words.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config(size)
    config.update({"quiet": True, **changes})
    return config


@pytest.mark.slow
def test_a_run_that_stopped_ends_in_the_same_weights_and_can_be_read(tmp_path, monkeypatch):
    config = recipe(steps=6, save_every=2, log_every=1, eval_every=6)
    train.run(config, tmp_path / "whole")
    lines = [json.loads(line) for line in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]
    losses = [line["train/loss"] for line in lines if "train/loss" in line]
    assert len(losses) == 6
    assert np.isfinite(losses).all()
    assert {"eval/found", "eval/accepted", "eval/refused"} <= lines[-1].keys()

    save = train.store.save

    def stop(checkpoints, step, state):
        save(checkpoints, step, state)
        if step == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train.store, "save", stop)
        with pytest.raises(KeyboardInterrupt):
            train.run(config, tmp_path / "cut")
    assert not (tmp_path / "cut" / "weights.safetensors").exists()
    train.run(config, tmp_path / "cut")
    file = lambda name: tmp_path / name / "weights.safetensors"
    parts = [flatten_dict(bundled.load(file(name))[1], sep="/") for name in ("whole", "cut")]
    for name, value in parts[0].items():
        np.testing.assert_array_equal(parts[1][name], value, err_msg=name)

    reader = read_phrases(str(file("whole")))
    numbers, unknown = reader.read("the violet star")
    assert [phrases.WORDS[n] for n in numbers if n] == ["violet", "star"]
    assert not unknown
    boxes, heat, fits = jax.jit(reader.locate)(reader.params, jnp.zeros((50, 90, 3)), jnp.asarray(numbers)[None])
    assert boxes.shape == (64, 4)
    assert heat.shape == fits.shape == (1, 64)
    assert boxes.min() >= 0
    assert (boxes.max(0) <= jnp.array([90, 50, 90, 50])).all()


def test_weights_of_something_else_are_one_line():
    with pytest.raises(UserError, match="a 'mini'; those of configs"):
        read_phrases("mini")
