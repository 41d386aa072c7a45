"""RoI align agrees with the recorded kernel and with its meaning."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.ops.roi import roi_align


def test_it_is_the_recorded_kernel(shared):
    data = np.load(shared("goldens/models/trackdiffusion/roi_align.npz"))
    for case in sorted({name.split("/")[0] for name in data}):
        features, rois, want = (data[f"{case}/{name}"] for name in ("features", "rois", "output"))
        size = int(max(np.ceil((rois[:, 3:] - rois[:, 1:3]).max()), 1))
        maps = jnp.asarray(np.moveaxis(features, 1, -1))[rois[:, 0].astype(int)]
        bins = want.shape[-1]
        got = roi_align(maps, jnp.asarray(rois[:, None, 1:]), bins, samples=size)
        np.testing.assert_allclose(np.moveaxis(got[:, 0], -1, 1), want, atol=1e-5, err_msg=case)


@pytest.mark.parametrize("bins", [1, 2])
def test_of_a_constant_it_is_that_constant_where_the_box_stays_inside(rng, bins):
    low = rng.uniform(0, 4, (1, 50, 2))
    boxes = np.concatenate([low, low + rng.uniform(0.01, 4, low.shape)], axis=-1).clip(0, 7)
    out = roi_align(jnp.full((1, 8, 8, 3), 2.5), jnp.asarray(boxes, jnp.float32), bins)
    np.testing.assert_allclose(out, 2.5, rtol=1e-6)


def test_a_box_of_one_cell_reads_half_a_cell_on():
    """Cells are centred at whole numbers here, so the middle of the box [2, 3] lies between cells 2 and 3."""
    ramp = jnp.broadcast_to(jnp.arange(8.0)[None, None, :, None], (1, 8, 8, 1))
    box = jnp.array([[[2.0, 2.0, 3.0, 3.0]]])
    np.testing.assert_allclose(roi_align(ramp, box)[0, 0, 0, 0, 0], 2.5)


def test_gradients_reach_the_map_but_only_under_the_box():
    box = jnp.array([[[1.0, 1.0, 3.0, 3.0]]])
    slope = jax.grad(lambda m: roi_align(m, box).sum())(jnp.zeros((1, 6, 6, 1)))[0, :, :, 0]
    assert slope[2, 2] > 0
    np.testing.assert_allclose(slope[:, 4:], 0)
    np.testing.assert_allclose(slope.sum(), 1.0, rtol=1e-6)
