"""One model, in whatever form it is published, is one set of weights; another model is told by file and field."""

import json
import shutil

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from difftrack_jax.backbones import published
from difftrack_jax.checkpoints import tables
from difftrack_jax.errors import UserError
from difftrack_jax.models import variants

from ..goldens import published_folder

SIZES = {"unet": (variants.UNET2D, "sd1"), "vae": (variants.VAE, "vae"), "text_encoder": (variants.CLIP_TEXT, "clip_l")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("published") / "tiny"
    published_folder.write_stable_diffusion(path)
    return path


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


@pytest.fixture
def known_sizes(monkeypatch, folder):
    """The small networks are among those that a single file is known by."""
    parts = {"unet": tables.unet2d, "vae": tables.vae, "text_encoder": tables.clip_text}
    for part, table in parts.items():
        fields = table.fields(json.loads((folder / part / "config.json").read_text()))
        monkeypatch.setitem(SIZES[part][0], "small", fields)
    monkeypatch.setattr(tables.single_file, "variant", lambda state: dict.fromkeys(parts, "small"))


def same(one, other):
    assert one.networks.keys() == other.networks.keys()
    for name in one.networks:
        jax.tree.map(np.testing.assert_array_equal, one.networks[name].params(), other.networks[name].params())


def test_a_single_file_holds_the_folders_weights(folder, tmp_path, known_sizes):
    save_file(published_folder.single_file(folder), tmp_path / "v1-5.safetensors")
    model = published.open_model(tmp_path / "v1-5.safetensors")
    assert model.layout == "stable_diffusion"
    assert model.tokenizer is None
    same(model, published.open_model(folder))


def test_a_damaged_single_file_names_itself_and_the_tensor(folder, tmp_path, known_sizes):
    state = published_folder.single_file(folder)
    save_file(state | {"control_model.a": np.ones(1)}, tmp_path / "a.safetensors")
    with pytest.raises(UserError, match=r"a\.safetensors: control_model\.a belongs to no part"):
        published.open_model(tmp_path / "a.safetensors")
    del state["model.diffusion_model.out.2.bias"]
    save_file(state, tmp_path / "b.safetensors")
    with pytest.raises(UserError, match=r"b\.safetensors: nothing fills the parameter conv_out/bias"):
        published.open_model(tmp_path / "b.safetensors").networks["unet"].params()


def test_torch_weights_do_where_there_are_no_others(folder, copy):
    torch = pytest.importorskip("torch", reason="needs torch to write its files")
    for path in copy.rglob("*.safetensors"):
        state = {name: torch.from_numpy(value) for name, value in load_file(path).items()}
        stem = "pytorch_model" if path.parent.name == "text_encoder" else "diffusion_pytorch_model"
        torch.save(state, path.with_name(f"{stem}.bin"))
        path.unlink()
    same(published.open_model(copy), published.open_model(folder))


def test_shards_are_one_network(folder, copy):
    path = copy / "unet" / "diffusion_pytorch_model.safetensors"
    state = load_file(path)
    files = {name: f"diffusion_pytorch_model-0000{1 + i % 2}-of-00002.safetensors" for i, name in enumerate(state)}
    for file in set(files.values()):
        save_file({name: value for name, value in state.items() if files[name] == file}, path.with_name(file))
    path.with_name(path.name + ".index.json").write_text(json.dumps({"weight_map": files}))
    path.unlink()
    same(published.open_model(copy), published.open_model(folder))


def edit(folder, part, **fields):
    path = folder / part / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def fails(call, *words):
    with pytest.raises(UserError) as error:
        call()
    for word in words:
        assert word in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("part", "fields", "word"),
    [
        ("unet", {"addition_embed_type": "text_time"}, "addition_embed_type"),  # Stable Diffusion XL
        ("unet", {"class_embed_type": "projection"}, "class_embed_type"),
        ("vae", {"use_quant_conv": False}, "use_quant_conv"),  # Stable Diffusion 3
        ("text_encoder", {"hidden_act": "relu"}, "hidden_act"),
    ],
)
def test_another_model_is_told_by_part_and_field(copy, part, fields, word):
    edit(copy, part, **fields)
    fails(lambda: published.open_model(copy), str(copy / part), word)


def test_weights_of_another_size_name_file_and_tensor(copy):
    edit(copy, "unet", cross_attention_dim=32)
    model = published.open_model(copy)
    fails(model.networks["unet"].params, str(copy / "unet"), "attn2.to_k", "shape")


def test_a_file_cut_short_names_itself_and_the_tensor(copy):
    path = copy / "vae" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    fails(lambda: published.open_model(copy), str(path), "cut short", "tensor ")


def test_a_folder_that_is_not_ours_or_not_whole_says_so(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    fails(lambda: published.open_model(tmp_path), str(tmp_path), "not one that we wrote")
