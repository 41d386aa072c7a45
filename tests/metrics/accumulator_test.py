"""CLEAR by py-motmetrics' rules: its recorded numbers and published tables, and where it differs from TrackEval."""

import numpy as np
import pytest

from difftrack_jax.metrics import accumulator, identity, mot
from difftrack_jax.metrics.frames import Frame

from .recorded import load, pairwise_iou, table


def tud(folder):
    """Frames of one of the TUD sequences."""
    gt, pred = table(folder / "gt.txt", 10), table(folder / "test.txt", 10)
    frames = []
    for time in range(1, int(gt[:, 0].max()) + 1):
        g, p = gt[gt[:, 0] == time], pred[pred[:, 0] == time]
        frames.append(Frame(g[:, 1].astype(int), p[:, 1].astype(int), pairwise_iou(g[:, 2:6], p[:, 2:6])))
    return frames


@pytest.mark.parametrize("name", ["TUD-Campus", "TUD-Stadtmitte"])
def test_recorded_results_of_py_motmetrics(shared, name):
    frames = tud(shared("data/motmetrics_tud") / name)
    theirs = load(shared("data/motmetrics_tud/expected_motmetrics_1.4.json"))["values"][name]
    ours = accumulator.compute(accumulator.evaluate(accumulator.from_similarity(frames)))
    ids = identity.compute(identity.evaluate(frames))
    ours |= {"idf1": ids["IDF1"], "idp": ids["IDP"], "idr": ids["IDR"], "num_unique_objects": theirs["mostly_lost"]}
    ours["num_unique_objects"] += theirs["mostly_tracked"] + theirs["partially_tracked"]
    for key, value in theirs.items():
        np.testing.assert_allclose(ours[key], value, rtol=0, atol=1e-12, err_msg=key)


@pytest.mark.parametrize("name", ["TUD-Campus", "TUD-Stadtmitte"])
def test_published_numbers_of_the_motchallenge_devkit(shared, name):
    frames = tud(shared("data/motmetrics_tud") / name)
    theirs = load(shared("data/motmetrics_tud/published_values.json"))["MOTChallenge_devkit"][name]
    ours = mot.compute(mot.evaluate(frames))
    names = {
        "IDF1": "IDF1", "IDP": "IDP", "IDR": "IDR", "Rcll": "CLR_Re", "Prcn": "CLR_Pr", "MOTA": "MOTA", "MOTP":
        "MOTP", "MOTAL": "MOTAL", "GT": "GT_IDs", "MT": "MT", "PT": "PT", "ML": "ML", "FP": "CLR_FP", "FN": "CLR_FN",
        "IDs": "IDSW",
    }  # fmt: skip
    for column, key in names.items():
        printed = ours[key] if isinstance(ours[key], int) else 100 * ours[key]
        # Printed to one digit behind the point. The devkit's MOTAL takes log10(switches + 1), TrackEval's without 1.
        assert printed == pytest.approx(theirs[column], abs=0.1 if column == "MOTAL" else 0.051), column
    assert ours["FP_per_frame"] == pytest.approx(theirs["FAR"], abs=0.0051)


def pairs(*frames):
    """Frames of {(target, prediction): distance}, all else impossible."""
    out = []
    for possible in frames:
        gt, pred = (np.array(sorted({pair[side] for pair in possible}), np.int64) for side in (0, 1))
        distance = np.array([[possible.get((g, p), np.inf) for p in pred.tolist()] for g in gt.tolist()], np.float64)
        out.append(accumulator.Pairs(gt, pred, distance.reshape(len(gt), len(pred))))
    return out


def count(*frames):
    return accumulator.compute(accumulator.evaluate(pairs(*frames)))


def test_a_pair_goes_on_after_a_gap_although_a_nearer_one_is_there():
    gap = {(1, 9): np.inf}
    frames = ({(1, 5): 0.1}, gap, {(1, 5): 0.4, (1, 6): 0.0})
    assert count(*frames)["num_switches"] == 0
    similar = [Frame(p.gt, p.pred, np.where(np.isfinite(p.distance), 1 - p.distance, 0)) for p in pairs(*frames)]
    assert mot.compute(mot.evaluate(similar))["IDSW"] == 1  # TrackEval remembers only the frame before


def test_switches_transfers_ascends_and_migrations():
    swapped = count({(1, 5): 0.1, (2, 6): 0.1}, {(1, 6): 0.1, (2, 5): 0.1})
    assert [swapped[name] for name in ("num_switches", "num_transfer", "num_ascend", "num_migrate")] == [2, 2, 0, 0]
    fresh = count({(1, 5): 0.1}, {(1, 6): 0.1})
    assert [fresh[name] for name in ("num_switches", "num_transfer", "num_ascend", "num_migrate")] == [1, 0, 1, 0]
    moved = count({(1, 5): 0.1}, {(2, 5): 0.1})
    assert [moved[name] for name in ("num_switches", "num_transfer", "num_ascend", "num_migrate")] == [0, 1, 0, 1]


def test_most_pairs_come_before_least_distance():
    result = count({(1, 5): 0.0, (1, 6): 0.5, (2, 5): 0.5})
    assert result["num_detections"] == 2
    assert result["motp"] == 0.5


def test_perfect_is_one_and_nothing_is_zero():
    frame = {(1, 5): 0.0, (2, 6): 0.0}
    best = count(frame, frame)
    assert (best["mota"], best["motp"], best["recall"], best["precision"], best["mostly_tracked"]) == (1, 0, 1, 1, 2)
    missed = [accumulator.Pairs(np.array([1]), np.zeros(0, int), np.zeros((1, 0)))] * 3
    worst = accumulator.compute(accumulator.evaluate(missed))
    assert (worst["mota"], worst["recall"], worst["mostly_lost"]) == (0, 0, 1)
    assert np.isnan(worst["motp"])
