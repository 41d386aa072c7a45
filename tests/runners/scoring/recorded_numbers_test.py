"""The field's own numbers through the command line, on the real files that they were recorded on."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest

from .recipe import RECIPES, ROOT, evaluate


def detailed(path):
    """A detailed file of TrackEval's: {sequence: {column: number}}."""
    with open(path, newline="") as file:
        return {row.pop("seq"): {k: float(v) for k, v in row.items()} for row in csv.DictReader(file)}


def assert_detailed(results, rows, path, group=""):
    """Every column of TrackEval's detailed file, for each sequence and for all together."""
    prefix, theirs = f"{group}." if group else "", detailed(path)
    metrics, curves = (part[group] if group else part for part in (results["metrics"], results["curves"]))
    curves = {name: values for name, values in curves.items() if isinstance(values, list)}
    together = {f"{k}___{5 * i}": v for k, values in curves.items() for i, v in enumerate(values, 1)} | metrics
    assert set(theirs) == {"COMBINED", *rows}
    for name, expected in theirs.items():
        ours = together if name == "COMBINED" else {k.removeprefix(prefix): v for k, v in rows[name].items()}
        for column, value in expected.items():
            key = column.removesuffix("___AUC")
            if key.startswith("HOTA_") and key != column:  # the mean of counts over alpha
                found = np.mean([float(ours[f"{key}___{alpha}"]) for alpha in range(5, 100, 5)])
            else:
                found = float(ours[key])
            np.testing.assert_allclose(found, value, rtol=0, atol=1e-9, err_msg=f"{name} {column}")


@pytest.mark.parametrize(("recipe", "year"), [("mot17", "MOT17"), ("mot15", "MOT15")])
def test_mot_challenge(shared, tmp_path, recipe, year):
    home = shared("data/mot_eval")
    results, rows = evaluate(
        recipe,
        tmp_path,
        predictions=home / f"trackers/mot_challenge/{year}-train/MPNTrack",
        data_dir=home / f"gt/mot_challenge/{year}-train",
        sequences="",
    )
    assert_detailed(results, rows, home / f"expected/{year}-train/MPNTrack/pedestrian_detailed.csv")


def test_dancetrack(shared, tmp_path):
    home = shared("data/dancetrack_eval")
    results, rows = evaluate(
        "dancetrack",
        tmp_path,
        predictions=home / "trackers/mot_challenge/DanceTrack-val/perturbed_gt",
        data_dir=home / "gt/mot_challenge/DanceTrack-val",
    )
    assert_detailed(results, rows, home / "expected/perturbed_gt/pedestrian_detailed.csv")


def test_refer_kitti(shared, tmp_path):
    home = shared("data/refer_kitti")
    results, rows = evaluate(
        "refer_kitti",
        tmp_path,
        predictions=home / "NeuralSORT",
        data_dir=home,
        prediction="{video}/car/predict.txt",
        sequences="0005+cars-in-black,0005+cars-in-left,0005+moving-cars",
    )
    assert_detailed(results, rows, home / "expected/NeuralSORT_car/pedestrian_detailed.csv")


def test_kitti(shared, tmp_path):
    home = shared("data/kitti_eval")
    results, rows = evaluate(
        "kitti",
        tmp_path,
        predictions=home / "trackers/kitti_2d_box_train/CIWT",
        data_dir=home / "gt/kitti_2d_box_train",
    )
    for kind in ("car", "pedestrian"):
        assert_detailed(results, rows, home / f"expected/CIWT/{kind}_detailed.csv", kind)


def test_kitti_mots(shared, tmp_path):
    home = shared("data/kitti_mots_eval")
    results, rows = evaluate(
        "kitti_mots",
        tmp_path,
        predictions=home / "trackers/kitti_mots_val/track_rcnn",
        data_dir=home / "gt/kitti_mots_train",
    )
    for kind in ("car", "pedestrian"):
        assert_detailed(results, rows, home / f"expected/track_rcnn/{kind}_detailed.csv", kind)
    # As printed in the MOTS paper, with one digit more: sMOTSA, MOTSA, MOTSP.
    published = {"car": (76.173, 87.807, 87.164), "pedestrian": (46.801, 65.133, 75.700)}
    for kind, numbers in published.items():
        ours = [100 * results["metrics"][kind][name] for name in ("sMOTA", "MOTA", "MOTP")]
        np.testing.assert_allclose(ours, numbers, rtol=0, atol=5e-4)


