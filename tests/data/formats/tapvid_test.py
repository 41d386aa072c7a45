"""TAP-Vid: arrays that come back."""

import numpy as np
import pytest

from difftrack_jax.data.formats import tapvid
from difftrack_jax.errors import UserError


@pytest.fixture
def tracks(rng):
    occluded = rng.random((6, 13)) < 0.4
    occluded[2] = True  # never seen
    return tapvid.Tracks(rng.random((6, 13, 2)).astype(np.float32), occluded)


def test_rows_and_back(tracks):
    back = tapvid.from_rows(tapvid.to_rows(tracks, (40, 30)), (40, 30), 13)
    np.testing.assert_array_equal(back.occluded, tracks.occluded)
    np.testing.assert_array_equal(back.points, tracks.points)


def test_results_come_back(tmp_path, tracks, rng):
    queries = rng.random((6, 3)).astype(np.float32)
    tapvid.write(tmp_path / "a.npz", tracks, queries)
    back = tapvid.read(tmp_path / "a.npz")
    np.testing.assert_array_equal(back.points, tracks.points)
    np.testing.assert_array_equal(back.occluded, tracks.occluded)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npz")["queries"], queries)


def test_wrong_results_are_named(tmp_path):
    np.savez(tmp_path / "a.npz", points=np.zeros((2, 3, 2)), occluded=np.zeros((2, 4), bool))
    with pytest.raises(UserError, match=r"a\.npz: points \(2, 3, 2\) and occluded \(2, 4\)"):
        tapvid.read(tmp_path / "a.npz")
    with pytest.raises(UserError, match="do not belong together"):
        tapvid.from_pickle({"video": [b""], "points": np.zeros((2, 3, 2)), "occluded": np.zeros((2, 3))}, "x")
