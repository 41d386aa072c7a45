"""PoseTrack json: persons, regions to ignore, and results that come back."""

import json

import numpy as np
import pytest

from difftrack_jax.data.formats import posetrack, rle
from difftrack_jax.data.records import make_rows
from difftrack_jax.errors import UserError

J = len(posetrack.JOINTS)


def test_results_come_back(tmp_path, rng):
    joints = rng.uniform(1, 30, (5, J, 3)).round(3)
    joints[..., 2] = rng.random((5, J)).round(4)
    joints[:, 3:5] = 0
    low = rng.uniform(0, 9, (5, 2)).round(3)
    rows = make_rows(
        [0, 0, 1, 1, 2], id=[3, 5, 3, 5, 3], box=np.concatenate([low, low + 7], axis=1), keypoints=joints,
        score=rng.random(5).round(4),
    )  # fmt: skip
    ids = np.array([10000010000, 10000010001, 10000010002])
    files = [f"images/val/000001_x/{i:06d}.jpg" for i in range(3)]
    posetrack.write(tmp_path / "000001_x.json", rows, ids, files)
    read = posetrack.read(tmp_path / "000001_x.json")
    assert read.files == tuple(files)
    np.testing.assert_array_equal(read.frame_ids, ids)
    for name in ("frame", "id", "score", "keypoints"):
        np.testing.assert_array_equal(getattr(read.rows, name), getattr(rows, name), err_msg=name)
    np.testing.assert_allclose(read.rows.box, rows.box, atol=1e-9)
    entry = json.loads((tmp_path / "000001_x.json").read_text())["annotations"][0]
    assert len(entry["keypoints"]) == 3 * J
    assert entry["keypoints"][9:15] == [0] * 6


def test_a_field_that_is_missing_is_named(tmp_path):
    data = {"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [{"image_id": 1, "track_id": 0}]}
    (tmp_path / "a.json").write_text(json.dumps(data))
    with pytest.raises(UserError, match=r"a\.json: annotations\[0\] has no 'keypoints'"):
        posetrack.read(tmp_path / "a.json")


def test_real_ground_truth(shared):
    video = posetrack.read(shared("data/posetrack_bonn/posetrack_data/val/900001_bonn_val.json"))
    assert len(video.files) == 20
    assert video.labelled.all()
    assert np.unique(video.rows.id).tolist() == [0, 1, 2, 3]
    assert (video.rows.extra[:, 2] > video.rows.extra[:, 0]).all()  # head boxes


def test_real_regions_to_ignore(shared):
    path = shared("data/posetrack18_mmpose/annotations/val/003418_mpii_test.json")
    rows = posetrack.read(path, (1080, 1920)).rows
    regions = rows.take(rows.ignore)
    assert rows.count - regions.count == 1
    assert regions.count == 9
    assert (rle.areas(regions.segment, (1080, 1920)) > 0).all()