def test_py_motmetrics_files_through_other_patterns(shared, tmp_path):
    home = shared("data/motmetrics_tud")
    patterns = {"annotation": "{sequence}/gt.txt", "prediction": "{sequence}/test.txt"}
    results, rows = evaluate("mot15", tmp_path, predictions=home, data_dir=home, **patterns)
    theirs = json.loads((home / "expected_motmetrics_1.4.json").read_text())["values"]
    names = {
        "idf1": "IDF1", "idp": "IDP", "idr": "IDR", "recall": "CLR_Re", "precision": "CLR_Pr", "mota": "MOTA",
        "num_unique_objects": "GT_IDs", "mostly_tracked": "MT", "partially_tracked": "PT", "mostly_lost": "ML",
        "num_false_positives": "CLR_FP", "num_misses": "CLR_FN", "num_switches": "IDSW",
    }  # fmt: skip
    for sequence, values in theirs.items():
        for key, column in names.items():
            np.testing.assert_allclose(float(rows[sequence][column]), values[key], rtol=0, atol=1e-9, err_msg=key)
        for key in ("mota", "motp", "num_switches", "num_fragmentations", "num_transfer", "num_ascend", "num_migrate"):
            found = float(rows[sequence][f"py-motmetrics.{key}"])
            np.testing.assert_allclose(found, values[key], rtol=0, atol=1e-9, err_msg=key)
    assert results["sequences"] == ["TUD-Campus", "TUD-Stadtmitte"]


STRUCK = {"split": "tb50", "short": "cut"}


def struck(shared, tmp_path, **fields):
    home = shared("data/otb_eval")
    paths = {"predictions": home / "results_OPE_STRUCK", "data_dir": home / "OTB2015_tb50.json"}
    return evaluate("otb", tmp_path, **paths, **STRUCK, **fields)


