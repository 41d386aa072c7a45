"""A model by whatever name it goes: bundled, on disk, on the Hub; one line where it is not to be had."""

import shutil
import socket

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from difftrack_jax import backbones
from difftrack_jax.backbones.loading import find
from difftrack_jax.checkpoints import bundled
from difftrack_jax.errors import UserError
from difftrack_jax.models import variants
from difftrack_jax.models.unet_adm import UNetADM

from ..goldens import published_folder

SHA = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No network, an empty cache, and a test that fails when a socket is asked for."""

    def refuse(*_, **__):
        pytest.fail("the network was asked")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def fails(name, *words):
    with pytest.raises(UserError) as error:
        backbones.load_backbone(str(name))
    for word in words:
        assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_the_bundled_network_is_found_by_name():
    assert backbones.load_backbone("mini").name == "mini"


def test_published_files_and_our_own_are_told_apart(tmp_path, weights, rng):
    state = published_folder.adm("tiny_adm")
    save_file(state, tmp_path / "published.safetensors")
    published = backbones.load_backbone(str(tmp_path / "published.safetensors"))
    assert published.name == "tiny_adm"
    bundled.save(tmp_path / "ours.safetensors", published.params, "tiny_adm")
    ours = backbones.load_backbone(str(tmp_path / "ours.safetensors"))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-3), ours.params, published.params)
    assert ours.stride == published.stride == 4
    assert UNetADM(**variants.ADM["tiny_adm"]).out_channels == 6


def test_a_name_that_is_nothing_lists_what_there_is(tmp_path):
    fails("maxi", "'maxi'", "mini", "adm256", "sd15", "OWNER/REPO")
    fails(tmp_path / "none.safetensors", "no such file")
    fails(tmp_path, "neither a diffusers folder", "it holds nothing")
    save_file({"a": np.ones(1)}, tmp_path / "other.safetensors")
    fails(tmp_path / "other.safetensors", "no network known here", "its first tensor is a")


def test_offline_with_an_empty_cache_says_what_to_do(offline):
    pytest.importorskip("huggingface_hub", reason="needs the extra `hub`")
    fails("sd15", "stable-diffusion-v1-5/stable-diffusion-v1-5", "HF_HUB_OFFLINE is set", "fetch it once")
    fails("weights/mine", "HF_HUB_OFFLINE is set", "no local path either")
    fails("adm256", "HF_HUB_OFFLINE is set", "256x256_diffusion_uncond.pt", "by hand")


def test_offline_with_a_filled_cache_finds_it(offline):
    pytest.importorskip("huggingface_hub", reason="needs the extra `hub`")
    repo = offline / "hub" / "models--stable-diffusion-v1-5--stable-diffusion-v1-5"
    published_folder.write_stable_diffusion(repo / "snapshots" / SHA)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(SHA)
    assert find("sd15") == repo / "snapshots" / SHA
    backbone = backbones.load_backbone(f"stable-diffusion-v1-5/stable-diffusion-v1-5@{SHA}")
    assert backbone.words is not None
    assert backbone.params["context"].shape == (1, 12, 24)


def test_a_folder_on_disk_comes_before_a_name(offline, monkeypatch):
    monkeypatch.chdir(offline)
    published_folder.write_stable_diffusion(offline / "sd15")
    assert find("sd15").resolve() == offline / "sd15"
    shutil.rmtree(offline / "sd15")
    (offline / "mini").mkdir()
    assert find("mini").name == "weights.safetensors"
