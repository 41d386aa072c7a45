"""A slot is one instance for a clip; what is dropped is the null token, whatever it was."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.models.tracklets import LocationTokens, Tracklets

NET = LocationTokens(6, slots=3, hidden=8)


@pytest.fixture
def tracklets(rng):
    low = rng.uniform(0, 0.5, (2, 4, 3, 2))
    boxes = jnp.asarray(np.concatenate([low, low + 0.3], axis=-1), jnp.float32)
    return Tracklets(boxes, jnp.ones((2, 4, 3)), jnp.asarray(rng.standard_normal((2, 3, 6)), jnp.float32))


@pytest.fixture
def params(weights, tracklets):
    return jax.tree.map(jnp.asarray, weights(NET, tracklets))


def run(params, tracklets):
    return NET.apply({"params": params}, tracklets)


def test_a_box_dropped_everywhere_is_the_null_token(params, tracklets):
    """That of its slot: the instance's own part stays, as published."""
    out = run(params, tracklets._replace(valid=tracklets.valid.at[:, :, 1].set(0)))
    h = jnp.concatenate([params["null_positive_feature"], params["null_position_feature"]])
    for number in (0, 2, 4):
        layer = params[f"linears_{number}"]
        h = (jax.nn.silu(h) if number else h) @ layer["kernel"] + layer["bias"]
    null = h + params["instance_embedding"][1]
    np.testing.assert_allclose(out.location[:, :, 1], jnp.broadcast_to(null, (2, 4, 6)), atol=1e-5)
    whole = run(params, tracklets)
    np.testing.assert_array_equal(out.location[:, :, 0], whole.location[:, :, 0])
    assert jnp.abs(out.location - whole.location)[:, :, 1].max() > 1e-2


def test_tokens_know_their_own_frame_and_trajectories_all_frames_of_their_slot(params, tracklets):
    before = run(params, tracklets)
    after = run(params, tracklets._replace(boxes=tracklets.boxes.at[0, 2, 1].add(0.1)))
    moved = {
        name: np.abs(getattr(after, name) - getattr(before, name)).max(axis=-1) > 1e-6
        for name in ("location", "motion")
    }
    assert np.argwhere(moved["location"]).tolist() == [[0, 2, 1]]
    assert np.argwhere(moved["motion"]).tolist() == [[0, t, 1] for t in range(4)]


def test_the_instance_table_starts_at_zero_and_is_a_choice(tracklets):
    params = NET.init(jax.random.key(0), tracklets)["params"]
    np.testing.assert_array_equal(params["instance_embedding"], np.zeros((3, 6)))
    assert "instance_embedding" not in NET.clone(instances=False).init(jax.random.key(0), tracklets)["params"]


def test_another_number_of_slots_is_refused(tracklets):
    with pytest.raises(ValueError, match="3 slots given to a network of 4"):
        NET.clone(slots=4).init(jax.random.key(0), tracklets)
