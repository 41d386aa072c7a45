"""Patches are found again to a fraction of a pixel, and stay where they were where nothing can be seen."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.ops.alignment import align
from difftrack_jax.ops.sampling import cell_centres, gaussian_blur

CENTRES = cell_centres(6, 6) * 8 + 12


def texture(shift=(0.0, 0.0)):
    """A smooth random image [72, 72] whose content has moved by `shift` (x, y) pixels."""
    rng = np.random.default_rng(0)
    waves, phase = rng.uniform(-0.5, 0.5, (24, 2)), rng.uniform(0, 2 * np.pi, 24)
    at = np.asarray(cell_centres(72, 72)) - np.asarray(shift)
    return jnp.asarray(np.sin(at @ waves.T + phase).mean(1).reshape(72, 72), jnp.float32)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (2.3, -1.6), (-0.4, 0.7)])
def test_a_shift_is_found_to_a_twentieth_of_a_pixel(shift):
    found, unlike = jax.jit(align)(texture(shift), texture(), CENTRES, CENTRES)
    np.testing.assert_allclose(np.median(found - CENTRES, axis=0), shift, atol=0.05)
    assert float(jnp.median(unlike)) < 1e-3


def test_brighter_light_changes_nothing():
    image, template = texture((1.5, 0.5)), texture()
    lit, same = (align(i, template, CENTRES, CENTRES) for i in (image + 0.3, image))
    chex.assert_trees_all_close(lit, same, atol=1e-3)


def test_without_texture_the_start_is_the_answer():
    flat, start = jnp.zeros((72, 72)), CENTRES + 1.25
    np.testing.assert_array_equal(align(flat, flat, CENTRES, start)[0], start)


def test_a_better_start_is_never_left_for_a_worse_fit():
    noise = gaussian_blur(jax.random.normal(jax.random.key(0), (1, 72, 72, 1)), jnp.ones(1))[0, ..., 0]
    found, _ = align(noise, texture(), CENTRES, CENTRES)
    assert np.abs(np.asarray(found - CENTRES)).max() < 6.0
