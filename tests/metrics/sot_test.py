"""Single boxes: recorded results of four evaluators, a case worked out by hand, and what must always hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from difftrack_jax.errors import UserError
from difftrack_jax.metrics import got10k, sot

from .recorded import load

# pytracking keeps its curves in float32.
SINGLE = 2e-7


def arrays(case):
    absent = np.array(case["absent"], bool) if case.get("absent") is not None else None
    boxes = lambda key: np.array([[np.nan if v is None else v for v in row] for row in case[key]], np.float64)
    return boxes("gt"), boxes("pred"), absent


def assert_curves(state, theirs, tolerance):
    names = {"success": "success_curve", "precision": "precision_curve", "norm_precision": "norm_precision_curve"}
    for ours, name in names.items():
        np.testing.assert_allclose(sot.curves(state)[ours], theirs[name], rtol=0, atol=tolerance)


@pytest.mark.parametrize("rates", ["divide_by_all_frames", "exclude_invalid_frames"])
def test_recorded_results_of_pytracking(shared, rates):
    recorded = load(shared("goldens/metrics/sot.json"))
    states = {}
    for case in recorded["cases"]:
        rules = sot.RULES[f"pytracking_{case['dataset']}"]
        rules = rules._replace(rates="valid") if rates == "exclude_invalid_frames" else rules
        theirs, inputs = case["pytracking"], arrays(case)
        errors = sot.frame_errors(*inputs, rules)
        expected = [theirs[name] for name in ("err_overlap", "err_center", "err_center_normalized")]
        for ours, values in zip(errors, expected):
            values = np.array([np.inf if v in ("Infinity", "inf") else v for v in values], np.float64)
            np.testing.assert_allclose(ours, values, rtol=0, atol=1e-9)
        np.testing.assert_array_equal(errors.valid, theirs["valid"])
        state = states.setdefault(case["dataset"], {})[case["id"]] = sot.evaluate(*inputs, rules)
        assert_curves(state, theirs[rates], SINGLE)
        np.testing.assert_allclose(sot.compute(state)["average_overlap"], theirs["avg_overlap_valid"], atol=1e-9)
    for name, theirs in recorded["pytracking"]["dataset_level"].items():
        assert list(states[name]) == theirs["ids"]
        ours = sot.compute(sot.merge(list(states[name].values())))
        scores = {"success": "AUC", "precision": "P20", "norm_precision": "NP_at_0_20"}
        scores["norm_precision_auc"] = "NP_curve_mean_percent"
        for score, column in scores.items():
            np.testing.assert_allclose(ours[score], theirs[rates][column] / 100, rtol=0, atol=SINGLE)


def test_recorded_results_of_the_got10k_toolkit(shared):
    for case in load(shared("goldens/metrics/sot.json"))["cases"]:
        theirs, inputs = case["got10k_toolkit_lasot"], arrays(case)
        state = sot.evaluate(*inputs, sot.RULES["got10k"])
        assert_curves(state, theirs, 1e-12)
        ours = sot.compute(state)
        scores = {"success": "success_score", "precision": "precision_score"}
        scores["norm_precision_auc"] = "normalized_precision_score"
        for score, column in scores.items():
            np.testing.assert_allclose(ours[score], theirs[column], rtol=0, atol=1e-12)


def test_recorded_results_of_the_lasot_toolkit(shared):
    recorded = load(shared("goldens/metrics/sot.json"))
    cases = {case["id"]: case for case in recorded["cases"]}
    scores = {"success": "AUC", "precision": "P20", "norm_precision": "NP_at_0_20", "norm_precision_auc": "NP_AUC"}
    states = []
    for key, theirs in recorded["lasot_matlab"]["per_seq"].items():
        states.append(sot.evaluate(*arrays(cases[key])))
        assert_curves(states[-1], theirs, 1e-12)
    means = sot.compute(sot.merge(states)), recorded["lasot_matlab"]["mean_over_sequences"]
    for score, column in scores.items():
        np.testing.assert_allclose(means[0][score], means[1][column], rtol=0, atol=1e-12)


def test_recorded_results_of_got10k(shared):
    recorded, states = load(shared("goldens/metrics/sot.json"))["got10k"], []
    for case in recorded["sequences"]:
        gt, cover = np.array(case["gt"], np.float64), np.array(case["cover"], np.float64)
        runs, size = [np.array(run, np.float64) for run in case["pred_runs"]], tuple(case["resolution"])
        for run, expected in zip(runs, case["ious_runs"], strict=True):
            np.testing.assert_allclose(got10k.frame_overlaps(gt, run, cover, size), expected, rtol=0, atol=1e-12)
        states.append(got10k.evaluate(gt, runs, cover, size))
        assert_got10k(got10k.compute(states[-1]), case["seq"], "SR75")
    whole = got10k.merge(states)
    assert_got10k(got10k.compute(whole), recorded["overall"], "SR75_from_same_ious")
    np.testing.assert_allclose(got10k.curves(whole)["success"], recorded["overall"]["succ_curve_101"], atol=1e-12)


def assert_got10k(ours, theirs, strict):
    for score, column in {"AO": "AO", "SR_0.50": "SR50", "SR_0.75": strict}.items():
        np.testing.assert_allclose(ours[score], theirs[column], rtol=0, atol=1e-12)


def test_a_drifting_box_worked_out_by_hand():
    gt = np.tile([1.0, 1, 100, 100], (4, 1))
    pred = gt + [[0, 0, 0, 0], [20, 0, 0, 0], [50, 0, 0, 0], [200, 0, 0, 0]]
    # IoU 1, 80/120, 50/150, 0: above 20, 14, 7 and none of the 21 thresholds, over four frames.
    result = sot.compute(sot.evaluate(gt, pred))
    assert result["success"] == pytest.approx((20 + 14 + 7) / 84)
    # Distances 0, 20, 50, 200 pixels: 20 is still within 20. Normalised 0, 0.2, 0.5, 2: 51, 31, 1 and no thresholds.
    assert result["precision"] == 0.5
    assert result["norm_precision"] == 0.5
    assert result["norm_precision_auc"] == pytest.approx((51 + 31 + 1) / 204)


def test_perfect_is_20_of_21_and_lost_is_only_the_frame_given():
    gt = np.random.default_rng(0).uniform(10, 90, (10, 4))
    best = sot.compute(sot.evaluate(gt, gt))
    assert best["success"] == pytest.approx(20 / 21)
    assert best["precision"] == best["norm_precision"] == best["norm_precision_auc"] == 1
    assert best["average_overlap"] == pytest.approx(1)
    far = sot.compute(sot.evaluate(gt, gt + [1000, 1000, 0, 0]))
    assert far["success"] == pytest.approx(20 / 21 / 10)
    assert [far["precision"], far["norm_precision_auc"]] == pytest.approx([0.1, 0.1])
    zeros = sot.compute(sot.evaluate(gt, np.zeros((0, 4)), rules=sot.RULES["pytracking_otb"]))
    assert zeros["success"] == pytest.approx(20 / 21 / 10)


def test_got10k_perfect_is_one_and_lost_is_zero():
    gt = np.random.default_rng(0).uniform(10, 90, (10, 4))
    cover = np.full(10, 8.0)
    best = got10k.compute(got10k.evaluate(gt, [gt], cover, (640, 480)))
    assert best == {"AO": pytest.approx(1), "SR_0.50": 1.0, "SR_0.75": 1.0}
    worst = got10k.compute(got10k.evaluate(gt, [gt + [300, 300, 0, 0]], cover, (640, 480)))
    assert set(worst.values()) == {0.0}


def test_too_few_boxes_are_refused_unless_the_rules_say_otherwise():
    gt = np.tile([1.0, 1, 10, 10], (5, 1))
    with pytest.raises(UserError, match="3 boxes for 5 frames"):
        sot.evaluate(gt, gt[:3])
    with pytest.raises(UserError, match="3 boxes for 5 frames"):
        got10k.evaluate(gt, [gt[:3]], np.ones(5), (99, 99))
    assert sot.compute(sot.evaluate(gt, gt[:3], rules=sot.Rules(short="cut")))["precision"] == 1
    assert sot.compute(sot.evaluate(gt, gt[:3], rules=sot.Rules(short="zeros", hold=False)))["precision"] == 0.6 + 0.4


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_boxes_beyond_the_end_order_of_sequences_and_the_origin_change_nothing(seed):
    rng = np.random.default_rng(seed)
    gt = np.round(rng.uniform(5, 90, (3, 12, 4)) * 8) / 8
    pred = gt + np.round(rng.normal(0, 8, gt.shape)) / 8
    states = [sot.evaluate(g, p) for g, p in zip(gt, pred)]
    plain = sot.compute(sot.merge(states))
    assert sot.compute(sot.merge(states[::-1])) == pytest.approx(plain, abs=1e-15)
    longer = [sot.evaluate(g, np.concatenate([p, p[:4]])) for g, p in zip(gt, pred)]
    assert sot.compute(sot.merge(longer)) == plain
    moved = [sot.evaluate(g + [256, 64, 0, 0], p + [256, 64, 0, 0]) for g, p in zip(gt, pred)]
    # A normalised distance can fall on a threshold, on either side of it by the last bit: one frame of 36.
    assert sot.compute(sot.merge(moved)) == pytest.approx(plain, abs=1 / 36)
    for curve in sot.curves(states[0]).values():
        assert ((curve >= 0) & (curve <= 1)).all()
    assert (np.diff(sot.curves(states[0])["success"]) <= 0).all()
    assert (np.diff(sot.curves(states[0])["precision"]) >= 0).all()
