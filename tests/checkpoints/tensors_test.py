"""One mapping over every file weights come in; what is wrong with a file is one line that names it and the tensor."""

import json
import pathlib

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from difftrack_jax.checkpoints.tensors import open_tensors
from difftrack_jax.errors import UserError

GOLDENS = pathlib.Path(__file__).resolve().parents[1] / "goldens"


@pytest.fixture
def arrays(rng):
    return {
        "a.weight": rng.standard_normal((3, 4)).astype(np.float32),
        "b.weight": rng.standard_normal(5).astype(np.float16),
        "c.weight": rng.standard_normal((2, 2)).astype(ml_dtypes.bfloat16),
    }


def sharded(folder, arrays):
    files = {name: f"model-{i % 2 + 1}-of-2.safetensors" for i, name in enumerate(arrays)}
    for file in set(files.values()):
        save_file({name: array for name, array in arrays.items() if files[name] == file}, folder / file)
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"metadata": {}, "weight_map": files}))
    return path, files


def same(tensors, arrays):
    assert set(tensors) == set(arrays)
    assert len(tensors) == len(arrays)
    for name, array in arrays.items():
        assert tensors[name].dtype == array.dtype
        np.testing.assert_array_equal(tensors[name], array)


def test_safetensors_of_every_float_are_read(tmp_path, arrays):
    save_file(arrays, tmp_path / "w.safetensors")
    same(open_tensors(tmp_path / "w.safetensors"), arrays)


def test_shards_are_one(tmp_path, arrays):
    path, _ = sharded(tmp_path, arrays)
    same(open_tensors(path), arrays)


def test_a_training_checkpoints_weights_are_found():
    tensors = open_tensors(GOLDENS / "torch_files" / "zip.pt")
    assert "parameter" in tensors
    assert "step" not in tensors


def test_renamed_takes_what_is_named(tmp_path, arrays):
    save_file(arrays, tmp_path / "w.safetensors")
    same(open_tensors(tmp_path / "w.safetensors").renamed({"x": "a.weight"}), {"x": arrays["a.weight"]})


def fails(path, *words):
    with pytest.raises(UserError) as error:
        open_tensors(path)
    for word in (path.name, *words):
        assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_cut_short_names_the_first_tensor_that_is_not_whole(tmp_path, arrays):
    path = tmp_path / "w.safetensors"
    save_file({"b": arrays["a.weight"], "c": arrays["a.weight"]}, path)
    path.write_bytes(path.read_bytes()[:-3])
    fails(path, "cut short", "tensor c and 0 after it")
    path.write_bytes(path.read_bytes()[:-48])
    fails(path, "cut short", "tensor b and 1 after it")
    path.write_bytes(path.read_bytes()[:20])
    fails(path, "cut short within its header")


@pytest.mark.parametrize("content", [b"", b"no weights here", b"\x02\0\0\0\0\0\0\0[]", b"\x02\0\0\0\0\0\0\0{]"])
def test_garbage_is_told(tmp_path, content):
    (tmp_path / "w.safetensors").write_bytes(content)
    fails(tmp_path / "w.safetensors", "not a safetensors file")


def test_other_files_are_told(tmp_path):
    fails(tmp_path / "none.safetensors", "no such file")
    (tmp_path / "w.onnx").write_bytes(b"")
    fails(tmp_path / "w.onnx", "unknown kind")
    fails(GOLDENS / "torch_files" / "module.pt", "torch.nn.modules.linear.Linear")


def test_an_index_that_disagrees_with_its_shards_names_the_tensor(tmp_path, arrays):
    path, files = sharded(tmp_path, arrays)
    path.write_text(json.dumps({"weight_map": {**files, "d.weight": "model-1-of-2.safetensors"}}))
    fails(path, "d.weight", "model-1-of-2.safetensors")
    path.write_text(json.dumps({"weight_map": {"a.weight": files["a.weight"]}}))
    fails(path, "c.weight")
    path.write_text(json.dumps({"weight_map": {"a.weight": "model-9-of-9.safetensors"}}))
    with pytest.raises(UserError, match=r"model-9-of-9\.safetensors: no such file"):
        open_tensors(path)
    path.write_text("[]")
    fails(path, "not an index")
