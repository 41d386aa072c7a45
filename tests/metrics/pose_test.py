"""Poses: recorded results of PoseTrack21's kit, cases worked out by hand, and what must always hold."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from difftrack_jax.metrics import keypoints, pose_ap, pose_hota, pose_mota

from .recorded import load

GROUPS = ("main", "empty_pred_frames", "no_predictions")


def people(entries, read=keypoints.positive):
    """Identities, joints, scores and head sizes of one image's annotations."""
    joints = np.array([e["keypoints"] for e in entries], np.float64).reshape(-1, 17, 3)
    scores = np.array([e.get("scores") or [0] * 17 for e in entries], np.float64).reshape(-1, 17)
    heads = np.array([e.get("bbox_head") or [0] * 4 for e in entries], np.float64).reshape(-1, 4)
    ids = np.array([e["track_id"] for e in entries], np.int64)
    return ids, read(joints), keypoints.without_ears(scores), keypoints.head_size(heads)


def video(folder, name):
    """The labelled frames of one recorded video, after taking out what is to be ignored."""
    gt, pred = load(folder / "gt" / name), load(folder / "pred" / name)
    frames = []
    for image in gt["images"]:
        if not image["is_labeled"]:
            continue
        here = lambda side, number=image["id"]: [e for e in side["annotations"] if e["image_id"] == number]
        ids, joints, _, head = people(here(gt))
        pred_ids, pred_joints, score, _ = people(here(pred))
        frame = keypoints.Frame(ids, joints, head, pred_ids, pred_joints, score)
        regions = zip(image["ignore_regions_x"], image["ignore_regions_y"])
        frames.append(keypoints.ignore(frame, [np.array(region, np.float64).T for region in regions]))
    return frames


def recorded_videos(shared, name):
    group = load(shared("goldens/metrics/posetrack.json"))["groups"][name]
    folder = shared("goldens/metrics/posetrack") / name
    return group, {sequence: video(folder, sequence) for sequence in group["sequences"]}


