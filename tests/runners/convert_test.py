"""Converting: everything published is accounted for and comes back as it was, or nothing is written."""

import importlib.util
import json
import pathlib

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from difftrack_jax import main
from difftrack_jax.backbones import published
from difftrack_jax.models import variants
from difftrack_jax.models.unet_adm import UNetADM
from difftrack_jax.runners import convert, parity

from ..goldens import published_folder

ROOT = pathlib.Path(__file__).resolve().parents[2]


def recipe(name, **fields):
    spec = importlib.util.spec_from_file_location("recipe", ROOT / "configs" / "convert" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config("tiny")
    config.update(quiet=True, **{key: str(value) for key, value in fields.items()})
    return config


@pytest.fixture(scope="module")
def adm(tmp_path_factory):
    """ADM's layout in a safetensors file."""
    path = tmp_path_factory.mktemp("adm") / "adm.safetensors"
    save_file(published_folder.adm("tiny_adm"), path)
    return path


def test_adm_is_converted_read_back_and_loaded_again(adm, tmp_path, capsys):
    results = convert.run(recipe("adm256", source=adm, target=tmp_path / "out"), tmp_path / "unused")
    assert results["written"] == str(tmp_path / "out")
    assert not (tmp_path / "unused").exists()
    report = capsys.readouterr().out
    assert "998,342" in report
    assert "identical" in report
    model = published.open_model(tmp_path / "out")
    direct = published.open_model(adm)
    assert model.layout == direct.layout == "adm"
    assert model.networks["adm"].module == UNetADM(**variants.ADM["tiny_adm"])
    jax.tree.map(np.testing.assert_array_equal, model.networks["adm"].params(), direct.networks["adm"].params())
    row = json.loads((tmp_path / "out" / "config.json").read_text())["report"][0]
    assert row["parameters"] == 998_342
    assert row["read_back"]
    assert row["sums"] < 1e-12


def test_into_the_workdir_through_the_front_door(adm, tmp_path, capsys):
    config = recipe("adm256", source=adm, dtype="bfloat16")
    assert main.execute(config, str(tmp_path / "out")) == 0
    assert "written: " in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    stored = json.loads((tmp_path / "out" / "config.json").read_text())["report"][0]
    assert stored["dtype"] == "bfloat16"
    assert 0 < stored["sums"] < 1e-3  # rounded, and the report says by how much
    params = published.open_model(tmp_path / "out").networks["adm"].params()
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype(jnp.float32)}
    assert main.execute(config, str(tmp_path / "out")) == 1
    assert "is not empty" in capsys.readouterr().err
    config.overwrite = True
    assert main.execute(config, str(tmp_path / "out")) == 0


def changed(adm, tmp_path, change):
    state = dict(load_file(adm))
    change(state)
    save_file(state, tmp_path / "changed.safetensors")
    return tmp_path / "changed.safetensors"


def wrong_shape(state):
    state["out.2.weight"] = state["out.2.weight"][:-1]


BAD = {
    "a missing tensor": (lambda state: state.pop("out.2.bias"), "out_2/bias"),
    "one too many": (lambda state: state.update(extra=np.ones(3, np.float32)), "extra"),
    "a wrong shape": (wrong_shape, "out.2.weight"),
    "an unknown width": (lambda s: s.update({"time_embed.0.weight": np.ones((8, 7), np.float32)}), "of width 7"),
    "another model": (lambda state: (state.clear(), state.update(weight=np.ones(3))), "no network known here"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_source_is_one_line_that_names_file_and_tensor_and_nothing_is_written(adm, tmp_path, capfd, case):
    change, word = BAD[case]
    path = changed(adm, tmp_path, change)
    assert main.execute(recipe("adm256", source=path, target=tmp_path / "out"), str(tmp_path / "work")) == 1
    error = capfd.readouterr().err
    assert error.count("\n") == 1
    assert str(path) in error
    assert word in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["changed.safetensors"]


def test_what_is_asked_for_wrongly_is_one_line(adm, tmp_path, capfd):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    cases = [
        (dict(source=""), "source: none given"),
        (dict(source=tmp_path / "none"), "no such file or folder"),
        (dict(source=adm, dtype="int8"), "dtype 'int8'"),
        (dict(source=adm, target=tmp_path / "mine"), "is not empty"),
        (dict(source=adm, target=adm), "is a file"),
        (dict(source=adm, layout="stable_diffusion"), "is of layout adm"),
    ]
    for fields, message in cases:
        config = recipe("adm256", **fields)
        config.overwrite = True
        assert main.execute(config, str(tmp_path / "work")) == 1
        assert message in capfd.readouterr().err
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "precious"
    config = recipe("adm256", source=adm)
    config.expected.adm = 552_814_086
    assert main.execute(config, str(tmp_path / "work")) == 1
    assert "998,342 parameters, the published one 552,814,086" in capfd.readouterr().err


def test_stable_diffusion_is_converted_with_its_tokenizer_and_answers_as_the_reference_does(tmp_path):
    published_folder.write_stable_diffusion(tmp_path / "sd")
    convert.run(recipe("sd15", source=tmp_path / "sd", target=tmp_path / "out"), tmp_path / "unused")
    model, direct = published.open_model(tmp_path / "out"), published.open_model(tmp_path / "sd")
    assert model.scheduler == direct.scheduler
    for name, network in direct.networks.items():
        jax.tree.map(np.testing.assert_array_equal, model.networks[name].params(), network.params())
    assert (model.tokenizer / "merges.txt").read_text() == (tmp_path / "sd" / "tokenizer" / "merges.txt").read_text()
    rows = json.loads((tmp_path / "out" / "config.json").read_text())["report"]
    assert [row["name"] for row in rows] == ["unet", "vae", "text_encoder"]
    for row in rows:
        assert row["forward"] == "torch is not installed" or row["forward"] < 1e-4


def test_sums_take_the_widest_dtype_and_leave_out_what_is_no_weight(rng):
    arrays = [np.ones(3, ml_dtypes.bfloat16), np.full((2, 2), -2, np.float32), np.arange(9)]
    assert parity.sums(arrays) == parity.Sums(2, 7, "float32", 11.0)
    assert parity.sums(arrays[:1]).dtype == "bfloat16"
