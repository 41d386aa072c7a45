"""TAP-Vid: queries as the benchmark samples them, and arrays that come back."""

import numpy as np
import pytest

from difftrack_jax.data.formats import tapvid
from difftrack_jax.errors import UserError


@pytest.fixture
def tracks(rng):
    occluded = rng.random((6, 13)) < 0.4
    occluded[2] = True  # never seen
    return tapvid.Tracks(rng.random((6, 13, 2)).astype(np.float32), occluded)


def test_first_queries_worked_out_by_hand():
    occluded = np.array([[True, False, False], [False, True, True], [True, True, True]])
    points = np.arange(18, dtype=np.float32).reshape(3, 3, 2) / 18
    queries = tapvid.sample(tapvid.Tracks(points, occluded), "first")
    assert queries.frame.tolist() == [1, 0]
    assert queries.track.tolist() == [0, 1]
    np.testing.assert_array_equal(queries.point, points[[0, 1], [1, 0]])


def test_strided_queries_ask_every_fifth_frame_by_frame(tracks):
    queries = tapvid.sample(tracks, "strided")
    want = [(t, n) for t in (0, 5, 10) for n in range(6) if not tracks.occluded[n, t]]
    assert list(zip(queries.frame, queries.track)) == want
    with pytest.raises(UserError, match="known are first, strided"):
        tapvid.sample(tracks, "last")


def test_rows_and_back(tracks):
    back = tapvid.from_rows(tapvid.to_rows(tracks, (40, 30)), (40, 30), 13)
    np.testing.assert_array_equal(back.occluded, tracks.occluded)
    np.testing.assert_allclose(back.points, tracks.points, rtol=2e-7)


def test_results_come_back(tmp_path, tracks):
    queries = tapvid.sample(tracks, "first")
    found = tapvid.Tracks(tracks.points[queries.track], tracks.occluded[queries.track])
    tapvid.write(tmp_path / "a.npz", found, queries)
    back = tapvid.read(tmp_path / "a.npz")
    np.testing.assert_array_equal(back.points, found.points)
    np.testing.assert_array_equal(back.occluded, found.occluded)
    asked = np.load(tmp_path / "a.npz")["queries"]
    np.testing.assert_array_equal(asked[:, 0], queries.frame)
    np.testing.assert_array_equal(asked[:, :0:-1], queries.point)


def test_wrong_results_are_named(tmp_path):
    np.savez(tmp_path / "a.npz", points=np.zeros((2, 3, 2)), occluded=np.zeros((2, 4), bool))
    with pytest.raises(UserError, match=r"a\.npz: points \(2, 3, 2\) and occluded \(2, 4\)"):
        tapvid.read(tmp_path / "a.npz")
    with pytest.raises(UserError, match="do not belong together"):
        tapvid.from_pickle({"video": [b""], "points": np.zeros((2, 3, 2)), "occluded": np.zeros((2, 3))}, "x")


def test_queries_agree_with_recorded_ones(shared):
    data = np.load(shared("data/tapvid_badja/dog.npz"))
    tracks = tapvid.Tracks(data["points"], data["occluded"])
    for mode in ("first", "strided"):
        queries = tapvid.sample(tracks, mode)
        asked = np.concatenate([queries.frame[:, None], queries.point[:, ::-1] * 256.0], axis=1)
        np.testing.assert_allclose(asked, data[f"{mode}_query_points"][0], rtol=1e-6)
