"""What looks along time starts as nothing, and keeps pixels and clips apart."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.models.temporal import TemporalConv, TemporalTransformer

NETS = {"convolution": TemporalConv(groups=2), "transformer": TemporalTransformer(2, 4, groups=2, max_frames=5)}


@pytest.fixture
def x(rng):
    return jnp.asarray(rng.standard_normal((2, 5, 2, 3, 4)), jnp.float32)


def test_a_temporal_convolution_is_the_identity_at_its_start(x):
    out, variables = NETS["convolution"].init_with_output(jax.random.key(0), x)
    np.testing.assert_array_equal(out, x)
    kernels = {name: layer["kernel"] for name, layer in variables["params"].items() if "kernel" in layer}
    assert [name for name, kernel in kernels.items() if not kernel.any()] == ["conv4_3"]  # the last and no other


def test_frame_tables_start_at_zero(x):
    params = jax.jit(NETS["transformer"].init)(jax.random.key(0), x)["params"]
    np.testing.assert_array_equal(params["time_embedder"], np.zeros((5, 4)))


def runner(net, params):
    return jax.jit(lambda x: net.apply({"params": params}, x))


@pytest.mark.parametrize("name", NETS)
def test_pixels_change_places_and_clips_do_not_mix(weights, x, name):
    """Both work on each pixel alone but for the norm, whose statistics run over frames and pixels of one clip."""
    run = runner(NETS[name], weights(NETS[name], x))
    out = run(x)
    np.testing.assert_allclose(run(x[:, :, ::-1]), out[:, :, ::-1], atol=1e-5)
    np.testing.assert_allclose(run(x.at[1].set(7.0))[0], out[0], atol=1e-5)
    assert jnp.abs(run(x.at[0, 0].add(1.0)) - out)[0, 1:].max() > 1e-3  # frames do see one another


def test_frames_change_places_where_nothing_says_their_number(weights, x):
    for embedding, same in (("off", True), ("table", False)):
        net = NETS["transformer"].clone(frame_embedding=embedding)
        run = runner(net, weights(net, x))
        apart = jnp.abs(run(x[:, ::-1]) - run(x)[:, ::-1]).max()
        assert apart < 1e-5 if same else apart > 1e-3


def test_more_frames_than_the_table_has_are_refused(x):
    with pytest.raises(ValueError, match="10 frames at once; the frame table has 5 rows"):
        NETS["transformer"].init(jax.random.key(0), jnp.concatenate([x, x], axis=1))
