"""Detections from MOT text and COCO json, and what is said of files that are neither."""

import json

import numpy as np
import pytest

from difftrack_jax.data.formats import rle
from difftrack_jax.detectors.files import DetectionsFile
from difftrack_jax.errors import UserError

FRAME = np.zeros((10, 20, 3), np.uint8)
MASK = np.zeros((10, 20), bool)
MASK[2:6, 3:9] = True


def coco(tmp_path, data):
    path = tmp_path / "found.json"
    path.write_text(json.dumps(data))
    return path


def entry(image, x, **more):
    return {"image_id": image, "category_id": 3, "bbox": [x, 2, 4, 5], "score": 0.5, **more}


def test_mot_text_counts_frames_and_pixels_from_one(tmp_path):
    path = tmp_path / "det.txt"
    path.write_text("1,-1,3,4,5,6,0.9,-1,-1,-1\n3,-1,1,1,2,2,0.25,-1,-1,-1\n3,-1,2,1,2,2,0.75,-1,-1,-1\n")
    file = DetectionsFile(path)
    found = file(0, FRAME)
    np.testing.assert_array_equal(found.boxes, [[2, 3, 7, 9]])
    np.testing.assert_array_equal(found.scores, [0.9])
    assert [file(t, FRAME).count for t in range(4)] == [1, 0, 2, 0]
    assert (file.names, file.frames) == ((), 3)


def test_a_list_of_results_counts_frames_from_zero(tmp_path):
    file = DetectionsFile(coco(tmp_path, [entry(0, 1), entry(2, 3), entry("2", 5)]))
    np.testing.assert_array_equal(file(0, FRAME).boxes, [[1, 2, 5, 7]])
    assert file(2, FRAME).boxes[:, 0].tolist() == [3, 5]
    assert file(1, FRAME).count == 0
    assert file(2, FRAME).labels == ("3", "3")


def test_a_data_set_names_its_classes_and_orders_its_frames(tmp_path):
    images = [{"id": 70, "width": 20, "height": 10}, {"id": 12, "width": 20, "height": 10}]
    square = [3, 2, 9, 2, 9, 6, 3, 6]
    data = {"images": images, "categories": [{"id": 3, "name": "dog"}]}
    data["annotations"] = [entry(12, 1, segmentation=[square]), entry(70, 9, segmentation=[square])]
    file = DetectionsFile(coco(tmp_path, data))
    assert file.names == ("dog",)
    assert (file(0, FRAME).boxes[0, 0], file(1, FRAME).boxes[0, 0]) == (9, 1)
    np.testing.assert_array_equal(file(1, FRAME).masks[0], MASK)


@pytest.mark.parametrize("counts", ["compressed", "plain"])
def test_run_lengths_become_masks(tmp_path, counts):
    plain = np.diff(np.flatnonzero(np.diff(MASK.T.reshape(-1).astype(int), prepend=1, append=2))).tolist()
    code = {"size": [10, 20], "counts": rle.encode(MASK) if counts == "compressed" else plain}
    file = DetectionsFile(coco(tmp_path, [entry(0, 1, segmentation=code)]))
    np.testing.assert_array_equal(file(0, FRAME).masks, MASK[None])
    with pytest.raises(UserError, match=r"found\.json: a mask is 20x10, but the video is 8x8"):
        file(0, np.zeros((8, 8, 3), np.uint8))


def test_keypoints_keep_their_confidence(tmp_path):
    file = DetectionsFile(coco(tmp_path, [entry(0, 1, keypoints=[1, 2, 0.25, 3, 4, 2])]))
    np.testing.assert_array_equal(file(0, FRAME).keypoints, [[[1, 2, 0.25], [3, 4, 1]]])


def test_what_only_some_entries_have_is_left_out(tmp_path):
    code = {"size": [10, 20], "counts": rle.encode(MASK)}
    file = DetectionsFile(coco(tmp_path, [entry(0, 1, segmentation=code, keypoints=[1, 2, 1]), entry(0, 2)]))
    assert file(0, FRAME).masks is None
    assert file(0, FRAME).keypoints is None


BAD = {
    "no box": ([{"image_id": 0}], r"\[0\] has no 'bbox'"),
    "a box of three": ([{"image_id": 0, "bbox": [1, 2, 3]}], r"\[0\] is not as it should be"),
    "a frame before the first": ([entry(-1, 1)], "frames count from 0"),
    "neither list nor data set": ({"boxes": []}, "must hold a list of detections, or an object with 'images'"),
    "an image that is none": ({"images": [], "annotations": [entry(1, 1)]}, "image_id 1 is none of images"),
    "several videos": (
        {"images": [{"id": 1, "video_id": 1}, {"id": 2, "video_id": 2}], "annotations": []}, "several videos",
    ),
    "polygons of no size": ([entry(0, 1, segmentation=[[1, 2, 3, 4, 5, 6]])], "polygons need images"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_wrong_files_are_named(tmp_path, case):
    data, message = BAD[case]
    with pytest.raises(UserError, match=r"found\.json.*" + message):
        DetectionsFile(coco(tmp_path, data))


def test_absent_and_torn_files_are_named(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        DetectionsFile(tmp_path / "none.txt")
    (tmp_path / "torn.txt").write_text("1,-1,3,4,5,6,0.9,-1,-1,-1\n1,-1,3\n")
    with pytest.raises(UserError, match=r"torn\.txt: line 2 has 3 numbers"):
        DetectionsFile(tmp_path / "torn.txt")
