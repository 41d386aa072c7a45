"""Detectors by name, and what is said of names that are none."""

import numpy as np
import pytest

from difftrack_jax.detectors import loading
from difftrack_jax.detectors.base import Detections, nothing
from difftrack_jax.errors import UserError

from . import graphs

FRAME = np.zeros((40, 60, 3), np.uint8)


def detector(frame):
    boxes = np.array([[1.0, 2, 21, 32], [5, 5, 5, 9], [30, 2, 50, 32]])
    return Detections(boxes, np.array([0.9, 0.8, 0.3]), ("person", "person", "dog"))


BAD = {
    "nothing": ("", "needs KIND:PATH, where KIND is one of rtdetr, dfine"),
    "no path": ("rtdetr", "needs KIND:PATH"),
    "an unknown kind": ("yolo9:x", "needs KIND:PATH"),
    "no folder": ("rtdetr:./nowhere", "no such folder; give a folder, or OWNER/REPO on the Hub"),
    "no file": ("yolox:nowhere.onnx", r"nowhere\.onnx: no such file"),
    "a pose model alone": ("vitpose:x", "needs KIND:PATH, where KIND is one of rtdetr"),
}


@pytest.mark.parametrize("case", BAD)
def test_wrong_names_are_one_line(case):
    spec, message = BAD[case]
    with pytest.raises(UserError, match=message) as error:
        loading.load(spec)
    assert "\n" not in str(error.value)


def test_two_pose_models_are_refused(tmp_path):
    with pytest.raises(UserError, match="names two pose models"):
        loading.load("yolox:a.onnx+hrnet:b.onnx+vitpose:c")


def test_offline_a_model_that_was_never_fetched_is_one_line(tmp_path, monkeypatch):
    pytest.importorskip("huggingface_hub")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError, match="HF_HUB_OFFLINE is set and it is not in the cache") as error:
        loading.load("rtdetr:somebody/something")
    assert "\n" not in str(error.value)


def test_your_own_function_is_filtered_as_any_other():
    seen = loading.of_detector(detector, 0.5, ("person",))
    assert seen(7, FRAME).boxes.tolist() == [[1, 2, 21, 32], [5, 5, 5, 9]]
    detector.names = ("person", "dog")
    with pytest.raises(UserError, match="the detector knows no 'cat'"):
        loading.of_detector(detector, 0.5, ("cat",))


def test_a_file_is_asked_by_frame(tmp_path):
    path = tmp_path / "det.txt"
    path.write_text("1,-1,3,4,5,6,0.9\n2,-1,3,4,5,6,0.3\n2,-1,9,4,5,6,0.8\n")
    seen = loading.of_file(str(path), 0.5)
    assert [seen(t, FRAME).count for t in range(3)] == [1, 1, 0]
    with pytest.raises(UserError, match=r"classes: the detections in .*det\.txt are of no class"):
        loading.of_file(str(path), 0.5, ("person",))


def test_joints_are_looked_for_in_boxes_that_have_an_area(tmp_path):
    asked = []

    def joints(frame, boxes):
        asked.append(len(boxes))
        return np.ones((len(boxes), 5, 3))

    seen = loading._with_joints(loading.of_detector(detector), joints)
    assert seen(0, FRAME).keypoints.shape == (2, 5, 3)
    empty = loading._with_joints(loading.of_detector(lambda frame: nothing()), joints)
    assert empty(0, FRAME).keypoints is None
    assert asked == [2]


def test_onnx_exports_work_in_turn(tmp_path, rng):
    (tmp_path / "a+b").mkdir()
    boxes = graphs.yolox(tmp_path / "a+b" / "boxes.onnx", 0.001 * rng.normal(size=(6, 3)), np.full(6, 2.0))
    joints = graphs.heat_maps(tmp_path / "joints.onnx")
    seen = loading.load(f"yolox:{boxes}+hrnet:{joints}")
    found = seen(0, rng.integers(0, 255, (80, 120, 3), dtype=np.uint8))
    assert found.count > 0
    assert found.keypoints.shape == (found.count, 3, 3)
