"""HOTA, CLEAR and identity: TrackEval's recorded results, small cases worked out by hand, and what must always hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from difftrack_jax.errors import UserError
from difftrack_jax.metrics import clear, hota, identity, mot, motchallenge
from difftrack_jax.metrics.frames import Frame

from .recorded import (
    TOLERANCE,
    assert_numbers,
    boxes_to_frames,
    load,
    pairwise_iou,
    random_frames,
    table,
)

GROUPS = ("mot17", "mot17_nopreproc", "mot17_integer", "dancetrack", "mot15", "mot20")


def sequence(folder, name, distractors):
    """Frames of one recorded sequence, preprocessed."""
    info = (folder / "gt" / name / "seqinfo.ini").read_text()
    length = int(next(line for line in info.splitlines() if line.startswith("seqLength")).split("=")[1])
    gt = table(folder / "gt" / name / "gt" / "gt.txt", 9)
    pred = table(folder / "trackers" / "trk" / f"{name}.txt", 10)
    for time in range(1, length + 1):
        g, p = gt[gt[:, 0] == time], pred[pred[:, 0] == time]
        pairs = pairwise_iou(g[:, 2:6], p[:, 2:6])
        frame = Frame(g[:, 1].astype(int), p[:, 1].astype(int), pairs)
        yield motchallenge.preprocess(frame, g[:, 7].astype(int), g[:, 6], distractors)


@pytest.mark.parametrize("name", GROUPS)
def test_recorded_results_of_the_official_evaluator(shared, name):
    group = load(shared("goldens/metrics/mot.json"))["groups"][name]
    distractors = motchallenge.DISTRACTORS.get(group["benchmark"]) if group["do_preproc"] else None
    folder = shared("goldens/metrics/mot") / group["folder"]
    states = {seq: mot.evaluate(tuple(sequence(folder, seq, distractors))) for seq in group["sequences"]}
    states["COMBINED_SEQ"] = mot.merge(list(states.values()))
    for seq, state in states.items():
        ours, curves, theirs = mot.compute(state), mot.curves(state), group["results"][seq]
        assert_numbers({**ours, **curves}, theirs["HOTA"], exact=("HOTA_TP", "HOTA_FN", "HOTA_FP"))
        assert_numbers(ours, {k: v for k, v in theirs["HOTA_mean"].items() if not k.startswith("HOTA_")})
        assert_numbers(ours, theirs["CLEAR"])
        assert_numbers(ours, theirs["Identity"])
        assert_numbers(ours, {k: v for k, v in theirs["Count"].items() if k != "Frames"})


def test_a_small_case_worked_out_by_hand():
    # Two targets, four frames; identities are swapped from frame 2 on, one box is missed in frame 3, and a stray
    # one is added in frame 0. All overlaps are 1.
    a, b, far = (0, 0, 10, 10), (100, 0, 10, 10), (500, 500, 10, 10)
    gt = {1: dict.fromkeys(range(4), a), 2: dict.fromkeys(range(4), b)}
    pred = {1: {0: a, 1: a, 2: b, 3: b}, 2: {0: b, 1: b, 2: a}, 3: {0: far}}
    result = mot.compute(mot.evaluate(boxes_to_frames(gt, pred, 4)))
    counts = {"CLR_TP": 7, "CLR_FN": 1, "CLR_FP": 1, "IDSW": 2, "MT": 1, "PT": 1, "Frag": 0, "IDTP": 4, "IDFN": 4}
    assert_numbers(result, counts)
    # DetA = 7 / 9. Of AssA's pairs (1,1) and (1,2) have 2, (2,2) 2, (2,1) 2 less the missed: 2/6, 2/5, 2/5, 1/7.
    assert_numbers(result, {"MOTA": 0.5, "MOTP": 1.0, "IDF1": 0.5, "DetA": 7 / 9}, TOLERANCE)
    assert result["AssA"] == pytest.approx(0.328571, abs=1e-6)
    assert result["HOTA"] == pytest.approx(0.505525, abs=1e-6)


def test_hota_is_the_share_of_thresholds_that_a_constant_overlap_passes():
    gt = {1: dict.fromkeys(range(3), (0, 0, 10, 10))}
    pred = {7: dict.fromkeys(range(3), (0, 0, 10, 6))}  # IoU 0.6, which passes 0.05 to 0.60
    result = mot.compute(mot.evaluate(boxes_to_frames(gt, pred, 3)))
    assert_numbers(result, {"HOTA": 12 / 19, "DetA": 12 / 19, "MOTP": 0.6, "sMOTA": 0.6}, TOLERANCE)


def perfect(frames):
    return tuple(Frame(frame.gt, frame.gt, np.eye(len(frame.gt))) for frame in frames)


def nothing(frames):
    return tuple(Frame(frame.gt, np.zeros(0, int), np.zeros((len(frame.gt), 0))) for frame in frames)


def test_perfect_is_one_and_nothing_is_zero(rng):
    frames = random_frames(rng)
    best = mot.compute(mot.evaluate(perfect(frames)))
    scores = ("HOTA", "DetA", "AssA", "LocA", "MOTA", "MOTP", "sMOTA", "IDF1", "MTR")
    assert [best[name] for name in scores] == [1.0] * len(scores)
    assert best["IDSW"] == best["CLR_FP"] == best["CLR_FN"] == 0
    worst = mot.compute(mot.evaluate(nothing(frames)))
    assert [worst[name] for name in scores] == [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    assert worst["MLR"] == 1.0
    assert worst["CLR_FN"] == worst["GT_Dets"] > 0


def test_only_mistakes_leave_no_score():
    frames = (Frame(np.zeros(0, int), np.array([3]), np.zeros((0, 1))),)
    result = mot.compute(mot.evaluate(frames))
    assert_numbers(result, {"CLR_FP": 1, "IDFP": 1, "MOTA": 0.0, "HOTA": 0.0, "LocA": 1.0, "MLR": 1.0})


def test_a_sequence_without_frames_counts_nothing(rng):
    whole = mot.evaluate(random_frames(rng))
    assert mot.compute(mot.merge([whole, mot.evaluate(())])) == mot.compute(whole)


def test_an_identity_twice_in_a_frame_is_refused():
    frame = Frame(np.array([1, 2]), np.array([5, 5]), np.ones((2, 2)))
    with pytest.raises(UserError, match=r"frame 0 .* predicted identity appears twice"):
        mot.evaluate((frame,))


seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=15, deadline=None)
@given(seeds)
def test_names_of_identities_and_order_of_detections_do_not_matter(seed):
    rng = np.random.default_rng(seed)
    frames = random_frames(rng)
    renamed = []
    for gt, pred, similarity in frames:
        rows, columns = rng.permutation(len(gt)), rng.permutation(len(pred))
        renamed.append(Frame(1000 - 7 * gt[rows], 3 * pred[columns] + 5, similarity[rows][:, columns]))
    ours, theirs = (mot.compute(mot.evaluate(tuple(f))) for f in (frames, renamed))
    assert_numbers(ours, theirs, TOLERANCE)


@settings(max_examples=15, deadline=None)
@given(seeds)
def test_order_of_sequences_changes_no_bit_and_frames_without_anything_no_score(seed):
    rng = np.random.default_rng(seed)
    states = [mot.evaluate(random_frames(rng)) for _ in range(4)]
    results = [mot.compute(mot.merge([states[i] for i in order])) for order in (range(4), (2, 0, 3, 1))]
    assert results[0] == results[1]
    frames = random_frames(rng)
    blank = Frame(np.zeros(0, int), np.zeros(0, int), np.zeros((0, 0)))
    padded = [blank, *frames[:5], blank, *frames[5:], blank]
    ours, theirs = (mot.compute(mot.evaluate(tuple(f))) for f in (padded, frames))
    differing = {name for name in ours if ours[name] != theirs[name]}
    assert differing <= {"CLR_Frames", "FP_per_frame"}


@settings(max_examples=15, deadline=None)
@given(seeds)
def test_scores_stay_in_range_and_detections_are_conserved(seed):
    rng = np.random.default_rng(seed)
    frames = random_frames(rng, noise=rng.uniform(0, 30), keep=rng.uniform(0, 1))
    result = mot.compute(mot.evaluate(frames))
    for name in ("HOTA", "DetA", "AssA", "DetRe", "DetPr", "AssRe", "AssPr", "LocA", "OWTA", "IDF1", "MOTP"):
        assert 0 <= result[name] <= 1 + 1e-12, name
    assert result["MOTA"] <= result["MODA"] <= 1
    assert result["sMOTA"] <= result["MOTA"]
    assert result["CLR_TP"] + result["CLR_FN"] == result["IDTP"] + result["IDFN"] == result["GT_Dets"]
    assert result["CLR_TP"] + result["CLR_FP"] == result["IDTP"] + result["IDFP"] == result["Dets"]
    # Identity may choose any pair of tracks, frame by frame matching any pair of boxes.
    assert result["IDTP"] <= result["CLR_TP"]


def test_the_parts_can_be_had_alone(rng):
    frames = random_frames(rng)
    together = mot.compute(mot.evaluate(frames))
    for part in (hota, clear, identity):
        assert_numbers(together, part.compute(part.evaluate(frames)), 0.0)
