"""Textures are images with something in them, the same for the same seed."""

import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.data import textures


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
