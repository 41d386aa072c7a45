"""Tiles cover the map; what looks only at its own cell does not notice them, what looks near it only at the seams."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.ops.tiles import ramp, starts, tiled


@pytest.mark.parametrize(
    ("size", "tile", "overlap"), [(64, 64, 16), (65, 64, 16), (200, 64, 16), (90, 32, 0), (5, 8, 2)]
)
def test_tiles_cover_the_line_with_the_overlap_asked_for(size, tile, overlap):
    begins = starts(size, tile, overlap)
    covered = np.zeros(size, int)
    for begin in begins:
        covered[begin : begin + tile] += 1
    assert covered.min() >= 1
    assert begins[-1] + tile >= size
    assert size < tile or begins[-1] + tile == size
    assert (np.diff(begins) <= tile - overlap).all()
    # One tile fewer could not do it.
    assert len(begins) == 1 or (len(begins) - 1) * (tile - overlap) + overlap < size


def test_an_overlap_as_large_as_the_tile_is_refused():
    with pytest.raises(ValueError, match="overlap of 8"):
        starts(20, 8, 8)


def test_the_ramp_by_hand():
    np.testing.assert_allclose(ramp(6, 2), [1 / 3, 2 / 3, 1, 1, 2 / 3, 1 / 3], rtol=1e-6)
    np.testing.assert_allclose(ramp(3, 0), [1, 1, 1])


@pytest.mark.parametrize("size", [(9, 20), (8, 8), (21, 5)])
def test_what_looks_at_one_cell_does_not_notice(rng, size):
    x = jnp.asarray(rng.standard_normal((2, *size, 3)), jnp.float32)
    square = lambda x: jnp.square(x[..., :2])
    np.testing.assert_allclose(jax.jit(lambda x: tiled(square, x, 8, 2, 1))(x), square(x), rtol=1e-5)


def test_growing_and_shrinking_outputs_land_in_their_places(rng):
    x = jnp.asarray(rng.standard_normal((1, 20, 28, 1)), jnp.float32)
    grow = lambda x: x.repeat(2, axis=1).repeat(2, axis=2)
    shrink = lambda x: x[:, ::4, ::4]
    np.testing.assert_allclose(tiled(grow, x, 8, 4, 2), grow(x), rtol=1e-5)
    np.testing.assert_allclose(tiled(shrink, x, 8, 4, Fraction(1, 4)), shrink(x), rtol=1e-5)
    with pytest.raises(ValueError, match="multiples of 4"):
        tiled(shrink, x, 10, 4, Fraction(1, 4))


def test_seams_are_faded_not_cut():
    """Each tile answers with its own mean: a cut would jump at once, a blend goes over in steps."""
    x = jnp.broadcast_to(jnp.arange(24.0)[None, None, :, None], (1, 8, 24, 1))
    flat = lambda x: jnp.broadcast_to(x.mean(axis=(1, 2), keepdims=True), x.shape)
    line = np.asarray(tiled(flat, x, 8, 4, 1))[0, 0, :, 0]
    means = [begin + 3.5 for begin in starts(24, 8, 4)]
    assert line[0] == pytest.approx(means[0], abs=1e-4)
    assert line[-1] == pytest.approx(means[-1], abs=1e-4)
    assert np.abs(np.diff(line)).max() < 0.5 * np.diff(means).max()
