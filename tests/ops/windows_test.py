"""A crop and its coordinates agree: what lies at p in the window lies at from_window(p) in the frame."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.ops import windows

H, W = 30, 40
crop = jax.jit(windows.crop, static_argnums=2)
resample = jax.jit(windows.resample, static_argnums=3)
to_window = jax.jit(windows.to_window, static_argnums=2)
from_window = jax.jit(windows.from_window, static_argnums=2)
around = jax.jit(windows.around, static_argnums=2)
WINDOWS = {
    "inside": [5.3, 7.1, 21.8, 19.4],
    "wide": [2.0, 10.0, 34.5, 15.5],
    "past the corner": [-6.2, -3.9, 9.7, 12.4],
    "past the far side": [31.0, 18.2, 46.0, 35.3],
    "larger than the frame": [-20.3, -25.6, 60.1, 55.8],
}


@pytest.fixture(params=WINDOWS.values(), ids=WINDOWS.keys())
def window(request):
    return jnp.array(request.param)


@pytest.fixture
def ramp():
    """Every pixel holds the x and y of its own centre."""
    return centres((H, W)).reshape(H, W, 2)


def test_to_window_and_from_window_are_inverses(rng, window):
    points = jnp.asarray(rng.uniform(-10, 50, (3, 20, 2)), jnp.float32)
    there = to_window(points, window, (24, 36))
    np.testing.assert_allclose(from_window(there, window, (24, 36)), points, atol=1e-4)


def test_a_windows_corners_become_the_corners_of_the_crop(window):
    corners = to_window(window.reshape(2, 2), window, (24, 36))
    np.testing.assert_allclose(corners, [[0, 0], [36, 24]], atol=1e-5)


def centres(size):
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    return jnp.asarray(np.stack([x, y], -1).reshape(-1, 2), jnp.float32)


def read(ramp, window, size):
    """What a crop of the ramp holds, and what its coordinates promise."""
    held = crop(ramp, window, size).reshape(-1, 2)
    promised = from_window(centres(size), window, size)
    return np.asarray(held), np.asarray(promised)


def test_a_zoom_into_a_ramp_holds_exactly_the_promised_coordinates(ramp, window):
    held, promised = read(ramp, window, (90, 120))
    inside = np.all((promised >= 0.5) & (promised <= [W - 0.5, H - 0.5]), axis=-1)
    assert inside.any()
    np.testing.assert_allclose(held[inside], promised[inside], atol=1e-4)


@pytest.mark.parametrize(("factor", "tolerance"), [(2, 1e-4), (3, 1e-4), (2.37, 0.06)])
def test_a_shrunk_ramp_holds_the_promised_coordinates_away_from_the_border(ramp, factor, tolerance):
    """Exactly for whole factors; elsewhere the anti-aliasing triangle meets the pixels a little unevenly."""
    window = jnp.array([1.7, 2.2, 1.7 + 12 * factor, 2.2 + 9 * factor])
    held, promised = read(ramp, window, (9, 12))
    inside = np.all((promised >= factor) & (promised <= np.array([W, H]) - factor), axis=-1)
    assert inside.sum() > 20
    np.testing.assert_allclose(held[inside], promised[inside], atol=tolerance)


def test_outside_the_frame_a_crop_is_mid_grey(window):
    size = (24, 36)
    held = np.asarray(crop(jnp.ones((H, W, 1)), window, size)).ravel()
    promised = np.asarray(from_window(centres(size), window, size))
    inside = np.all((promised >= 0) & (promised <= [W, H]), axis=-1)
    np.testing.assert_allclose(held, inside, atol=1e-5)


def test_the_whole_frame_at_its_own_size_is_the_frame(rng):
    image = jnp.asarray(rng.standard_normal((H, W, 3)), jnp.float32)
    np.testing.assert_allclose(crop(image, jnp.array([0.0, 0.0, W, H]), (H, W)), image, atol=1e-6)


def test_a_whole_pixel_window_is_a_slice(rng):
    image = jnp.asarray(rng.standard_normal((H, W, 3)), jnp.float32)
    got = crop(image, jnp.array([4.0, 6.0, 14.0, 13.0]), (7, 10))
    np.testing.assert_allclose(got, image[6:13, 4:14], atol=1e-5)


def test_resampling_to_the_same_window_changes_nothing(rng, window):
    grid = jnp.asarray(rng.standard_normal((8, 8, 2)), jnp.float32)
    np.testing.assert_allclose(resample(grid, window, window, (8, 8)), grid, atol=1e-4)


def test_resampling_moves_a_grid_with_the_frame():
    """4 cells over 8 pixels, read one cell (2 pixels) to the right: cells shift left, zero comes in."""
    grid = jnp.arange(1.0, 17.0).reshape(4, 4, 1)
    got = resample(grid, jnp.array([0.0, 0, 8, 8]), jnp.array([2.0, 0, 10, 8]), (4, 4))[..., 0]
    np.testing.assert_allclose(got[:, :3], grid[:, 1:, 0], atol=1e-5)
    np.testing.assert_allclose(got[:, 3], 0.0, atol=1e-5)


def test_a_window_that_fits_stays_inside_the_frame(rng):
    for centre, side in zip(rng.uniform(-20, 60, (50, 2)), rng.uniform(1, H, 50)):
        box = around(jnp.asarray(centre, jnp.float32), jnp.float32(side), (H, W))
        np.testing.assert_allclose(box[2:] - box[:2], side, rtol=1e-4)
        assert box[:2].min() >= -1e-4
        assert (box[2:] <= jnp.array([W, H]) + 1e-4).all()


def test_a_window_well_inside_keeps_its_centre_and_one_too_large_is_centred_on_the_frame():
    np.testing.assert_allclose(around(jnp.array([20.0, 15.0]), jnp.float32(10), (H, W)), [15, 10, 25, 20])
    # 36 pixels fit the width of 40, not the height of 30: x is pushed in to 0..36, y is centred: -3..33.
    np.testing.assert_allclose(around(jnp.array([3.0, 29.0]), jnp.float32(36), (H, W)), [0, -3, 36, 33])


def test_a_grown_window_keeps_its_centre():
    np.testing.assert_allclose(windows.grown(jnp.array([2.0, 4.0, 6.0, 12.0]), jnp.float32(2)), [0, 0, 8, 16])
