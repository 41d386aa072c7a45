"""Masks carried by pixels: exact under exact matches, and sharper than the cells that carry them."""

import jax
import jax.numpy as jnp
import numpy as np

from difftrack_jax.ops.sampling import cell_centres
from difftrack_jax.tracking import pixels

GRID, SIZE = (8, 8), 64
CENTRES = cell_centres(*GRID)


def scene(left):
    """A red disc of radius 13.4 on green, its centre `left` pixels from the border; and its mask."""
    at = np.asarray(cell_centres(SIZE, SIZE)).reshape(SIZE, SIZE, 2)
    inside = np.linalg.norm(at - [left, 30.0], axis=-1) < 13.4
    image = np.where(inside[..., None], [0.8, -0.6, -0.6], [-0.6, 0.5, -0.6])
    return jnp.asarray(image, jnp.float32), jnp.asarray(inside, jnp.float32)


def carried(moved, mass=1.0):
    """The mask in a frame where disc and matches have moved to the right by `moved` pixels."""
    image, mask = scene(28.0)
    now, _ = scene(28.0 + moved)
    position = CENTRES - jnp.array([[moved / 8, 0.0]])
    return pixels.carry_masks(position[None], jnp.full((1, 64), mass), image[None], mask[None, ..., None], now, GRID)[
        ..., 0
    ]


def iou(mask, truth):
    mask, truth = np.asarray(mask) > 0.5, np.asarray(truth) > 0.5
    return (mask & truth).sum() / (mask | truth).sum()


def test_exact_matches_carry_a_mask_exactly():
    np.testing.assert_array_equal(np.asarray(carried(0.0)) > 0.5, np.asarray(scene(28.0)[1]) > 0.5)
    assert iou(carried(5.0), scene(33.0)[1]) > 0.98


def test_colours_settle_the_border_where_cells_disagree():
    """Cells whose centre is on the disc have moved with it, the others have not: a step of cells, cut at the edge."""
    image, mask = scene(28.0)
    now, truth = scene(33.0)
    on_disc = truth[4::8, 4::8].reshape(-1, 1)
    position = (CENTRES - on_disc * jnp.array([[5.0 / 8, 0.0]]))[None]
    found = pixels.carry_masks(position, jnp.ones((1, 64)), image[None], mask[None, ..., None], now, GRID)[..., 0]
    by_cells = jnp.repeat(jnp.repeat(on_disc.reshape(8, 8), 8, 0), 8, 1)
    assert iou(found, truth) > 0.95 > iou(by_cells, truth)


def test_what_has_no_counterpart_is_nobodys():
    assert not (np.asarray(carried(0.0, mass=0.0)) > 0.5).any()


def test_references_have_one_voice_each():
    """Attention prefers the last frame; its mask, which has drifted, must not outvote the first frame's for that."""
    image, mask = scene(28.0)
    _, drifted = scene(36.0)

    def voted(first, last):
        mass = jnp.stack([jnp.full(64, first), jnp.full(64, last)])
        two = lambda a, b: jnp.stack([a, b])
        places, masks = two(CENTRES, CENTRES), two(mask, drifted)[..., None]
        return np.asarray(pixels.carry_masks(places, mass, two(image, image), masks, image, GRID)[..., 0])

    np.testing.assert_allclose(voted(0.05, 0.95), voted(0.5, 0.5), atol=1e-6)
    np.testing.assert_array_equal(voted(0.5, 0.0) > 0.5, np.asarray(mask) > 0.5)
    np.testing.assert_array_equal(voted(0.0, 0.5) > 0.5, np.asarray(drifted) > 0.5)


def test_alignment_brings_coarse_matches_onto_the_pixels():
    rng = np.random.default_rng(1)
    waves, phase = rng.uniform(-0.6, 0.6, (20, 2)), rng.uniform(0, 6.28, 20)

    def frame(shift):
        at = np.asarray(cell_centres(SIZE, SIZE)) - [shift, 0.0]
        grey = np.sin(at @ waves.T + phase).mean(1).reshape(SIZE, SIZE, 1)
        return jnp.asarray(np.repeat(grey, 3, -1), jnp.float32)

    truth = CENTRES - jnp.array([[3.0 / 8, 0.0]])
    coarse = truth + 0.25 * jax.random.uniform(jax.random.key(0), truth.shape, minval=-1.0)
    (found,), (alike,) = pixels.aligned(coarse[None], frame(0.0)[None], frame(3.0), GRID)
    inner = np.abs(np.asarray(CENTRES) - 4).max(-1) < 3
    error = lambda at: np.median(np.linalg.norm(np.asarray(at - truth), axis=-1)[inner])
    assert error(found) < 0.1 * error(coarse)
    assert float(jnp.median(alike)) > 0.99


def test_points_are_known_by_their_own_colours_in_each_reference():
    """The disc has moved by five pixels: a point on it is where that leads, one beside it stayed."""
    (before, _), (now, _) = scene(28.0), scene(33.0)
    at = lambda *points: jnp.array(points, jnp.float32)
    homes = at([[20.0, 30.0], [55.0, 30.0]], [[25.0, 30.0], [55.0, 30.0]])  # in the reference, and in this frame
    places = jnp.broadcast_to(at([[25.0, 30.0], [55.0, 30.0]], [[10.0, 30.0], [40.0, 30.0]]), (2, 2, 2, 2))
    found = pixels.resemblance(homes, jnp.stack([before, now]), places, now)
    np.testing.assert_allclose(found, np.broadcast_to([[1.0, 1.0], [0.02, 0.02]], (2, 2, 2)), atol=1e-3)
