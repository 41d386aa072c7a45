import jax.numpy as jnp
import numpy as np

from difftrack_jax.tracking import objective


def test_rows_of_the_truth_sum_to_one_and_hidden_cells_point_at_the_null_key(rng):
    source = jnp.asarray(rng.uniform(0.5, 3.5, (1, 2, 16, 2)), jnp.float32)
    seen = jnp.asarray(rng.uniform(size=(1, 2, 16)) < 0.5)
    rows = objective.correspondence_targets(source, seen, 4)
    np.testing.assert_allclose(rows.sum(-1), 1.0, rtol=1e-6)
    np.testing.assert_array_equal(np.asarray(rows[..., -1]) == 1.0, ~np.asarray(seen).any(1))
    np.testing.assert_array_equal(np.asarray(rows[..., :16].sum(-1) > 0), np.asarray(seen)[:, 0])


def test_a_source_that_two_references_show_is_split_evenly(rng):
    source = jnp.asarray(rng.uniform(0.5, 3.5, (1, 2, 16, 2)), jnp.float32)
    rows = objective.correspondence_targets(source, jnp.ones((1, 2, 16), bool), 4)
    np.testing.assert_allclose(rows[..., :16].sum(-1), 0.5, rtol=1e-6)
    np.testing.assert_allclose(rows[..., 16:32].sum(-1), 0.5, rtol=1e-6)


def test_pooling_the_truth_of_still_references_gives_the_truth_of_the_coarser_still_frame():
    grid = np.stack(np.meshgrid(np.arange(4) + 0.5, np.arange(4) + 0.5), -1).reshape(1, 1, 16, 2)
    still = jnp.asarray(np.repeat(grid, 2, axis=1), jnp.float32)
    fine = objective.correspondence_targets(still, jnp.ones((1, 2, 16), bool), 4)
    coarse = objective.pool_targets(fine, 4)
    np.testing.assert_allclose(coarse[0], np.concatenate([np.eye(4), np.eye(4), np.zeros((4, 1))], 1) / [[2] * 8 + [1]])


def test_the_cross_entropy_is_least_at_the_truth(rng):
    truth = rng.dirichlet(np.ones(5), (1, 3))
    other = rng.dirichlet(np.ones(5), (1, 3))
    at_truth = objective.cross_entropy(jnp.asarray(truth), jnp.asarray(truth))
    assert np.all(np.asarray(at_truth) <= np.asarray(objective.cross_entropy(jnp.asarray(other), jnp.asarray(truth))))


def _shifted(grid, by):
    """True rows between two views of one picture, the second moved by (x, y) cells, which may be a part of one."""
    at = np.stack(np.meshgrid(np.arange(grid) + 0.5, np.arange(grid) + 0.5), -1).reshape(1, 1, -1, 2)
    source = jnp.asarray(at + np.array(by), jnp.float32)
    return objective.correspondence_targets(source, jnp.ones(source.shape[:3], bool), grid)[..., :-1]


def test_a_walk_along_true_rows_comes_home_and_one_along_wrong_rows_does_not():
    inside = np.zeros((6, 6), bool)
    inside[2:4, 2:4] = True
    there, back = _shifted(6, (1.5, -0.3)), _shifted(6, (-1.5, 0.3))
    home = np.asarray(objective.there_and_back(there, back, 6))[0]
    np.testing.assert_allclose(home[inside.ravel()], 1.0, atol=1e-5)
    lost = np.asarray(objective.there_and_back(there, there, 6))[0]
    assert lost[inside.ravel()].max() < 0.5


def test_a_walk_counts_only_what_goes_to_the_other_query():
    rows = _shifted(6, (0, 0))
    np.testing.assert_allclose(objective.there_and_back(0.1 * rows, 0.4 * rows, 6), 1.0, atol=1e-5)
