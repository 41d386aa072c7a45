"""TAP-Vid: official pickles or arrays, and predictions in the order of the queries."""

import pickle

import numpy as np
import pytest

from difftrack_jax.errors import UserError
from difftrack_jax.metrics import tapvid

from .made_up import dump, score

N, T = 4, 11


@pytest.fixture
def clip():
    rng = np.random.default_rng(3)
    points, occluded = rng.random((N, T, 2), np.float32), rng.random((N, T)) < 0.3
    return points, occluded


def results(folder, points, occluded, track):
    folder.mkdir(exist_ok=True)
    np.savez(folder / "clip.npz", points=points[track], occluded=occluded[track])
    return folder


@pytest.mark.parametrize("mode", tapvid.MODES)
@pytest.mark.parametrize("pickled", [False, True])
def test_the_truth_scores_1(tmp_path, clip, mode, pickled):
    points, occluded = clip
    truth = tmp_path / "truth"
    truth.mkdir()
    if pickled:
        video = np.zeros((T, 8, 8, 3), np.uint8)
        entry = {"clip": {"video": video, "points": points, "occluded": occluded}}
        (truth / "tapvid_davis.pkl").write_bytes(pickle.dumps(entry))
    else:
        np.savez(truth / "clip.npz", points=points, occluded=occluded)
    sample = tapvid.sample_first if mode == "first" else tapvid.sample_strided
    predictions = results(tmp_path / "predictions", points, occluded, sample(points, occluded).track)
    best = score("tapvid_davis", predictions, truth, split="test", queries=mode)
    assert best["average_jaccard"] == best["occlusion_accuracy"] == 1
    with pytest.raises(UserError, match=rf"clip\.npz: 1 tracks of {T} frames, for [0-9]+ {mode} queries in {T} frames"):
        score(
            "tapvid_davis", results(tmp_path / "predictions", points, occluded, [0]), truth, queries=mode, split="test"
        )


def test_lists_in_json_are_arrays_too(tmp_path, clip):
    points, occluded = clip
    dump(tmp_path / "truth" / "clip.json", {"points": points.tolist(), "occluded": occluded.tolist()})
    track = tapvid.sample_first(points, occluded).track
    entry = {"points": points[track].tolist(), "occluded": occluded[track].tolist()}
    predictions = dump(tmp_path / "predictions" / "clip.json", entry).parent
    assert score("tapvid_davis", predictions, tmp_path / "truth", queries="first")["average_jaccard"] == 1


def test_another_protocol_is_refused(tmp_path, clip):
    predictions = results(tmp_path, *clip, slice(None))
    with pytest.raises(UserError, match="queries 'all': known are first, strided"):
        score("tapvid_davis", predictions, tmp_path, queries="all")
