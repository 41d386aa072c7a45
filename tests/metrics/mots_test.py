"""Masks: recorded results of TrackEval and of the MOTS authors' own script."""

import numpy as np
import pytest
from pycocotools import mask as coco

from difftrack_jax.metrics import mot, mots
from difftrack_jax.metrics.frames import Frame

from .recorded import TOLERANCE, assert_numbers, load

PEDESTRIAN, CAR, IGNORE = 2, 1, 10


def rows(path):
    """frame, id, class, mask of each line."""
    lines = [line.split() for line in path.read_text().splitlines()]
    return [(*map(int, f[:3]), {"size": [int(f[3]), int(f[4])], "counts": f[5].encode()}) for f in lines]


def sequence(folder, name, length, kind):
    gt, pred = rows(folder / "gt" / name / "gt" / "gt.txt"), rows(folder / "trackers" / "trk" / f"{name}.txt")
    for time in range(1, length + 1):
        g = [row for row in gt if row[0] == time and row[2] == kind]
        p = [row for row in pred if row[0] == time and row[2] == kind]
        region = [row[3] for row in gt if row[0] == time and row[2] == IGNORE]
        masks = [row[3] for row in p]
        ids = [np.array([row[1] for row in side], np.int64) for side in (g, p)]
        frame = Frame(*ids, mots.mask_iou([row[3] for row in g], masks))
        yield mots.preprocess(frame, masks, coco.merge(region) if region else None)


def test_recorded_results_of_the_official_evaluator(shared):
    recorded = load(shared("goldens/metrics/mots.json"))
    folder = shared("goldens/metrics/mots")
    states = {
        name: mot.evaluate(tuple(sequence(folder, name, length, PEDESTRIAN)))
        for name, length in recorded["seq_lengths"].items()
    }
    states["COMBINED_SEQ"] = mot.merge(list(states.values()))
    for name, state in states.items():
        ours, theirs = {**mot.compute(state), **mot.curves(state)}, recorded["trackeval"]["results"][name]
        assert_numbers(ours, theirs["HOTA"], exact=("HOTA_TP", "HOTA_FN", "HOTA_FP"))
        assert_numbers(ours, theirs["CLEAR"])
        assert_numbers(ours, theirs["Identity"])


@pytest.mark.parametrize(("kind", "label"), [(PEDESTRIAN, "pedestrians"), (CAR, "cars")])
def test_recorded_results_of_mots_tools(shared, kind, label):
    recorded = load(shared("goldens/metrics/mots.json"))
    folder, results = shared("goldens/metrics/mots"), recorded["mots_tools"]["results"][label]
    frames = {name: tuple(sequence(folder, name, length, kind)) for name, length in recorded["seq_lengths"].items()}
    for name, theirs in [*results["per_seq"].items(), ("ALL", results["ALL"])]:
        chosen = list(frames.values()) if name == "ALL" else [frames[name]]
        ours = {
            **mot.compute(mot.merge([mot.evaluate(sequence) for sequence in chosen])),
            **mots.compute(mots.merge([mots.evaluate(sequence) for sequence in chosen])),
        }
        names = {
            "n_gt": "GT_Dets", "n_gt_trajectories": "GT_IDs", "tp": "CLR_TP", "fp": "CLR_FP", "fn": "CLR_FN",
            "id_switches": "IDSW", "MOTSA": "MOTA", "sMOTSA": "sMOTA", "MODSA": "MODA", "MOTSAL": "MOTAL", "MT": "MTR",
            "PT": "PTR", "ML": "MLR", "recall": "CLR_Re", "precision": "CLR_Pr", "F1": "CLR_F1",
            "total_cost": "MOTP_sum", "MODSP": "MODSP", "FAR": "FAR", "fragments": "fragments",
        }  # fmt: skip
        if not theirs["n_gt"]:  # nothing to divide by: their script says minus infinity, TrackEval and ours 0
            names = {key: name for key, name in names.items() if isinstance(theirs[key], int)}
        assert_numbers({k: ours[v] for k, v in names.items()}, {k: theirs[k] for k in names}, TOLERANCE)
        assert ours["Dets"] == theirs["n_tr"] - theirs["n_itr"]
        if theirs["tp"]:
            assert ours["MOTP"] == pytest.approx(theirs["MOTSP"], abs=TOLERANCE)


def test_run_lengths_decode_to_the_recorded_identities(shared):
    with np.load(shared("goldens/metrics/mots/decoded_id_maps.npz")) as maps:
        name = next(iter(maps)).split("/")[0]
        expected = maps[f"{name}/gt_id_map"]
    drawn = np.zeros_like(expected)
    for time, identity, kind, mask in rows(shared("goldens/metrics/mots") / "gt" / name / "gt" / "gt.txt"):
        if kind != IGNORE:
            drawn[time - 1][coco.decode(mask).astype(bool)] = identity
    np.testing.assert_array_equal(drawn, expected)


def test_fragments_are_changes_that_last():
    def count(*found):
        overlap = lambda who: np.ones((1, 0 if who is None else 1))
        ids = lambda who: np.array([] if who is None else [who], np.int64)
        frames = tuple(Frame(np.array([1]), ids(who), overlap(who)) for who in found)
        return mots.compute(mots.evaluate(frames))["fragments"]

    assert count(5, 5, None, 5, 5) == 1  # lost and found
    assert count(5, 5, None, 5, None, None) == 0  # found for a single frame
    assert count(5, 6, 6) == 1  # another identity
    assert count(None, None, 5, 5) == 0  # found for the first time
    assert count(None, 5) == 1  # but in the last frame that counts
    assert count(None, None) == 0


def encode(mask):
    return coco.encode(np.asfortranarray(mask, dtype=np.uint8))


def test_what_hides_in_the_region_to_ignore_is_forgiven_unless_it_is_right():
    left, right = np.zeros((2, 8, 8), bool)
    left[:, :4], right[:, 4:] = True, True
    frame = Frame(np.array([1]), np.array([1, 2]), mots.mask_iou([encode(left)], [encode(left), encode(right)]))
    everywhere = encode(np.ones((8, 8)))
    kept = mots.preprocess(frame, [encode(left), encode(right)], everywhere)
    assert kept.pred.tolist() == [1]
    assert mots.preprocess(frame, [encode(left), encode(right)], None).pred.tolist() == [1, 2]


def test_iou_of_masks():
    a, b = np.zeros((2, 4, 4), bool)
    a[:2], b[1:3] = True, True
    np.testing.assert_allclose(mots.mask_iou([encode(a)], [encode(a), encode(b)]), [[1, 1 / 3]])
    assert mots.mask_iou([], [encode(a)]).shape == (0, 1)