@pytest.mark.parametrize("name", GROUPS)
def test_recorded_average_precision(shared, name):
    group, videos = recorded_videos(shared, name)
    states = {sequence: pose_ap.evaluate(frames) for sequence, frames in videos.items()}
    states["COMBINED_SEQ"] = pose_ap.merge(list(states.values()))
    for sequence, state in states.items():
        ours = pose_ap.compute(state)
        for score, theirs in (("AP", "map"), ("precision", "precision"), ("recall", "recall")):
            for part, percent in group["results"][sequence]["pose_mAP"][theirs].items():
                np.testing.assert_allclose(ours[f"{score}_{part}"], percent / 100, rtol=0, atol=1e-12)
    whole = pose_ap.per_joint(states["COMBINED_SEQ"])
    for score, theirs in (("AP", "ap"), ("precision", "precision"), ("recall", "recall")):
        percent = np.array(group["combined_per_joint"][theirs], np.float64)
        np.testing.assert_allclose(whole[score], percent[:15] / 100, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", GROUPS)
def test_recorded_hota(shared, name):
    group, videos = recorded_videos(shared, name)
    states = {sequence: pose_hota.evaluate(frames) for sequence, frames in videos.items()}
    states["COMBINED_SEQ"] = pose_hota.merge(list(states.values()))
    for sequence, state in states.items():
        ours, theirs = pose_hota.curves(state), group["results"][sequence]["keypoint_HOTA"]
        for score, values in ours.items():
            exact = {"rtol": 0, "atol": 0 if score.startswith("HOTA_") else 1e-12}
            np.testing.assert_allclose(values, np.array(theirs[score], np.float64), **exact, err_msg=score)
        totals = pose_hota.compute(state)
        for score in ("HOTA", "DetA", "AssA", "FragA", "LocA", "FA-HOTA"):
            mean = group["results"][sequence]["keypoint_HOTA_mean_over_alpha"][score][-1]
            np.testing.assert_allclose(totals[score], mean, rtol=0, atol=1e-12)
        for score in ("HOTA(0)", "LocA(0)"):
            np.testing.assert_allclose(totals[score], theirs[score][-1], rtol=0, atol=1e-12)


def random_frames(rng, length=8, persons=3, noise=4.0):
    """People who walk, followed by a tracker that wavers."""
    start = rng.uniform(50, 300, (persons, 1, 2)) + rng.uniform(0, 60, (persons, 15, 2))
    frames, seen = [], lambda: rng.random((persons, 15, 1)) < 0.9
    for time in range(length):
        place = start + 3 * time
        joints = np.where(seen(), place, np.nan)
        found = np.where(seen(), place + rng.normal(0, noise, start.shape), np.nan)
        ids = 10 + (rng.permutation(persons) if time == 4 else np.arange(persons))
        kept, score, head = rng.random(persons) < 0.8, rng.random((persons, 15)), np.full(persons, 20.0)
        frames.append(keypoints.Frame(np.arange(persons), joints, head, ids[kept], found[kept], score[kept]))
    return frames


def perfect(frames):
    return [f._replace(pred=f.gt, pred_joints=f.gt_joints, score=np.ones(f.gt_joints.shape[:2])) for f in frames]


def nothing(frames):
    return [f._replace(pred=f.gt[:0], pred_joints=f.gt_joints[:0], score=np.zeros((0, 15))) for f in frames]


def everything(frames, **options):
    parts = (pose_ap, {}), (pose_hota, options), (pose_mota, {})
    return {k: v for part, more in parts for k, v in part.compute(part.evaluate(frames, **more)).items()}


def test_perfect_is_one_and_nothing_is_zero(rng):
    frames = random_frames(rng)
    best = everything(perfect(frames))
    ratios = (
        "AP_Total",
        "recall_Total",
        "HOTA",
        "DetA",
        "AssA",
        "FragA",
        "LocA",
        "MOTA_Total",
        "MOTA_Head",
        "Rec_Total",
    )
    for name in ratios:
        assert best[name] == pytest.approx(1), name
    worst = everything(nothing(frames))
    for name in ("AP_Total", "recall_Total", "HOTA", "DetA", "AssA"):
        assert worst[name] == 0, name
    # One missed and one false joint a frame are what poseval makes of nobody.
    assert worst["MOTA_Total"] == -1


def test_a_frame_without_predictions_can_be_counted_as_what_it_is(rng):
    frames = perfect(random_frames(rng))
    frames[3] = nothing(frames)[3]
    joints = sum(keypoints.present(frame.gt_joints).sum() for frame in frames)
    there = sum(keypoints.present(frame.pred_joints).sum() for frame in frames)
    kit, ours = pose_hota.evaluate(frames), pose_hota.evaluate(frames, whole_video=False)
    assert (ours.fn[0].sum(), kit.fn[0].sum()) == (joints - there, joints)
    assert pose_hota.compute(ours)["DetA"] > pose_hota.compute(kit)["DetA"]
    assert pose_hota.compute(ours)["DetPr"] == 1


def test_joints_half_a_head_off_match_and_no_further():
    joints = np.full((1, 15, 2), 100.0)
    frame = lambda shift: keypoints.Frame(
        np.array([1]), joints, np.array([10.0]), np.array([1]), joints + [shift, 0.0], np.ones((1, 15))
    )
    scores = [pose_ap.compute(pose_ap.evaluate([frame(shift)]))["AP_Total"] for shift in (5.0, 5.1)]
    assert scores == [1, 0]


def test_a_broken_track_costs_fragments():
    joints = np.full((1, 15, 2), 100.0)
    frames = [
        keypoints.Frame(np.array([1]), joints, np.array([10.0]), np.array([who]), joints, np.ones((1, 15)))
        for who in (1, 1, 2, 1)
    ]
    result = pose_hota.compute(pose_hota.evaluate(frames))
    # Pair (1, 1): 3 of 4 frames in stretches of 2 and 1; pair (1, 2): 1 frame of 4. Sums over TP, by 4 TP.
    assert result["AssA"] == pytest.approx((3 * 3 / 4 + 1 / 4) / 4)
    assert result["FragA"] == pytest.approx(((4 + 1) / 4 + 1 / 4) / 4)


def test_points_in_polygons():
    notched = np.array([[0, 0], [10, 0], [10, 10], [5, 5], [0, 10]], np.float64)
    points = np.array([[5, 2], [5, 7], [2, 7], [8, 7], [-1, 5], [11, 5], [5, 5], [10, 5], [5, 0], [0, 0]], np.float64)
    expected = [True, False, True, True] + 6 * [False]  # a border belongs to the outside
    assert keypoints.inside(points, notched).tolist() == expected
    assert keypoints.inside(points, notched[::-1]).tolist() == expected


def test_what_is_ignored_is_gone_from_both_sides(rng):
    frame = random_frames(rng)[0]
    everywhere = np.array([[-1e3, -1e3], [1e3, -1e3], [1e3, 1e3], [-1e3, 1e3]], np.float64)
    gone = keypoints.ignore(frame, [everywhere])
    assert len(gone.gt) == len(gone.pred) == len(gone.head) == len(gone.score) == 0
    assert keypoints.ignore(frame, []) is frame


def test_rules_for_missing_joints_differ_where_a_coordinate_is_negative():
    joints = np.ones((1, 17, 3))
    joints[0, 0], joints[0, 1] = (-2, 5, 1), (0, 0, 0)
    assert keypoints.present(keypoints.positive(joints))[0].tolist() == [False, False] + [True] * 13
    assert keypoints.present(keypoints.annotated(joints))[0].tolist() == [True, False] + [True] * 13


def mixed(frames, rng, truth):
    """Everyone in another order, under other names and elsewhere in the picture; truth: not predictions alone."""
    found = []
    for f in frames:
        a, b = rng.permutation(len(f.gt)) if truth else np.arange(len(f.gt)), rng.permutation(len(f.pred))
        joints = [f.gt_joints[a] + 64, f.pred_joints[b] + 64]
        found.append(keypoints.Frame(f.gt[a] + 7, joints[0], f.head[a], f.pred[b] * 3, joints[1], f.score[b]))
    return found


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 2**32 - 1))
@example(24051)
def test_order_of_people_and_videos_and_where_the_picture_lies_change_nothing(seed):
    """Save one thing: of two people whom one prediction has followed, py-motmetrics lets the first keep it."""
    rng = np.random.default_rng(seed)
    frames = random_frames(rng, length=5)
    for part, truth in ((pose_ap, True), (pose_hota, True), (pose_mota, False)):
        ours, theirs = (part.compute(part.evaluate(f)) for f in (frames, mixed(frames, rng, truth)))
        for name, value in ours.items():
            np.testing.assert_allclose(theirs[name], value, rtol=0, atol=1e-9, err_msg=name)
    other = random_frames(rng, length=3)
    for part in (pose_ap, pose_hota, pose_mota):
        states = [part.evaluate(frames), part.evaluate(other)]
        a, b = part.compute(part.merge(states)), part.compute(part.merge(states[::-1]))
        assert {k: pytest.approx(v, abs=1e-12, nan_ok=True) for k, v in a.items()} == b