def test_otb_as_published(shared, tmp_path):
    published = json.loads(shared("data/otb_eval/published_scores_STRUCK_tb50_ALL.json").read_text())
    results, rows = struck(shared, tmp_path)
    assert len(rows) == 50
    assert f"{100 * results['metrics']['success']:.3f}" == "38.395"
    np.testing.assert_allclose(100 * results["metrics"]["success"], float(published["overlap"]), rtol=0, atol=1e-9)
    np.testing.assert_allclose(results["curves"]["success"], published["successRateList"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(results["curves"]["precision"], published["precisionList"], rtol=0, atol=1e-12)


def test_otb_as_pysot_and_got10k_have_it(shared, tmp_path):
    recorded = json.loads(shared("data/otb_eval/expected_STRUCK_tb50.json").read_text())
    results, rows = struck(shared, tmp_path, rules="pysot")
    columns = {
        "pysot_success_auc": "success", "pysot_precision20": "precision", "pysot_norm_precision_0.2": "norm_precision",
        "pysot_norm_precision_curve_mean": "norm_precision_auc", "got10k_AO": "got10k.AO",
        "got10k_SR50": "got10k.SR_0.50", "got10k_SR75": "got10k.SR_0.75",
    }  # fmt: skip
    ours = {name.lower(): row for name, row in rows.items()}
    for name, theirs in recorded["sequences"].items():
        for key, column in columns.items():
            value = float(ours[name.lower()][column])
            np.testing.assert_allclose(value, theirs[key], rtol=0, atol=1e-9, err_msg=f"{name} {key}")
    for key, column in list(columns.items())[:4]:
        mean = recorded["mean_over_sequences"][key]
        np.testing.assert_allclose(results["metrics"][column], mean, rtol=0, atol=1e-9)


def assert_objects(shared, results, rows, theirs, numbers):
    """J and F of objects, by sequence and over all."""
    names = ("J-Mean", "J-Recall", "J-Decay", "F-Mean", "F-Recall", "F-Decay")
    values = {key: [*entry["J_mean_recall_decay"], *entry["F_mean_recall_decay"]] for key, entry in theirs.items()}
    for sequence, row in rows.items():
        mine = [v for key, v in values.items() if key == sequence or key.rpartition("_")[0] == sequence]
        assert len(mine) == numbers[sequence]
        np.testing.assert_allclose([float(row[name]) for name in names], np.mean(mine, axis=0), rtol=0, atol=1e-9)
    every = np.mean(list(values.values()), axis=0)
    np.testing.assert_allclose([results["metrics"][name] for name in names], every, rtol=0, atol=1e-9)
    np.testing.assert_allclose(results["metrics"]["J&F-Mean"], (every[0] + every[3]) / 2, rtol=0, atol=1e-9)


@pytest.mark.parametrize("year", [2016, 2017])
def test_davis_semi_supervised(shared, tmp_path, year):
    home = shared("data/davis_eval")
    theirs = json.loads((home / "expected_osvos_semi-supervised.json").read_text())
    paths = {"predictions": home / "results_semi-supervised_osvos", "data_dir": shared("data/davis")}
    results, rows = evaluate(f"davis{year}", tmp_path, **paths)
    objects = {"blackswan": 1, "dog": 1, "horsejump-high": 2, "kite-surf": 3}
    numbers = objects if year == 2017 else dict.fromkeys(objects, 1)
    recorded = theirs["davis2017_objects" if year == 2017 else "davis2016_binary"]
    assert_objects(shared, results, rows, recorded, numbers)


@pytest.mark.slow
def test_davis_unsupervised(shared, tmp_path):
    home = shared("data/davis_eval")
    paths = {"predictions": home / "results_unsupervised_ags", "data_dir": shared("data/davis")}
    results, rows = evaluate("davis2017_unsupervised", tmp_path, **paths)
    theirs, masks = detailed(home / "expected_ags_trackeval/ags/general_detailed.csv"), {}
    for name, row in theirs.items():
        ours = (
            results["metrics"]
            if name == "COMBINED"
            else {k: float(v) for k, v in rows[name].items() if k != "sequence"}
        )
        masks[name] = {key: row.pop(key) for key in list(row) if key[:2] in ("J-", "F-", "J&", "nu")}
        for key, value in masks[name].items():
            if key != "num_gt_tracks":
                key = {"J&F": "J&F-Mean"}.get(key, key)
                np.testing.assert_allclose(ours[key], value, rtol=0, atol=1e-9, err_msg=f"{name} {key}")
    path = tmp_path / "tracking.csv"
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, ["seq", *next(iter(theirs.values()))])
        writer.writeheader()
        writer.writerows({"seq": name, **row} for name, row in theirs.items())
    assert_detailed(results, rows, path, "tracking")


def test_posetrack(shared, tmp_path):
    home = shared("data/posetrack_eval")
    results, rows = evaluate("posetrack21", tmp_path, predictions=home / "pred", data_dir=home / "gt_derived_nose")
    kit = json.loads((home / "expected_posetrack21.json").read_text())
    for name, values in results["curves"]["HOTA"].items():
        np.testing.assert_allclose(values, kit["raw"][name], rtol=0, atol=1e-9, err_msg=name)
    for name, value in results["metrics"]["HOTA"].items():
        if not name.endswith("(0)"):
            np.testing.assert_allclose(value, kit["mean_over_19_thresholds"][name][-1], rtol=0, atol=1e-9)
    for name in [*rows, "total"]:
        mota, ap = (
            json.loads((home / f"expected_poseval/{name}_{kind}_metrics.json").read_text()) for kind in ("MOT", "AP")
        )
        row = rows.get(name) or {f"{g}.{k}": v for g, part in results["metrics"].items() for k, v in part.items()}
        for key, theirs in {
            "MOTA_Total": "mota",
            "MOTP_Total": "motp",
            "Prec_Total": "pre",
            "Rec_Total": "rec",
        }.items():
            np.testing.assert_allclose(100 * float(row[f"poseval MOTA.{key}"]), mota[theirs][-1], rtol=0, atol=1e-9)
        for key, theirs, tolerance in (("precision", "pre", 1e-9), ("recall", "rec", 1e-9), ("AP", "ap", 0.02)):
            # Scores of three digits are often equal; how those are ranked depends on the order of files, and theirs
            # took them as the folder listed them.
            np.testing.assert_allclose(
                100 * float(row[f"poseval AP.{key}_Total"]), ap[theirs][-1], rtol=0, atol=tolerance
            )


def test_youtube_vis(shared, tmp_path):
    home = shared("data/youtube_vis_derived")
    results, _ = evaluate("youtube_vis", tmp_path, predictions=home, data_dir=home)
    theirs = json.loads((home / "expected_ytvoseval_stats.json").read_text())
    for ours, value in zip(results["metrics"].values(), theirs, strict=True):
        assert ours == (None if value == -1 else pytest.approx(value, abs=1e-9))


@pytest.mark.parametrize("mode", ["first", "strided"])
def test_tapvid(shared, tmp_path, mode):
    home, predictions = shared("data/tapvid_badja"), tmp_path / "predictions"
    theirs = json.loads((home / "expected_tapvid_metrics.json").read_text())["clips"]
    predictions.mkdir()
    for clip in theirs:
        with np.load(home / f"{clip}.npz") as z:  # recorded in pixels of the raster, stored as shares of it
            points, occluded = z[f"{mode}_pred_tracks"][0] / np.float32(256), z[f"{mode}_pred_occluded"][0]
        np.savez(predictions / f"{clip}.npz", points=points, occluded=occluded)
    results, rows = evaluate("tapvid_davis", tmp_path / "run", predictions=predictions, data_dir=home, queries=mode)
    for clip, recorded in theirs.items():
        for name, values in recorded[mode].items():
            np.testing.assert_allclose(float(rows[clip][name]), values[0], rtol=0, atol=1e-9, err_msg=f"{clip} {name}")
    mean = np.mean([recorded[mode]["average_jaccard"] for recorded in theirs.values()])
    np.testing.assert_allclose(results["metrics"]["average_jaccard"], mean, rtol=0, atol=1e-9)


def test_the_command_itself_prints_the_published_number(shared, tmp_path):
    home = shared("data/otb_eval")
    flags = {
        "config": RECIPES / "otb.py", "workdir": tmp_path / "run", "config.predictions": home / "results_OPE_STRUCK",
        "config.data_dir": home / "OTB2015_tb50.json", "config.split": "tb50", "config.short": "cut",
    }  # fmt: skip
    command = [sys.executable, "-m", "difftrack_jax.main", *(f"--{name}={value}" for name, value in flags.items())]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "all 50   38.395     54.123" in done.stdout
