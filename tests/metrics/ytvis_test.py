"""Track AP: recorded results of the official script and of TrackEval, and what must always hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from difftrack_jax.metrics import ytvis

from .recorded import load

SETS = tuple(f"set{i}" for i in range(5))


def rle(mask):
    return mask and {"size": mask["size"], "counts": mask["counts"].encode()}


def states(shared, name, kind):
    gt, results = (load(shared(f"goldens/metrics/ytvis/{name}_{part}.json")) for part in ("gt", "results"))
    tubes = lambda entry: [rle(mask) for mask in entry["segmentations"]]
    if kind == "box":
        tubes = lambda entry: [mask and coco.toBbox(rle(mask)).tolist() for mask in entry["segmentations"]]
    for video in gt["videos"]:
        here, there = ([e for e in side if e["video_id"] == video["id"]] for side in (gt["annotations"], results))
        objects = [ytvis.Track(e["category_id"], tubes(e), crowd=bool(e["iscrowd"])) for e in here]
        found = [ytvis.Track(e["category_id"], tubes(e), float(e["score"])) for e in there]
        yield ytvis.evaluate(video["id"], objects, found, kind)


def undefined(values):
    """-1 is what the references say for nothing to score."""
    values = np.array(values, np.float64)
    return np.where(values == -1, np.nan, values)


@pytest.mark.parametrize("name", SETS)
def test_recorded_results_of_the_official_script(shared, name):
    recorded = load(shared("goldens/metrics/ytvis.json"))["sets"][name]
    whole = ytvis.merge(list(states(shared, name, "mask")))
    for key, theirs in recorded["mask_AP"].items():
        np.testing.assert_allclose(ytvis.compute(whole)[key], undefined(theirs), rtol=0, atol=1e-12, err_msg=key)
    for key, theirs in recorded["AP_per_category"].items():
        np.testing.assert_allclose(ytvis.per_category(whole).get(int(key), np.nan), undefined(theirs), atol=1e-12)
    overlaps = {f"{p.video},{p.category}": p.iou for p in whole.pairs}
    for key, theirs in recorded["iou_per_video_category"].items():
        theirs = np.array(theirs, np.float64)
        if theirs.size:
            np.testing.assert_allclose(overlaps[key], theirs, rtol=0, atol=1e-12)
    with np.load(shared(f"goldens/metrics/ytvis/{name}_precision.npz")) as z:
        run = ytvis._Evaluation(whole)
        kept = [k for k, c in enumerate(sorted(map(int, recorded["AP_per_category"]))) if c in run.categories]
        np.testing.assert_allclose(run.precision, z["precision"][:, :, kept], rtol=0, atol=1e-12)
        np.testing.assert_allclose(run.recall, z["recall"][:, kept], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("kind", ytvis.KINDS)
def test_recorded_results_of_trackeval(shared, name, kind):
    recorded = load(shared("goldens/metrics/ytvis.json"))["sets"][name]
    recorded = recorded["trackeval_mask" if kind == "mask" else "trackeval_bbox"]
    whole = ytvis.merge(list(states(shared, name, kind)))
    labels = {"all": "", "area_s": "_small", "area_m": "_medium", "area_l": "_large"}
    for label, suffix in labels.items():
        for score in ("AP", "AR"):
            theirs = undefined(recorded["class_averaged"][f"{score}_{label}"])
            np.testing.assert_allclose(ytvis.curves(whole)[score + suffix], theirs, rtol=0, atol=1e-9)
    overlaps = {f"{p.video},{p.category}": p.iou for p in whole.pairs}
    for key, theirs in recorded["ious"].items():
        theirs = np.array(theirs["iou"], np.float64)
        if theirs.size:
            np.testing.assert_allclose(overlaps[key], theirs, rtol=0, atol=1e-12)


def boxes(rng, t=6):
    return [
        tuple(rng.uniform(0, 60, 2)) + tuple(rng.uniform(10, 40, 2)) if rng.random() < 0.9 else None for _ in range(t)
    ]


def test_one_track_worked_out_by_hand():
    # Overlap 0.62: right at .50, .55 and .60, so AP is 3/10, AP50 1.
    gt = [ytvis.Track(1, [(0.0, 0.0, 100.0, 1.0)])]
    result = ytvis.compute(ytvis.evaluate(1, gt, [ytvis.Track(1, [(0.0, 0.0, 62.0, 1.0)], 0.9)], "box"))
    assert (result["AP"], result["AP50"], result["AP75"]) == pytest.approx((0.3, 1, 0))
    assert np.isnan(result["AP_large"])


def test_frames_with_only_one_of_two_tracks_widen_the_union():
    whole, half = [(0.0, 0.0, 4.0, 5.0)] * 4, [(0.0, 0.0, 4.0, 5.0), None, None, (0.0, 0.0, 4.0, 5.0)]
    state = ytvis.evaluate(1, [ytvis.Track(1, whole)], [ytvis.Track(1, half)], "box")
    assert state.pairs[0].iou.tolist() == [[0.5]]
    square = coco.encode(np.asfortranarray(np.ones((4, 5), np.uint8)))
    masks = [[square if box else None for box in tube] for tube in (whole, half)]
    state = ytvis.evaluate(1, [ytvis.Track(1, masks[0])], [ytvis.Track(1, masks[1])])
    assert state.pairs[0].iou.tolist() == [[0.5]]
    assert state.pairs[0].area.tolist() == [20.0]


def test_perfect_is_one_and_nothing_is_zero(rng):
    tracks = [ytvis.Track(category, boxes(rng), 0.5) for category in (1, 1, 3)]
    best = ytvis.compute(ytvis.evaluate(1, tracks, tracks, "box"))
    assert best["AP"] == best["AP50"] == best["AR100"] == pytest.approx(1)
    assert best["AR1"] == pytest.approx(0.75)  # one result a video finds one of two, and the only one
    worst = ytvis.compute(ytvis.evaluate(1, tracks, [], "box"))
    assert worst["AP"] == worst["AR100"] == 0
    crowd = [track._replace(crowd=True) for track in tracks]
    assert np.isnan(ytvis.compute(ytvis.evaluate(1, crowd, tracks, "box"))["AP"])


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_order_of_videos_and_empty_frames_change_nothing(seed):
    rng = np.random.default_rng(seed)
    videos = []
    for _ in range(3):
        gt = [ytvis.Track(int(rng.integers(1, 3)), boxes(rng)) for _ in range(3)]
        near = lambda tube: [box and tuple(np.array(box) + rng.uniform(0, 4, 4)) for box in tube]
        pred = [ytvis.Track(t.category, near(t.tube), float(rng.integers(1, 4)) / 4) for t in gt for _ in range(2)]
        videos.append((gt, pred))
    longer = lambda tracks: [t._replace(tube=[*t.tube, None, None]) for t in tracks]
    plain = [ytvis.evaluate(i, *video, "box") for i, video in enumerate(videos, 1)]
    padded = [ytvis.evaluate(i, longer(gt), pred, "box") for i, (gt, pred) in enumerate(videos, 1)]
    expected = ytvis.compute(ytvis.merge(plain))
    np.testing.assert_equal(ytvis.compute(ytvis.merge(plain[::-1])), expected)
    np.testing.assert_equal(ytvis.compute(ytvis.merge([ytvis.merge(plain[1:]), plain[0]])), expected)
    np.testing.assert_equal(ytvis.compute(ytvis.merge(padded)), expected)
