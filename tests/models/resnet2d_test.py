"""Sizes on the way down and up are torch's, odd ones too."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.models.resnet2d import Downsample2D, ResnetBlock2D, Upsample2D


def centre(features, tap=(1, 1)):
    """A 3x3 kernel that picks one tap of each channel."""
    kernel = np.zeros((3, 3, features, features), np.float32)
    kernel[tap] = np.eye(features)
    return {"conv": {"kernel": kernel, "bias": np.zeros(features, np.float32)}}


@pytest.mark.parametrize(("size", "unet", "vae"), [((4, 6), (2, 3), (2, 3)), ((5, 7), (3, 4), (2, 3))])
def test_the_unet_rounds_up_and_the_autoencoder_down(size, unet, vae):
    x = jnp.zeros((1, *size, 2))
    for edge, want in (((1, 1), unet), ((0, 1), vae)):
        out = jax.eval_shape(lambda: Downsample2D(edge).apply({"params": centre(2)}, x))  # noqa: B023
        assert out.shape == (1, *want, 2)


def test_where_the_kernel_stands_on_the_cells():
    # With padding (1, 1) the middle tap of output i is input 2 i; with (0, 1) the first tap is.
    x = jnp.arange(6.0).reshape(1, 1, 6, 1)
    np.testing.assert_array_equal(Downsample2D().apply({"params": centre(1)}, x)[0, 0, :, 0], [0, 2, 4])
    first = Downsample2D((0, 1)).apply({"params": centre(1, (0, 0))}, x.repeat(2, axis=1))
    np.testing.assert_array_equal(first[0, 0, :, 0], [0, 2, 4])


@pytest.mark.parametrize(("size", "want"), [(None, [0, 0, 1, 1, 2, 2]), ((2, 5), [0, 0, 1, 1, 2])])
def test_cells_are_repeated_then_cut(size, want):
    # torch: F.interpolate(arange(3), size=5, mode="nearest") is [0, 0, 1, 1, 2].
    x = jnp.arange(3.0).reshape(1, 1, 3, 1)
    out = Upsample2D().apply({"params": centre(1)}, x, size)
    np.testing.assert_array_equal(out[0, 0, :, 0], want)


def test_a_block_starts_as_its_shortcut_and_may_have_no_time(rng):
    x, emb = jnp.asarray(rng.standard_normal((2, 3, 3, 8)), jnp.float32), jnp.ones((2, 5))
    block = ResnetBlock2D(8, groups=4)
    for inputs in ((x,), (x, emb)):
        params = jax.jit(block.init)(jax.random.key(0), *inputs)["params"]
        assert ("time_emb_proj" in params) == (len(inputs) == 2)
        np.testing.assert_array_equal(block.apply({"params": params}, *inputs), x)
    assert "conv_shortcut" in jax.eval_shape(ResnetBlock2D(12, groups=4).init, jax.random.key(0), x)["params"]
