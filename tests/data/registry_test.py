"""Every benchmark: its official layout is read, and a wrong one is named."""

import shutil

import numpy as np
import pytest

from difftrack_jax.data import registry
from difftrack_jax.errors import UserError

from .builders.layouts import LAYOUTS, make


def test_every_benchmark_has_a_layout_here():
    assert set(registry.benchmarks()) == set(LAYOUTS)


def test_unknown_names_are_answered_with_the_known():
    with pytest.raises(UserError, match=r"benchmark 'davis': unknown; there are .*davis2017"):
        registry.find("davis")


@pytest.mark.parametrize("name", LAYOUTS)
def test_official_layouts_are_read(tmp_path, name):
    _, split, names = LAYOUTS[name]
    benchmark = registry.benchmark(name, make(name, tmp_path))
    assert benchmark.names(split) == names
    for sequence in names:
        clip = benchmark.read(split, sequence)
        t, rows = len(clip.frames), clip.rows
        assert clip.name == sequence
        assert clip.frames[t - 1].shape == (clip.height, clip.width, 3)
        assert len(clip.frame_ids) == len(clip.labelled) == t
        assert rows.count > 0
        assert 0 <= rows.frame.min() <= rows.frame.max() < t
        assert len(set(zip(rows.frame, rows.id, rows.segment))) == rows.count
        assert rows.keypoints.shape[1] == benchmark.joints
        assert rows.extra.shape[1] == len(clip.extra) == len(benchmark.extra)
        known = rows.box[np.isfinite(rows.box).all(axis=1) & rows.visible]
        assert (known[:, 2:] > known[:, :2]).all()


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_folder_may_be_named_from_where_one_is(tmp_path, monkeypatch, name):
    _, split, names = LAYOUTS[name]
    make(name, tmp_path / "folder")
    monkeypatch.chdir(tmp_path)
    clip = registry.benchmark(name, "folder").read(split, names[0])
    assert clip.frames[0].shape == (clip.height, clip.width, 3)


@pytest.mark.parametrize("name", LAYOUTS)
def test_an_empty_folder_is_answered_with_the_layout(tmp_path, name):
    benchmark = registry.benchmark(name, tmp_path)
    with pytest.raises(UserError) as error:
        benchmark.names(LAYOUTS[name][1])
    assert str(tmp_path) in str(error.value)
    assert benchmark.layout in str(error.value)


# A file that each benchmark cannot do without, and that nothing else stands in for.
MISSING = {
    "dancetrack": "val/dancetrack0004/seqinfo.ini",
    "davis2016": "Annotations/480p/bear/00000.png",
    "davis2017": "Annotations/480p/bear/00000.png",
    "got10k": "val/GOT-10k_Val_000001/cover.label",
    "groot": "MOT17/train/MOT17-04-FRCNN/seqinfo.ini",
    "kitti": "training/label_02/0000.txt",
    "kitti_mots": "instances_txt/0002.txt",
    "lasot": "airplane/airplane-1/out_of_view.txt",
    "mot17": "train/MOT17-04-FRCNN/gt/gt.txt",
    "mot20": "train/MOT20-01/gt/gt.txt",
    "mots20": "train/MOTS20-02/gt/gt.txt",
    "nuscenes": "samples/CAM_FRONT/1.jpg",
    "otb": "Basketball/img",
    "posetrack18": "images/val/000342_mpii_test/000001.jpg",
    "posetrack21": "images/val/000342_mpii_test/000001.jpg",
    "refer_kitti": "KITTI/training/image_02/0005",
    "tapvid_davis": "tapvid_davis.pkl",
    "tapvid_kinetics": "0000_of_0002.pkl",
    "tapvid_kubric": "tapvid_kubric.pkl",
    "tapvid_rgb_stacking": "tapvid_rgb_stacking.pkl",
    "vot": "bag/groundtruth.txt",
    "youtube_vis_2019": "train/JPEGImages/0043f083b5/00001.jpg",
    "youtube_vis_2021": "train/JPEGImages/0043f083b5/00001.jpg",
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_missing_file_is_named(tmp_path, name):
    _, split, names = LAYOUTS[name]
    lost = make(name, tmp_path) / MISSING[name]
    shutil.rmtree(lost) if lost.is_dir() else lost.unlink()

    def read():
        benchmark = registry.benchmark(name, tmp_path)
        benchmark.names(split)
        benchmark.read(split, names[0])

    with pytest.raises(UserError) as error:
        read()
    assert str(lost) in str(error.value)
    assert "\n" not in str(error.value)


def test_the_folder_around_the_official_one_will_do(tmp_path):
    make("mot17", tmp_path / "MOT17")
    for root in (tmp_path, tmp_path / "MOT17"):
        assert len(registry.benchmark("mot17", root).names("train")) == 2


def test_sequences_are_chosen_by_name_or_pattern(tmp_path):
    benchmark = registry.benchmark("mot17", make("mot17", tmp_path))
    assert benchmark.names("train", "*-FRCNN") == ["MOT17-04-FRCNN"]
    assert benchmark.names("train", "MOT17-09-SDP, MOT17-04-FRCNN") == ["MOT17-04-FRCNN", "MOT17-09-SDP"]
    with pytest.raises(UserError, match=r"sequences: no 'MOT17-05' in split train of mot17; there are MOT17-04-FRCNN"):
        benchmark.names("train", "MOT17-05")
    with pytest.raises(UserError, match="mot17: has no split 'val'; there are train, test, val_half"):
        benchmark.names("val")


def test_a_folder_that_does_not_exist(tmp_path):
    with pytest.raises(UserError, match=r"lasot: the folder .*nowhere does not exist; it should hold CLASS"):
        registry.benchmark("lasot", tmp_path / "nowhere")
