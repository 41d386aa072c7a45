"""Weights on disk come back as they were, to half precision; anything else is one clear line."""

import pathlib

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from difftrack_jax.checkpoints import bundled
from difftrack_jax.errors import UserError


@pytest.fixture
def params(rng):
    return {
        "a": {"kernel": rng.standard_normal((3, 4)).astype(np.float32)},
        "b_1": {"norm": {"scale": rng.standard_normal(5).astype(np.float32)}},
    }


def test_a_round_trip_rounds_to_float16_and_no_further(tmp_path, params):
    bundled.save(tmp_path / "w.safetensors", params, "tiny", {"steps": "5"})
    variant, loaded = bundled.load(tmp_path / "w.safetensors")
    assert variant == "tiny"
    assert jax.tree.structure(loaded) == jax.tree.structure(params)
    for got, gave in zip(jax.tree.leaves(loaded), jax.tree.leaves(params)):
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, gave.astype(np.float16).astype(np.float32))


def test_a_second_trip_changes_nothing(tmp_path, params):
    bundled.save(tmp_path / "w.safetensors", params, "tiny")
    _, once = bundled.load(tmp_path / "w.safetensors")
    bundled.save(tmp_path / "w.safetensors", once, "tiny")
    _, twice = bundled.load(tmp_path / "w.safetensors")
    jax.tree.map(np.testing.assert_array_equal, twice, once)


def test_the_same_weights_make_the_same_bytes(tmp_path, params):
    for name in ("one", "two"):
        bundled.save(tmp_path / name, params, "tiny", {"steps": "5", "recipe": "a", "hardware": "b"})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_nothing_but_the_file_is_left_behind(tmp_path, params):
    bundled.save(tmp_path / "w.safetensors", params, "tiny")
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


def fails(path, word):
    with pytest.raises(UserError) as error:
        bundled.load(path)
    message = str(error.value)
    assert "\n" not in message
    assert str(path) in message
    assert word in message


def test_a_missing_file_is_named(tmp_path):
    fails(tmp_path / "none.safetensors", "no such file")


def test_a_folder_is_no_file(tmp_path):
    fails(tmp_path, "no such file")


@pytest.mark.parametrize("content", [b"", b"not weights at all", b"\xff" * 100])
def test_a_garbage_file_is_named(tmp_path, content):
    (tmp_path / "w.safetensors").write_bytes(content)
    fails(tmp_path / "w.safetensors", "not a readable safetensors file")


def test_a_file_cut_short_is_named(tmp_path, params):
    path = tmp_path / "w.safetensors"
    bundled.save(path, params, "tiny")
    path.write_bytes(path.read_bytes()[:-3])
    fails(path, "not a readable safetensors file")


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_a_foreign_safetensors_file_is_told_apart(tmp_path, metadata):
    save_file({"weight": np.zeros(3, np.float32)}, tmp_path / "w.safetensors", metadata=metadata)
    fails(tmp_path / "w.safetensors", "no network variant")


def test_an_unknown_bundled_name_is_named():
    with pytest.raises(UserError, match="no-such-network"):
        bundled.bundled("no-such-network")


def test_names_with_commas_are_the_mean_of_their_weights(tmp_path, params):
    paths = [str(tmp_path / name) for name in ("one", "three", "with,comma")]
    for path, factor in zip(paths, (1.0, 3.0, 5.0)):
        scaled = {"a": {"kernel": np.round(params["a"]["kernel"]) * factor}}
        bundled.save(pathlib.Path(path), scaled, "tiny")
    one, three = (bundled.load_for("tiny", path) for path in paths[:2])
    mean = bundled.load_for("tiny", ",".join(paths[:2]))
    jax.tree.map(lambda m, a, b: np.testing.assert_array_equal(m, (a + b) / 2), mean, one, three)
    jax.tree.map(lambda m, a: np.testing.assert_array_equal(m, 5 * a), bundled.load_for("tiny", paths[2]), one)


def test_a_mean_with_another_networks_weights_names_them(tmp_path, params):
    for name, variant in (("one", "tiny"), ("other", "mini")):
        bundled.save(tmp_path / name, params, variant)
    with pytest.raises(UserError, match="other: they are for the network 'mini', not 'tiny'"):
        bundled.load_for("tiny", f"{tmp_path}/one,{tmp_path}/other")
