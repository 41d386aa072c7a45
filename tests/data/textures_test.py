"""Textures are images with something in them, the same for the same seed."""

import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.data import textures
from difftrack_jax.errors import UserError


@pytest.fixture(scope="module")
def bank():
    return textures.procedural_bank(seed=0, count=12, size=64)


def test_procedural_textures_are_images_with_something_in_them(bank):
    images = np.asarray(bank.images)
    assert images.shape == (12, 64, 64, 3)
    assert images.dtype == np.uint8
    assert (images.std((1, 2)).max(-1) > 2).all()  # no blank one, in 255ths
    assert images.mean() == pytest.approx(127, abs=50)


def test_no_two_procedural_textures_are_alike(bank):
    images = np.asarray(bank.images, np.float32).reshape(12, -1)
    difference = np.abs(images[:, None] - images[None]).mean(-1)
    assert (difference + 255 * np.eye(12)).min() > 5


def test_the_same_seed_draws_the_same_bank(bank):
    np.testing.assert_array_equal(textures.procedural_bank(seed=0, count=12, size=64).images, bank.images)
    assert (textures.procedural_bank(seed=1, count=12, size=64).images != bank.images).any()


def test_photographs_are_textures_too():
    pytest.importorskip("skimage")
    bank = textures.photograph_bank(seed=0, crops=4, size=32)
    assert bank.images.shape == (4, 32, 32, 3)
    assert bank.images.dtype == jnp.uint8
    assert (np.asarray(bank.images, np.float32).std((1, 2)).max(-1) > 2).all()


def test_a_folder_adds_its_images_whatever_their_channels(tmp_path):
    io = pytest.importorskip("skimage.io")
    (tmp_path / "deep").mkdir()
    grey, half = np.full((128, 140), 77, np.uint8), np.zeros((128, 128, 4), np.uint8)
    half[:, :64] = [10, 200, 30, 255]  # the rest is transparent, and black
    deep = np.full((128, 128), 116 * 257, np.uint16)
    images = {"a/grey.png": grey, "deep/half.png": half, "wide.png": deep, "small.png": grey[:50]}
    for name, image in images.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        io.imsave(tmp_path / name, image, check_contrast=False)
    (tmp_path / "linked").symlink_to(tmp_path / "a")
    found = textures._images_in(str(tmp_path))
    colours = [np.unique(image.reshape(-1, 3), axis=0).tolist() for image in found]
    assert colours == [[[77] * 3], [[10, 200, 30]], [[77] * 3], [[116] * 3]]
    count = len(textures._PHOTOGRAPHS) + 4
    bank = textures.photograph_bank(seed=0, crops=count, size=16, folder=str(tmp_path))
    assert (np.asarray(bank.images[-1]) == 116).all()


def test_a_folder_without_images_is_named(tmp_path):
    pytest.importorskip("skimage")
    with pytest.raises(UserError, match=f"{tmp_path}: holds no png or jpg"):
        textures.photograph_bank(folder=str(tmp_path))


def test_a_broken_image_is_named(tmp_path):
    pytest.importorskip("skimage")
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"broken\.png: not a readable image"):
        textures.photograph_bank(folder=str(tmp_path))
