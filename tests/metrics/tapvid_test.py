"""Points: tapnet's recorded results, a case worked out by hand, and what must always hold."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from difftrack_jax.metrics import tapvid

from .recorded import load


def video(z, case, index):
    fields = ("query_points", "gt_occluded", "gt_tracks", "pred_occluded", "pred_tracks")
    return {name: z[f"{case}/{name}"][index] for name in fields}


def test_recorded_results_per_video_and_per_track(shared):
    recorded, path = load(shared("goldens/metrics/tapvid.json")), shared("goldens/metrics/tapvid.npz")
    assert len(recorded["cases"]) == 33
    with np.load(path) as z:
        for case in recorded["cases"]:
            for index in range(case["b"]):
                inputs = {**video(z, case["id"], index), "query_mode": case["query_mode"]}
                whole = tapvid.columns(tapvid.evaluate(**inputs))
                tracks = tapvid.columns(tapvid.evaluate(**inputs, per_track=True))
                for name, expected in case["outputs"].items():
                    np.testing.assert_allclose(whole[name], expected[index], rtol=0, atol=1e-12, err_msg=case["id"])
                    each = z[f"{case['id']}/trackwise/{name}"][index]
                    np.testing.assert_allclose(tracks[name], each, rtol=0, atol=1e-12, err_msg=case["id"])


def test_recorded_queries(shared):
    recorded, path = load(shared("goldens/metrics/tapvid.json")), shared("goldens/metrics/tapvid.npz")
    with np.load(path) as z:
        for case in recorded["samplers"]:
            key, points, occluded = (
                case["id"],
                z[f"{case['id']}/target_points"],
                z[f"{case['id']}/target_occluded"],
            )
            for mode, queries in (
                ("first", tapvid.sample_first(points, occluded)),
                ("strided", tapvid.sample_strided(points, occluded, case["query_stride"])),
            ):
                np.testing.assert_array_equal(queries.points, z[f"{key}/{mode}/query_points"][0])
                np.testing.assert_array_equal(points[queries.track], z[f"{key}/{mode}/target_points"][0])
                np.testing.assert_array_equal(occluded[queries.track], z[f"{key}/{mode}/occluded"][0])
            np.testing.assert_array_equal(queries.track, z[f"{key}/strided/trackgroup"][0])


def by_hand(mode, prediction=((10, 10), (99, 99), (33, 30), (40, 40))):
    truth = np.array([[(10, 10), (20, 20), (30, 30), (40, 40)]], np.float64)
    occluded = np.array([[False, False, False, True]])
    shown = np.zeros((1, 4), bool)
    result = tapvid.evaluate(
        np.array([[1.0, 20, 20]]), occluded, truth, shown, np.array([prediction], np.float64), mode
    )
    return tapvid.compute(result)


@pytest.mark.parametrize(
    ("mode", "jaccard", "within", "accuracy"), [("first", 0.3, 0.6, 0.5), ("strided", 0.5, 0.8, 2 / 3)]
)
def test_a_track_worked_out_by_hand(mode, jaccard, within, accuracy):
    # After the query in frame 1 (its wrong prediction does not count): one visible point 3 pixels off, within 4, 8, 16,
    # and one false positive in the hidden last frame. Strided adds a perfect point in frame 0.
    result = by_hand(mode)
    names = ("average_jaccard", "average_pts_within_thresh", "occlusion_accuracy")
    assert [result[name] for name in names] == pytest.approx([jaccard, within, accuracy])


def test_a_distance_equal_to_the_threshold_is_too_far():
    result = by_hand("strided", ((11, 10), (20, 20), (31, 30), (40, 40)))
    assert result["pts_within_1"] == 0
    assert result["pts_within_2"] == 1


def random_video(seed, n=6, t=9):
    rng = np.random.default_rng(seed)
    tracks, occluded = rng.uniform(0, 256, (n, t, 2)), rng.random((n, t)) < 0.3
    occluded[:, 4] = False
    return {
        "query_points": np.stack([rng.integers(0, t - 1, n), *rng.uniform(0, 256, (2, n))], axis=1).astype(float),
        "gt_occluded": occluded,
        "gt_tracks": tracks,
        "pred_occluded": rng.random((n, t)) < 0.3,
        "pred_tracks": tracks + rng.normal(0, 4, tracks.shape),
        "query_mode": "strided",
    }


def test_perfect_is_one_and_saying_nothing_is_zero():
    inputs = random_video(0)
    perfect = {**inputs, "pred_occluded": inputs["gt_occluded"], "pred_tracks": inputs["gt_tracks"]}
    result = tapvid.compute(tapvid.evaluate(**perfect))
    assert {v for k, v in result.items() if k not in ("videos", "undefined")} == {1.0}
    hidden = {**inputs, "pred_occluded": np.ones_like(inputs["gt_occluded"])}
    assert tapvid.compute(tapvid.evaluate(**hidden))["average_jaccard"] == 0


def test_a_video_with_nothing_to_score_does_not_poison_the_mean():
    good, inputs = tapvid.evaluate(**random_video(1)), random_video(2)
    inputs["gt_occluded"] = np.ones_like(inputs["gt_occluded"])
    bad = tapvid.evaluate(**inputs)
    assert np.isnan(bad.within).all()
    both = tapvid.compute(tapvid.merge([good, bad]))
    assert both["average_pts_within_thresh"] == tapvid.compute(good)["average_pts_within_thresh"]
    assert both["videos"] == 2


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(tapvid.MODES))
def test_padding_and_order_of_tracks_change_nothing(seed, mode):
    inputs = {**random_video(seed), "query_mode": mode}
    rng, (n, t) = np.random.default_rng(seed), inputs["gt_occluded"].shape
    order = rng.permutation(n)
    shuffled = {name: value[order] if name != "query_mode" else value for name, value in inputs.items()}
    pad = lambda x, width: np.concatenate([x, rng.uniform(0, 9, (width, *x.shape[1:])).astype(x.dtype)])
    padded = {name: pad(value, 3) if name != "query_mode" else value for name, value in inputs.items()}
    for name in ("gt_occluded", "gt_tracks", "pred_occluded", "pred_tracks"):
        padded[name] = np.swapaxes(pad(np.swapaxes(padded[name], 0, 1), 2), 0, 1)
    valid = np.zeros((n + 3, t + 2), bool)
    valid[:n, :t] = True
    plain = tapvid.compute(tapvid.evaluate(**inputs))
    np.testing.assert_equal(tapvid.compute(tapvid.evaluate(**shuffled)), plain)
    np.testing.assert_equal(tapvid.compute(tapvid.evaluate(**padded, valid=valid)), plain)
    assert all(0 <= v <= 1 or np.isnan(v) for k, v in plain.items() if k not in ("videos", "undefined"))
    assert plain["average_jaccard"] <= plain["average_pts_within_thresh"] + 1e-12


def test_it_can_be_imported_alone_and_without_jax():
    code = (
        "import sys, difftrack_jax as dt; dt.metrics.tapvid.evaluate;"
        "assert 'jax' not in sys.modules, 'jax was imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
