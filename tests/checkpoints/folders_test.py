"""Of a published folder the right files are taken, and what is absent is said."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from difftrack_jax.checkpoints import folders
from difftrack_jax.errors import UserError

ORDER = (
    "diffusion_pytorch_model.safetensors",
    "model.safetensors",
    "diffusion_pytorch_model.safetensors.index.json",
    "model.fp16.safetensors",
    "pytorch_model.bin",
    "diffusion_pytorch_model.fp16.bin",
)


@pytest.fixture
def part(tmp_path):
    inside = tmp_path / "unet"
    inside.mkdir()
    (inside / "config.json").write_text(json.dumps({"in_channels": 4}))
    save_file({"a": np.ones(2, np.float32)}, inside / "diffusion_pytorch_model.safetensors")
    return inside


def test_a_part_is_its_config_and_its_weights(part):
    config, tensors = folders.read_part(part.parent, "unet")
    assert config == {"in_channels": 4}
    assert tensors["a"].tolist() == [1, 1]
    assert tensors.source.endswith("unet/diffusion_pytorch_model.safetensors")


def test_files_are_taken_in_order_of_worth(tmp_path):
    for name in reversed(ORDER):
        (tmp_path / name).touch()
        (tmp_path / "diffusion_pytorch_model.onnx").touch()
        assert folders.weight_file(tmp_path).name == name


def test_what_is_absent_is_named(part):
    for path in part.iterdir():
        path.unlink()
    with pytest.raises(UserError, match=r"unet/config\.json: cannot be read"):
        folders.read_part(part.parent, "unet")
    (part / "config.json").write_text("{}")
    with pytest.raises(UserError, match="unet: no weights here"):
        folders.read_part(part.parent, "unet")
    with pytest.raises(UserError, match="has no part 'vae' of a diffusers folder; it holds unet"):
        folders.read_part(part.parent, "vae")


@pytest.mark.parametrize("content", ["{", "[]", "\xff"])
def test_a_config_that_is_none_is_named(part, content):
    (part / "config.json").write_text(content, encoding="latin1")
    with pytest.raises(UserError, match=r"config\.json: is not"):
        folders.read_part(part.parent, "unet")


def test_shards_are_fetched_with_their_index_and_nothing_twice():
    shards = {f"unet/diffusion_pytorch_model-0000{i}-of-00002.safetensors" for i in (1, 2)}
    needed = {"unet/config.json", "unet/diffusion_pytorch_model.safetensors.index.json", *shards, "model_index.json"}
    extra = {"unet/diffusion_pytorch_model.bin", "unet/diffusion_pytorch_model.fp16.safetensors", "vae/config.json"}
    assert set(folders.needed_files(needed | extra, ("unet",))) == needed
    half = {
        "unet/diffusion_pytorch_model.safetensors.index.fp16.json",
        "unet/diffusion_pytorch_model.fp16-00001-of-00002.safetensors",
        "unet/diffusion_pytorch_model-00001-of-00002.fp16.safetensors",
    }
    assert set(folders.needed_files(half | shards, ("unet",))) == half


def test_a_repository_that_is_one_model_has_its_weights_at_the_top():
    needed = ["config.json", "model.safetensors", "preprocessor_config.json"]
    found = folders.needed_files([*needed, "pytorch_model.bin", "onnx/model.onnx", "README.md"], (".",))
    assert sorted(found) == needed
