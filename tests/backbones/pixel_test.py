"""A backbone turns any network into the end of a walk between frames, and shows where it looked."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax import backbones
from difftrack_jax.checkpoints import bundled
from difftrack_jax.errors import UserError
from difftrack_jax.models import variants
from difftrack_jax.models.unet_adm import UNetADM


def shapes(name):
    net = UNetADM(**variants.ADM[name])
    return jax.eval_shape(net.init, jax.random.key(0), jnp.zeros((1, 64, 64, 3)), jnp.zeros(1))["params"]


@pytest.fixture
def tiny(weights):
    params = weights(UNetADM(**variants.ADM["tiny"]), jnp.zeros((1, 32, 32, 3)), jnp.zeros(1))
    return backbones.pixel_backbone("tiny", params)


@pytest.fixture
def frames(rng):
    return jnp.asarray(rng.uniform(-1, 1, (2, 32, 48, 3)), jnp.float32)


def test_the_walk_at_its_end_is_there(tiny, frames):
    """alpha = 0: z + 0 * net(z) = z; elsewhere the network moves it."""
    walk = jax.jit(tiny.predict_end)
    end, _ = walk(tiny.params, frames, jnp.zeros(2), None)
    np.testing.assert_array_equal(end, frames)
    end, _ = walk(tiny.params, frames, jnp.array([0.0, 0.5]), None)
    np.testing.assert_array_equal(end[0], frames[0])
    assert jnp.abs(end[1] - frames[1]).max() > 1e-2


def test_captured_rows_sum_to_one_with_the_null_key_last(tiny, frames):
    references = jax.jit(tiny.reference)(tiny.params, frames[::-1])
    _, seen = jax.jit(tiny.predict_end)(tiny.params, frames, jnp.full(2, 0.5), references)
    cells = (32 // tiny.stride) * (48 // tiny.stride)
    assert len(seen.maps) == len(backbones.LAYERS["tiny"].capture)
    for maps in seen.maps:
        assert maps.self_.shape == (2, cells, cells)
        assert maps.cross.shape == (2, cells, cells + tiny.null_key)
        np.testing.assert_allclose(maps.self_.sum(-1), 1.0, atol=1e-5)
        np.testing.assert_allclose(maps.cross.sum(-1), 1.0, atol=1e-5)


def test_pixels_are_their_own_latents(tiny, frames):
    np.testing.assert_array_equal(tiny.decode(tiny.params, tiny.encode(tiny.params, frames)), frames)


@pytest.mark.parametrize("name", ["tiny", "mini", "adm256"])
def test_a_cell_of_the_captured_maps_is_eight_pixels(name):
    assert backbones.pixel_backbone(name, shapes(name)).stride == 8


@pytest.mark.parametrize("name", ["tiny", "mini", "adm256"])
def test_every_layer_that_is_read_exists(name):
    backbone = backbones.pixel_backbone(name, shapes(name))
    z = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    references = jax.eval_shape(backbone.reference, backbone.params, z)
    assert set(backbones.LAYERS[name].capture) <= references.keys()
    features = jax.eval_shape(backbone.features, backbone.params, z)
    assert features.ndim == 4
    end, _ = jax.eval_shape(backbone.predict_end, backbone.params, z, jnp.ones(1), references)
    assert end.shape == z.shape


def test_weights_from_a_file_make_the_same_backbone(tiny, frames, tmp_path):
    half = jax.tree.map(lambda a: a.astype(np.float16).astype(np.float32), tiny.params)
    bundled.save(tmp_path / "w.safetensors", tiny.params, "tiny")
    loaded = backbones.load_backbone(str(tmp_path / "w.safetensors"))
    assert loaded.name == "tiny"
    jax.tree.map(np.testing.assert_array_equal, loaded.params, half)


def test_an_unknown_variant_or_name_is_one_clear_line(tiny, tmp_path):
    bundled.save(tmp_path / "w.safetensors", {"a": np.zeros(1)}, "huge")
    with pytest.raises(UserError, match="huge"):
        backbones.load_backbone(str(tmp_path / "w.safetensors"))
    with pytest.raises(UserError, match="nothing-of-that-name"):
        backbones.load_backbone("nothing-of-that-name")
