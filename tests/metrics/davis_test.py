"""Masks of DAVIS: recorded results of the official package, small pictures worked out by hand, and what must hold."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from difftrack_jax.errors import UserError
from difftrack_jax.metrics import davis

from .recorded import load


@pytest.fixture
def recorded(shared):
    with np.load(shared("goldens/metrics/davis.npz")) as z:
        yield load(shared("goldens/metrics/davis.json")), z


def assert_group(group, z, decay=True):
    states = []
    for key in group["sequences"]:
        j, f = davis.frame_scores(z[f"{key}/gt"], z[f"{key}/pred"])
        np.testing.assert_allclose(j, group["per_frame"][key]["J"], rtol=0, atol=1e-12)
        np.testing.assert_allclose(f, group["per_frame"][key]["F"], rtol=0, atol=1e-12)
        states.append(davis.summarise(j, f))
        for number, ours in enumerate(states[-1].values, 1):
            theirs = group["per_object"][f"{key}_{number}"]
            for column, name in enumerate(("J_mean", "J_recall", "J_decay", "F_mean", "F_recall", "F_decay")):
                if decay or not name.endswith("decay"):
                    np.testing.assert_allclose(ours[column], theirs[name], rtol=0, atol=1e-12)
    ours = davis.compute(davis.merge(states))
    for name, theirs in group["global_"].items():
        if decay or not name.endswith("Decay"):
            np.testing.assert_allclose(ours[name], theirs, rtol=0, atol=1e-12, err_msg=name)


def test_recorded_results_of_the_official_package(recorded):
    assert_group(recorded[0]["main"], recorded[1])


def test_a_long_sequence_has_the_recorded_means_and_a_decay_of_its_own(recorded):
    assert_group(recorded[0]["long_sequence"], recorded[1], decay=False)


def test_recorded_statistics_and_where_the_reference_wraps(recorded, monkeypatch):
    bins, wrapped = davis.bin_edges, 0
    for case in recorded[0]["db_statistics"]:
        values = np.array(case["values"], np.float64)
        ours = davis.statistics(values)
        if len(values) > 256:  # the reference's, with its 8-bit bins
            wrapped += 1
            with warnings.catch_warnings(action="ignore"), monkeypatch.context() as patch:
                patch.setattr(davis, "bin_edges", lambda n: bins(n).astype(np.uint8).astype(np.int64))
                theirs = davis.statistics(values)
            np.testing.assert_allclose(theirs, [case["M"], case["R"], case["D"]], rtol=0, atol=1e-12)
            assert np.isfinite(ours[2])
        else:
            np.testing.assert_allclose(ours, [case["M"], case["R"], case["D"]], rtol=0, atol=1e-12)
    assert wrapped


def test_recorded_single_pictures(recorded):
    for case in recorded[0]["direct"]:
        gt, pred = (recorded[1][f"{case['id']}/{name}"] > 0 for name in ("gt", "pred"))
        if case["void_used"]:
            kept = recorded[1][f"{case['id']}/void"] == 0
            gt, pred = gt & kept, pred & kept
        np.testing.assert_allclose(davis.region(gt[None], pred[None])[0], case["J"], rtol=0, atol=1e-12)
        np.testing.assert_allclose(
            davis.contour(gt[None], pred[None], float(case["bound_th"]))[0], case["F"], rtol=0, atol=1e-12
        )


def test_decay_worked_out_by_hand():
    # Eight frames: bins are frames 0-2, 2-4, 4-5, 5-7, so .9 - .4.
    mean, recall, decay = davis.statistics(np.array([1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3]))
    assert (mean, recall, decay) == pytest.approx((0.65, 0.625, 0.5))


def square(size, top, left, side):
    mask = np.zeros(size, bool)
    mask[top : top + side, left : left + side] = True
    return mask


def test_a_boundary_may_be_off_by_the_radius_and_no_more():
    # 200 x 150 has a diagonal of 250, so a radius of 2.
    gt = square((200, 150), 50, 50, 40)[None]
    assert davis.contour(gt, square((200, 150), 52, 50, 40)[None]) == 1.0
    assert davis.contour(gt, square((200, 150), 53, 50, 40)[None]) < 1.0
    inner, outer = square((200, 150), 53, 50, 40)[None], 40 * 37
    assert davis.region(gt, inner) == outer / (2 * 1600 - outer)


def video(rng, t=6, objects=2):
    labels = np.zeros((t, 40, 50), np.uint8)
    for label in range(1, objects + 1):
        for frame in range(t):
            top, left = rng.integers(0, 25), rng.integers(0, 35)
            labels[frame, top : top + 10, left : left + 12] = label
    labels[0, :2, :objects] = np.arange(1, objects + 1)
    return labels


def test_perfect_is_one_and_nothing_is_zero(rng):
    gt = video(rng)
    gt[:, :4, :4], gt[:, 35:, 45:] = 1, 2  # never quite covered
    best = davis.compute(davis.evaluate(gt, gt))
    assert [best[name] for name in ("J&F-Mean", "J-Mean", "F-Mean", "J-Recall", "J-Decay")] == [1, 1, 1, 1, 0]
    worst = davis.compute(davis.evaluate(gt, np.zeros_like(gt)))
    assert set(worst.values()) == {0.0}
    free = davis.compute(davis.evaluate_unsupervised(gt, gt * 3))
    assert free["J&F-Mean"] == 1


def test_an_object_gone_on_both_sides_is_right(rng):
    gt = np.zeros((5, 8, 8), np.uint8)
    gt[0, 2:4, 2:4] = 1
    assert davis.compute(davis.evaluate(gt, gt))["J-Mean"] == 1
    stray = gt.copy()
    stray[2, 0, 0] = 1
    assert davis.compute(davis.evaluate(gt, stray))["J-Mean"] == pytest.approx(2 / 3)


def test_first_and_last_frame_do_not_count(rng):
    gt = video(rng)
    pred = gt.copy()
    pred[0], pred[-1] = 0, 0
    assert davis.compute(davis.evaluate(gt, pred)) == davis.compute(davis.evaluate(gt, gt))


def test_labels_that_the_first_frame_lacks_are_refused(rng):
    gt = video(rng)
    with pytest.raises(UserError, match="label 7 is predicted, but the first frame has objects 1 to 2 only"):
        davis.evaluate(gt, np.full_like(gt, 7))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_margins_mirrors_and_sides_change_nothing(seed):
    rng = np.random.default_rng(seed)
    frame = ((0, 0), (2, 2), (2, 2))  # objects that touch no border have the same boundary in a larger picture
    a, b = (np.pad(video(rng, t=3, objects=1)[:, 2:-2, 2:-2] > 0, frame) for _ in range(2))
    wider = lambda masks: np.pad(masks, ((0, 0), (3, 5), (4, 2)))
    mirror = lambda masks: masks[:, ::-1].transpose(0, 2, 1)
    for change in (wider, mirror):
        np.testing.assert_array_equal(davis.region(a, b), davis.region(change(a), change(b)))
    np.testing.assert_allclose(davis.contour(a, b, 2.0), davis.contour(wider(a), wider(b), 2.0))
    np.testing.assert_allclose(davis.contour(a, b, 2.0), davis.contour(b, a, 2.0))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_unsupervised_does_not_mind_the_names_of_objects(seed):
    rng = np.random.default_rng(seed)
    gt, pred = video(rng), video(rng, objects=3)
    renamed = np.array([0, 9, 4, 6], np.uint8)[pred]
    a, b = (davis.evaluate_unsupervised(gt, p, matching="J&F") for p in (pred, renamed))
    np.testing.assert_allclose(np.sort(a.values, axis=0), np.sort(b.values, axis=0))
