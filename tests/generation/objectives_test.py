"""The loss: its weights have mean one, a perfect network has none, and each stage moves what the paper says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from difftrack_jax.diffusion import schedules
from difftrack_jax.diffusion.schedules import over
from difftrack_jax.generation.conditioning import Conditions
from difftrack_jax.generation.objectives import Rule, foreground, loss, moves
from difftrack_jax.models import variants
from difftrack_jax.models.tracklets import Tracklets
from difftrack_jax.models.unet3d import UNet3D, shapes


@pytest.fixture
def boxes(rng):
    low = rng.uniform(0, 0.6, (3, 2, 5, 2))
    high = low + rng.uniform(0, 0.4, low.shape)
    valid = rng.integers(0, 2, (3, 2, 5))
    valid[:, 0, 0], low[:, 0, 0], high[:, 0, 0] = 1, 0.1, 0.7  # one at least is there
    return jnp.asarray(np.concatenate([low, high], axis=-1), jnp.float32), jnp.asarray(valid, jnp.float32)


def test_weights_have_mean_one_and_the_foreground_is_as_many_times_heavier(boxes):
    weights = foreground(*boxes, 10, 15, 2.0)
    np.testing.assert_allclose(weights.mean(axis=(1, 2, 3)), 1.0, rtol=1e-5)
    for clip in weights:
        np.testing.assert_allclose(clip.max() / clip.min(), 2.0, rtol=1e-5)


def test_a_box_covers_whole_cells_counted_from_truncated_edges():
    """Columns floor(.1 * 10) = 1 to floor(.49 * 10) - 1 = 3, rows 2 to 3; one box overlaps, one is too small."""
    boxes = jnp.array([[0.1, 0.2, 0.49, 0.4], [0.2, 0.2, 0.4, 0.4], [0.71, 0.71, 0.78, 0.78]])[None, None]
    inside = foreground(boxes, jnp.ones((1, 1, 3)), 10, 10, 3.0)[0, 0]
    heavy = np.argwhere(inside == inside.max())
    assert {tuple(cell) for cell in heavy.tolist()} == {(row, column) for row in (2, 3) for column in (1, 2, 3)}


def test_absent_boxes_weigh_nothing(boxes):
    np.testing.assert_array_equal(foreground(boxes[0], jnp.zeros((3, 2, 5)), 8, 8, 2.0), 1.0)


@pytest.mark.parametrize("kind", ["noise", "data", "velocity"])
@pytest.mark.parametrize("weighting", ["flat", "velocity"])
def test_a_network_that_knows_the_data_has_no_loss(rng, boxes, kind, weighting):
    latents = jnp.asarray(rng.standard_normal((3, 2, 4, 6, 2)), jnp.float32)
    text = jnp.zeros((3, 1, 2))
    conditions = Conditions(text, text, Tracklets(*boxes, jnp.zeros((3, 5, 2))))
    schedule = schedules.scaled_linear()

    def knows(params, x, k, told, key):
        abar = over(schedule.alphas_cumprod[k.astype(jnp.int32)], x)
        noise = (x - jnp.sqrt(abar) * latents) / jnp.sqrt(1 - abar)
        velocity = jnp.sqrt(abar) * noise - jnp.sqrt(1 - abar) * latents
        return {"noise": noise, "data": latents, "velocity": velocity}[kind] + params

    run = lambda error, rule: loss(knows, error, latents, conditions, jax.random.key(1), schedule, rule)[0]
    assert run(0.0, Rule(kind, weighting=weighting)) < 1e-4
    # A constant error of e costs e^2 whatever the weights of the place, for their mean is one.
    np.testing.assert_allclose(run(0.1, Rule(kind)), 0.01, rtol=0.02)


def test_stages_move_as_many_parameters_as_published():
    """Stage 2 here has the null features besides, 2,240 of them."""
    flat = flatten_dict(shapes(UNet3D(**variants.UNET3D["trackdiffusion"])), sep="/")
    count = lambda stage: sum(int(np.prod(leaf.shape)) for name, leaf in flat.items() if moves(stage)(name))
    assert count("stage1") == 209_102_240 + 15_360 + 57_792
    assert count("stage2") == 694_973_266 + 2_240
    assert count("all") == 1_763_598_710
