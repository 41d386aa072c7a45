"""The Frechet distance and its pictures: recorded results of two implementations, and what must always hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from difftrack_jax.metrics import frechet, fvd

from .recorded import load


def test_recorded_distances(shared):
    recorded, path = load(shared("goldens/metrics/frechet.json")), shared("goldens/metrics/frechet.npz")
    with np.load(path) as z:
        for case in recorded["cases"]:
            real, generated = (frechet.evaluate(z[f"{case['id']}/{side}"]) for side in "xy")
            # With fewer samples than dimensions the references' own roots are only good to four digits.
            soft = min(case["n_x"], case["n_y"]) <= case["dim"]
            tolerance = {"rtol": 1e-4, "atol": 1e-6} if soft else {"rtol": 1e-9, "atol": 1e-9}
            for name in ("styleganv_numpy_float64", "videogpt_torch_float64"):
                theirs = case.get(name)
                if theirs is not None:
                    np.testing.assert_allclose(
                        frechet.distance(real, generated), theirs, **tolerance, err_msg=str(case)
                    )
            if "mean_term" in case:
                np.testing.assert_allclose(np.square(real.mean - generated.mean).sum(), case["mean_term"], rtol=1e-9)
            for state, trace in ((real, "trace_x"), (generated, "trace_y")):
                if state.count > 1 and case.get(trace) is not None:
                    np.testing.assert_allclose(np.trace(state.scatter) / (state.count - 1), case[trace], rtol=1e-9)


def test_recorded_pictures(shared):
    recorded = load(shared("goldens/metrics/fvd_preprocess.json"))
    with np.load(shared("goldens/metrics/fvd_preprocess.npz")) as z:
        for case in recorded["cases"]:
            video = z[f"{case['id']}/video_uint8_bcthw"][0].transpose(1, 2, 3, 0)
            ours = fvd.preprocess(np.ascontiguousarray(video), case["resolution"]).transpose(3, 0, 1, 2)
            for name in ("styleganv", "videogpt"):
                np.testing.assert_allclose(ours, z[f"{case['id']}/{name}"], rtol=0, atol=1e-6, err_msg=case["id"])


def test_two_gaussians_worked_out_by_hand():
    # Means differ by (1, 2, 2): 9. Roots of diag(1, 4, 9) diag(4, 1, 9): 2 + 2 + 9 = 13, so 14 + 14 - 26 = 2 more.
    states = [
        frechet.State(101, np.array(mean, np.float64), 100 * np.diag(np.array(spread, np.float64)))
        for mean, spread in (((0, 0, 0), (1, 4, 9)), ((1, 2, 2), (4, 1, 9)))
    ]
    assert frechet.compute(tuple(states)) == {"frechet": pytest.approx(11), "real": 101, "generated": 101}


def test_a_picture_of_the_right_size_is_only_scaled(rng):
    video = rng.integers(0, 256, (2, 32, 32, 3), np.uint8)
    np.testing.assert_allclose(fvd.preprocess(video, 32), video / 127.5 - 1, atol=1e-6)
    assert fvd.preprocess(video[:, :, :20], 32).shape == (2, 32, 32, 3)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_symmetric_never_negative_zero_for_itself_and_mergeable(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(0, 1, (40, 5)), rng.normal(0.3, 2, (30, 5)) @ rng.normal(0, 1, (5, 5))
    a, b = frechet.evaluate(x), frechet.evaluate(y)
    distance = frechet.distance(a, b)
    assert distance >= 0
    assert frechet.distance(b, a) == pytest.approx(distance, rel=1e-9)
    assert frechet.distance(a, frechet.evaluate(x[::-1])) == pytest.approx(0, abs=1e-9)
    turn, _ = np.linalg.qr(rng.normal(0, 1, (5, 5)))
    moved = [frechet.evaluate(z @ turn + 7) for z in (x, y)]
    assert frechet.distance(*moved) == pytest.approx(distance, rel=1e-7)
    parts = [frechet.evaluate(part) for part in np.split(x, (1, 9, 20))]
    for order in (parts, parts[::-1]):
        merged = frechet.merge(order)
        assert merged.count == 40
        np.testing.assert_allclose(merged.mean, a.mean, atol=1e-12)
        np.testing.assert_allclose(merged.scatter, a.scatter, atol=1e-10)
