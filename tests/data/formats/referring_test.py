"""Sentences and whom they name."""

import json

import numpy as np
import pytest

from difftrack_jax.data.formats import referring
from difftrack_jax.data.records import make_rows
from difftrack_jax.errors import UserError


def test_an_expression_picks_its_targets_frame_by_frame(tmp_path):
    data = {"label": {"0": [1, 2], "2": [2]}, "ignore": {}, "video_name": "0005", "sentence": "cars in black"}
    (tmp_path / "cars-in-black.json").write_text(json.dumps(data))
    expression = referring.read_expression(tmp_path / "cars-in-black.json")
    rows = make_rows(np.repeat([0, 1, 2], 3), id=np.tile([1, 2, 3], 3))
    named = referring.referred(rows, expression)
    assert list(zip(named.frame, named.id)) == [(0, 1), (0, 2), (2, 2)]
    assert expression.sentence == "cars in black"


def test_groot_groups_images_and_drops_missing_captions(tmp_path):
    images = [{"id": i, "file_name": f"MOT17-04-FRCNN_{i:06d}.jpg"} for i in (1, 2)]
    entry = {"category_id": 1, "bbox": [1, 1, 10, 5], "captions": ["a man in a suit", "None"]}
    annotations = [
        {**entry, "image_id": 1, "track_id": 4},
        {**entry, "image_id": 2, "track_id": 4},
        {**entry, "image_id": 2, "track_id": 5, "captions": ["a woman", "crossing the street"]},
    ]
    (tmp_path / "a.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    video = referring.read_groot(tmp_path / "a.json")["MOT17-04-FRCNN"]
    assert video.captions == ((4, "a man in a suit"), (5, "a woman"), (5, "crossing the street"))
    assert list(zip(video.rows.frame, video.rows.id)) == [(0, 4), (1, 4), (1, 5)]
    assert video.rows.box[0].tolist() == [0, 0, 10, 5]


@pytest.mark.parametrize("file", ["MOT17-04_000012.jpg", "MOT17-04/img1/000012.jpg"])
def test_names_of_files(file):
    assert referring.split_name(file) == ("MOT17-04", 12)


def test_a_name_without_a_frame_is_refused(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"images": [{"id": 1, "file_name": "cover.jpg"}], "annotations": []}))
    with pytest.raises(UserError, match=r"a\.json: images\[0\].*'cover\.jpg' is not VIDEO_FRAME\.jpg"):
        referring.read_groot(tmp_path / "a.json")


def test_real_expressions_and_labels(shared):
    folder = shared("data/refer_kitti")
    rows = referring.read_labels(folder / "KITTI/labels_with_ids/image_02/0005", 297, (1242, 375))
    expression = referring.read_expression(folder / "expression/0005/cars-in-black.json")
    named = referring.referred(rows, expression)
    truth = np.loadtxt(folder / "gt_template/0005/cars-in-black/gt.txt", delimiter=",")
    found = {(frame, target): box for frame, target, box in zip(named.frame, named.id, named.box)}
    listed = {(int(row[0]), int(row[1])): row[2:6] for row in truth}
    # The official template drops frame 0 and a few boxes of the expression.
    both = found.keys() & listed.keys()
    assert len(both) == len(listed) - 1 == 612
    for pair in both:
        x0, y0, x1, y1 = found[pair]
        np.testing.assert_allclose([x0, y0, x1 - x0, y1 - y0], listed[pair], atol=1e-3)


def test_real_groot_layout(shared):
    videos = referring.read_groot(shared("data/groot/mot17_train_coco_derived.json"))
    video = videos["MOT17-04-FRCNN"]
    assert len(video.files) == 8
    assert sum(np.isin(video.rows.id, [target for target, _ in video.captions])) == 280
