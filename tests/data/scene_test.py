"""Dense correspondence is true: coordinates invert, walk there and back, and meet the same surface."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.data import scene as scenes
from difftrack_jax.data.synthetic import render
from difftrack_jax.data.textures import procedural_bank
from difftrack_jax.ops.sampling import bilinear, cell_centres

SIZE, SEEDS = 128, 12
A, B = jnp.float32(1.0), jnp.float32(1.12)


@functools.partial(jax.jit, static_argnames="seeds")
def drawn(bank, seeds):
    """`seeds` scenes, unlit: frames at times a and b, and the true source in a of every pixel of b."""

    def one(key):
        scene = scenes.sample_scene(key, bank, texture_size=64)
        scene = scene._replace(lighting=jnp.zeros_like(scene.lighting))
        clip = render(scene, jnp.stack([A, B]), (SIZE, SIZE))
        x_b = cell_centres(SIZE, SIZE) / SIZE
        x_a, seen = scenes.correspond(scene, x_b, B, A)
        back, seen_back = scenes.correspond(scene, x_a, A, B)
        same, same_seen = scenes.correspond(scene, x_b, B, B)
        colour = bilinear(clip.frames[0], x_a * SIZE)
        u = scenes.to_texture(scene, x_b, B)
        again = scenes.to_texture(scene, scenes.from_texture(scene, u, B)[0], B)
        return dict(
            ids=clip.ids,
            error=jnp.abs(colour - clip.frames[1].reshape(-1, 3)).max(-1) / 2,
            x_a=x_a,
            seen=seen,
            drift=jnp.abs(back - x_b).max(-1),
            seen_back=seen_back,
            same_drift=jnp.abs(same - x_b).max(-1),
            same_seen=same_seen,
            inverse=jnp.abs(scenes.from_texture(scene, u, B) - x_b[None]).max(-1),
            texture=jnp.abs(again[0] - u[0]).max(-1),
            still=jnp.abs(x_a - x_b).max(-1),
        )

    return jax.lax.map(one, jax.vmap(jax.random.key)(jnp.arange(seeds)))


@pytest.fixture(scope="module")
def truth():
    bank = procedural_bank(0, count=12, size=64)
    return {name: np.asarray(value) for name, value in drawn(bank, SEEDS).items()}


def interior(ids):
    """Pixels of both frames that lie at least two pixels away from any outline."""
    still = np.ones_like(ids, bool)
    for dy in range(-2, 3):
        for dx in range(-2, 3):
            still &= np.roll(ids, (dy, dx), (-2, -1)) == ids
    still[..., :2, :] = still[..., -2:, :] = still[..., :, :2] = still[..., :, -2:] = False
    return still


def test_from_texture_inverts_to_texture(truth):
    assert truth["inverse"].max() < 1e-3
    assert truth["texture"].max() < 1e-3


def test_a_surface_has_the_same_colour_in_a_second_rendering(truth):
    inner = interior(truth["ids"])
    at_b = inner[:, 1].reshape(SEEDS, -1)
    cell = np.clip((truth["x_a"] * SIZE).astype(int), 0, SIZE - 1)
    at_a = np.take_along_axis(inner[:, 0].reshape(SEEDS, -1), cell[..., 1] * SIZE + cell[..., 0], axis=1)
    error = truth["error"][truth["seen"] & at_a & at_b]
    assert error.size > 0.3 * truth["seen"].size
    assert np.median(error) < 0.01
    assert (error < 0.08).mean() > 0.95


def test_a_surface_seen_in_both_frames_is_the_same_layer(truth):
    inner = interior(truth["ids"])
    use = truth["seen"] & inner[:, 1].reshape(SEEDS, -1)
    cell = np.clip((truth["x_a"] * SIZE).astype(int), 0, SIZE - 1)
    at_a = np.take_along_axis(truth["ids"][:, 0].reshape(SEEDS, -1), cell[..., 1] * SIZE + cell[..., 0], axis=1)
    assert (at_a == truth["ids"][:, 1].reshape(SEEDS, -1))[use].mean() > 0.99


def test_there_and_back_again_is_where_one_started(truth):
    seen = truth["seen"]
    assert truth["drift"][seen].max() < 0.01
    assert truth["seen_back"][seen].all()


def test_nothing_is_seen_outside_the_frame(truth):
    outside = np.any((truth["x_a"] < 0) | (truth["x_a"] >= 1), axis=-1)
    assert outside.any()
    assert not truth["seen"][outside].any()


def test_some_surfaces_are_hidden_inside_the_frame_and_most_are_seen(truth):
    inside = np.all((truth["x_a"] >= 0) & (truth["x_a"] < 1), axis=-1)
    assert (inside & ~truth["seen"]).any()
    assert truth["seen"].mean() > 0.5


def test_things_move(truth):
    assert (np.median(truth["still"], axis=1) > 1 / SIZE).mean() > 0.5


def test_in_the_same_moment_everything_is_where_it_is_and_seen(truth):
    assert truth["same_seen"].all()
    assert truth["same_drift"].max() < 1e-3


def test_the_front_is_the_last_opaque_layer():
    # Columns: nothing but background; an opaque 1 behind a clear 2; both opaque; 2 half-clear.
    opacity = jnp.array([[1, 1, 1, 1], [0, 1, 1, 1], [0, 0, 1, 0.4]], jnp.float32)
    np.testing.assert_array_equal(scenes.front(opacity), [0, 1, 2, 1])
