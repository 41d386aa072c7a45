"""Benchmarks from official folder to results.json, without a network: whom, where to, and what a kill costs."""

import csv
import importlib.util
import json
import pathlib
import shutil

import numpy as np
import pytest

from difftrack_jax.data.formats import posetrack, tapvid
from difftrack_jax.data.frames import ArrayFrames
from difftrack_jax.data.records import make_clip, make_rows
from difftrack_jax.detectors import loading
from difftrack_jax.detectors.base import Detections
from difftrack_jax.errors import UserError
from difftrack_jax.runners import benchmark, births

from ..data.builders.layouts import LAYOUTS, T, make
from .walker import Walker

CONFIGS = pathlib.Path(__file__).resolve().parents[2] / "configs" / "track"
# Of each recipe: the benchmark it names, or another that it says it reads.
RECIPES = {
    "davis2017": {},
    "got10k": {},
    "kitti_mots": {},
    "lasot": {},
    "mot17": {"births": "detections"},
    "dancetrack": {},
    "mots": {},
    "otb": {},
    "posetrack21": {},
    "tapvid_davis": {},
    "tapvid_kinetics": {},
    "tapvid_kubric": {},
    "tapvid_rgb_stacking": {},
    "youtube_vis": {},
    "groot": {"births": "first"},
    "groot refer_kitti": {
        "benchmark": "refer_kitti", "submission": "refer_kitti", "split": "test", "births": "first",
    },
    "mot17 mot20": {"benchmark": "mot20", "births": "detections"},
    "posetrack21 18": {"benchmark": "posetrack18"},
    "davis2017 2016": {"benchmark": "davis2016"},
    "otb vot": {"benchmark": "vot"},
    "mots appearance": {"births": "appearance"},
    "tapvid_davis first": {"queries": "first"},
    "mot17 kitti": {"benchmark": "kitti", "submission": "kitti", "split": "training", "births": "first"},
    "mot17 half": {"split": "val_half", "births": "detections"},
    "got10k test": {"split": "test"},
}  # fmt: skip


FRAMES = ArrayFrames(np.zeros((2, 8, 8, 3), np.uint8))


@pytest.fixture
def walkers(monkeypatch):
    """Every tracker that was loaded."""
    made = []

    def load(*_, **__):
        made.append(Walker())
        return made[-1]

    monkeypatch.setattr(benchmark, "load_tracker", load)
    return made


