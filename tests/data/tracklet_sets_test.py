"""Tracklets come back as they were written, and whatever is wrong with them is one line that says where."""

import json

import numpy as np
import pytest

from difftrack_jax.data import tracklet_sets
from difftrack_jax.data.tracklet_sets import arrays, check, from_json, read, to_json
from difftrack_jax.errors import UserError


def data(*boxes, **changes):
    tracklets = [{"id": 7 - i, "category": "red disc", "boxes": list(rows)} for i, rows in enumerate(boxes)]
    head = {"width": 100, "height": 50, "fps": 8, "frames": 2, "caption": "on a street"}
    return {**head, "tracklets": tracklets, **changes}


GOOD = [[10, 10, 30, 40], None]


def test_a_file_comes_back(tmp_path):
    path = tmp_path / "t.json"
    path.write_text(json.dumps(data(GOOD, [[0, 0, 5, 5], [1, 1, 6, 6]])))
    found = read(path)
    check(found, 20)
    assert to_json(found) == json.loads(path.read_text())


def test_slots_go_by_rising_id_and_boxes_are_cut_off_at_the_border():
    boxes, valid = arrays(from_json(data(GOOD, [[-10, 0, 50, 80], [1, 1, 6, 6]])), 3)
    np.testing.assert_allclose(boxes[0, 0], [0, 0, 0.5, 1])  # id 6
    np.testing.assert_allclose(boxes[0, 1], [0.1, 0.2, 0.3, 0.8])  # id 7
    np.testing.assert_array_equal(valid, [[1, 1, 0], [1, 0, 0]])


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (data([[10, 10, 30, 40], [100, 10, 130, 40]]), "frame 1: box .* lies outside the frame of 100 x 50"),
        (data([[30, 10, 10, 40], None]), "frame 0: box .* is reversed"),
        (data([[10, 10, 10, 40], None]), "reversed or empty"),
        (data([[float("nan"), 10, 30, 40], None]), "not finite"),
        (data(*[GOOD] * 5), "has 5 tracklets; this model has 4 slots"),
        (data(GOOD, frames=0, tracklets=[]), "zero frames"),
        (data(frames=2), "holds no tracklets"),
        (data(GOOD[:1]), "has 1 boxes, but the clip has 2 frames"),
        (data([None, None]), "is in no frame"),
        (data(GOOD, width=0), "above 0"),
        (data([[1, 2, 3], None]), "four numbers"),
        ({**data(), "tracklets": [{"id": 1, "boxes": [[1, 1, 2, 2]] * 2}]}, "has no 'category'"),
        ({**data(), "tracklets": [{"id": 1, "category": "a", "boxes": GOOD}] * 2}, "id 1 is there twice"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(changes, line):
    with pytest.raises(UserError, match=line) as error:
        check(from_json(changes, "tracks.json"), 4)
    assert str(error.value).startswith("tracks.json")
    assert "\n" not in str(error.value)


def test_mot_files_need_to_be_told_the_size(tmp_path):
    path = tmp_path / "gt.txt"
    path.write_text("1,3,11,11,20,30,1,1,1.0\n2,3,12,11,20,30,1,1,1.0\n2,9,1,1,5,5,1,3,1.0\n")
    with pytest.raises(UserError, match="how large its frames are"):
        read(path)
    found = read(path, size=(100, 50))
    check(found, 20)
    assert [t.category for t in found.tracklets] == ["pedestrian", "car"]
    np.testing.assert_allclose(found.tracklets[0].boxes[0], [10, 10, 30, 40])
    assert np.isnan(found.tracklets[1].boxes[0]).all()
    assert read(path, "red disc", (100, 50)).tracklets[0].category == "red disc"


def test_a_seed_gives_the_same_tracklets_and_any_number_of_frames():
    one, two = read("synthetic:5"), read("synthetic:5")
    assert to_json(one) == to_json(two)
    assert to_json(one) != to_json(read("synthetic:6"))
    check(one, 8)
    assert read("synthetic:5:20").frames == 20
    for wrong in ("synthetic:", "synthetic:x", "synthetic:5:0", "synthetic:1:2:3"):
        with pytest.raises(UserError):
            read(wrong)


def test_missing_files_are_named():
    with pytest.raises(UserError, match=r"nowhere\.json"):
        tracklet_sets.read("nowhere.json")