def recipe(name, tmp_path, size="", **fields):
    file = CONFIGS / f"{name.split()[0]}.py"
    spec = importlib.util.spec_from_file_location("recipe", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config(size)
    config.update({**RECIPES[name], **fields})
    if not (tmp_path / "official").exists():
        make(config.benchmark, tmp_path / "official")
    config.update(data_dir=str(tmp_path / "official"), quiet=True)
    return config


def run(config, folder):
    benchmark.run(config, folder)
    return json.loads((folder / "results.json").read_text())


def files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_every_recipe_is_run_here():
    recipes = {path.stem for path in CONFIGS.glob("*.py")} - {"video", "ablation"}
    assert {name.split()[0] for name in RECIPES} | {"lasot_text"} == recipes


@pytest.mark.parametrize("name", RECIPES)
def test_a_run_writes_the_submission_and_its_scores_and_a_second_one_tracks_nothing(tmp_path, walkers, name):
    config, out = recipe(name, tmp_path), tmp_path / "out"
    results = run(config, out)
    assert list(results)[:5] == ["benchmark", "split", "metrics", "settings", "versions"]
    assert (results["benchmark"], results["split"]) == (config.benchmark, config.split)
    assert results["settings"]["births"] == config.births
    hidden = name == "got10k test"
    assert bool(results["metrics"]) != hidden
    if not hidden:
        with (out / "per_sequence.csv").open() as file:
            assert [row["sequence"] for row in csv.DictReader(file)] == results["sequences"]
    before = files(out)
    assert run(config, out) == results
    assert walkers[1].sessions == []
    assert files(out) == before


@pytest.mark.parametrize("name", ["davis2017", "got10k", "tapvid_davis", "youtube_vis", "groot refer_kitti"])
def test_a_run_that_was_killed_goes_on_after_the_last_whole_sequence(tmp_path, walkers, name):
    config, out = recipe(name, tmp_path), tmp_path / "out"
    results = run(config, out)
    # As a kill leaves it: one sequence missing, another half written under another name, nothing scored.
    submission = benchmark.SUBMISSIONS[config.submission]
    lost = out / "predictions" / submission.path(results["sequences"][-1])
    half = lost.with_name(f".{lost.name}.partial")
    lost.rename(half)
    if half.is_file():
        half.write_bytes(half.read_bytes()[: half.stat().st_size // 2])
    (out / "results.json").unlink()
    (out / "per_sequence.csv").unlink()
    assert run(config, out) == results
    assert len({first for _, (first, *_) in walkers[1].sessions}) <= len(walkers[0].sessions)
    assert 0 < len(walkers[1].sessions) < len(walkers[0].sessions)
    assert not half.exists()


def test_single_boxes_walk_as_the_tracker_does(tmp_path, walkers):
    run(recipe("otb", tmp_path, sequences="Basketball"), tmp_path / "out")
    lines = (tmp_path / "out/predictions/Basketball.txt").read_text().split()
    assert lines == [f"{2 + t}.0000,3.0000,4.0000,5.0000" for t in range(T)]  # so does the truth in that folder
    results = json.loads((tmp_path / "out/results.json").read_text())
    assert results["metrics"]["success"] == pytest.approx(20 / 21)


def test_more_sequences_join_those_that_are_done(tmp_path, walkers):
    out = tmp_path / "out"
    one = run(recipe("mot17", tmp_path, sequences="*-FRCNN"), out)
    both = run(recipe("mot17", tmp_path), out)
    assert (one["sequences"], both["sequences"]) == (["MOT17-04-FRCNN"], ["MOT17-04-FRCNN", "MOT17-09-SDP"])
    assert len(walkers[1].sessions) == 1


def test_mot_begins_with_the_public_detections_or_with_yours(tmp_path, walkers):
    run(recipe("mot17", tmp_path, sequences="*-SDP"), tmp_path / "a")
    rows = np.loadtxt(tmp_path / "a/predictions/MOT17-09-SDP.txt", delimiter=",")
    assert rows[rows[:, 0] == 1, 1:6].tolist() == [[1, 3.5, 4, 5, 2], [2, 1, 1, 2, 2]]
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "MOT17-09-SDP.txt").write_text("2,-1,5,5,2,2,0.5\n")
    run(recipe("mot17", tmp_path, sequences="*-SDP", detections=str(mine)), tmp_path / "b")
    rows = np.loadtxt(tmp_path / "b/predictions/MOT17-09-SDP.txt", delimiter=",")
    assert rows[:, :3].tolist() == [[2, 1, 5], [3, 1, 6]]


def test_mot_begins_with_what_a_coco_file_or_a_detector_finds(tmp_path, walkers, monkeypatch):
    """In the second frame, as in the test before."""
    (tmp_path / "mine").mkdir()
    found = [{"image_id": 1, "category_id": 1, "bbox": [4, 4, 2, 2], "score": score} for score in (0.5, 0.2)]
    (tmp_path / "mine" / "MOT17-09-SDP.json").write_text(json.dumps(found))
    fields = {"sequences": "*-SDP", "min_score": 0.3}
    run(recipe("mot17", tmp_path, detections=str(tmp_path / "mine"), **fields), tmp_path / "a")
    seen = []

    def detect(frame):
        seen.append(frame.shape)
        score = 0.9 if len(seen) > 1 else 0.4  # not sure enough to begin with
        return Detections(np.array([[4.0, 4, 6, 6]]), np.array([score]))

    monkeypatch.setitem(loading.BOXES, "mine", lambda path: detect)
    run(recipe("mot17", tmp_path, detector="mine:x", **fields), tmp_path / "b")
    for folder in "ab":
        rows = np.loadtxt(tmp_path / folder / "predictions/MOT17-09-SDP.txt", delimiter=",")
        assert rows[:, :3].tolist() == [[2, 1, 5], [3, 1, 6]]
    with pytest.raises(UserError, match="detector: give this or detections, not both"):
        run(recipe("mot17", tmp_path, detector="mine:x", detections="x"), tmp_path / "c")
    with pytest.raises(UserError, match="its detections are no segments"):
        births.detections(make_clip("its", FRAMES, detections=make_rows([0], box=[[1, 1, 3, 3]])), "segment")


def test_points_go_both_ways_or_forwards_only(tmp_path, walkers):
    for mode in ("strided", "first"):
        run(recipe("tapvid_davis", tmp_path, queries=mode, resolution=(0, 0)), tmp_path / mode)
        found = tapvid.read(tmp_path / mode / "predictions/goat.npz")
        queries = np.load(tmp_path / mode / "predictions/goat.npz")["queries"]
        frames = np.arange(T)[None]
        before = frames < queries[:, :1]
        np.testing.assert_array_equal(found.occluded, before if mode == "first" else before & False)
        walked = queries[:, 2, None] * 12 + np.abs(frames - queries[:, :1])
        np.testing.assert_allclose(found.points[..., 0][~found.occluded] * 12, walked[~found.occluded], atol=2e-3)


def test_people_come_back_as_whole_poses(tmp_path, walkers):
    run(recipe("posetrack21", tmp_path), tmp_path / "out")
    rows = posetrack.read(tmp_path / "out/predictions/000342_mpii_test.json").rows
    assert rows.id.tolist() == [5] * T
    truth = posetrack.read(tmp_path / "official/posetrack_data/val/000342_mpii_test.json").rows
    np.testing.assert_array_equal(rows.keypoints[0, :, :2], truth.keypoints[0, :, :2])
    assert not rows.keypoints[:, 3:5].any()  # ears are not annotated


def test_tiny_is_one_sequence_that_soon_stands_still(tmp_path, walkers):
    results = run(recipe("lasot", tmp_path, "tiny", max_frames=2), tmp_path / "out")
    assert results["sequences"] == ["airplane-1"]
    assert walkers[0].sessions[0][0] == 1
    assert len(walkers[0].sessions[0][1]) == 2
    lines = (tmp_path / "out/predictions/airplane-1.txt").read_text().split()
    assert lines[1] == lines[2] != lines[0]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"data_dir": ""}, r"data_dir: give the official folder of mot17, which holds train/SEQ"),
        ({"split": "test2"}, r"mot17: has no split 'test2'"),
        ({"sequences": "MOT17-99"}, r"sequences: no 'MOT17-99' in split train of mot17"),
        ({"births": "spring"}, r"births 'spring': known are first, appearance, detections"),
        ({"detections": "nowhere"}, r"nowhere/MOT17-04-FRCNN\.txt: no such file"),
        ({"slots": 0}, r"slots 0 must be at least 1"),
        ({"benchmark": "mot18"}, r"benchmark 'mot18': unknown"),
        ({"submission": "mot18"}, r"submission 'mot18': known are"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(tmp_path, walkers, fields, message):
    config = recipe("mot17", tmp_path)
    config.update(fields)
    with pytest.raises(UserError, match=message) as error:
        benchmark.run(config, tmp_path / "out")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_missing_is_named_and_what_is_done_stays(tmp_path, walkers):
    config, out = recipe("mot17", tmp_path), tmp_path / "out"
    gone = tmp_path / "official/train/MOT17-09-SDP/seqinfo.ini"
    gone.unlink()
    with pytest.raises(UserError, match=r"MOT17-09-SDP/seqinfo\.ini: is missing"):
        benchmark.run(config, out)
    assert [p.name for p in (out / "predictions").iterdir()] == ["MOT17-04-FRCNN.txt"]
    shutil.copy(tmp_path / "official/train/MOT17-04-FRCNN/seqinfo.ini", gone)
    assert len(run(config, out)["sequences"]) == 2


def test_all_layouts_that_can_be_tracked_are():
    named = {RECIPES[name].get("benchmark") for name in RECIPES} - {None}
    plain = {"mots": "mots20", "youtube_vis": "youtube_vis_2019"}
    named |= {plain.get(name, name) for name in RECIPES if " " not in name}
    # Street scenes are for generating; 2021 differs from 2019 in its classes only.
    assert named == set(LAYOUTS) - {"nuscenes", "youtube_vis_2021"}
