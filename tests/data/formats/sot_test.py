"""Files of one target: delimiters, absent targets, polygons and masks, and results that come back."""

import numpy as np
import pytest

from difftrack_jax.data.formats import rle, sot
from difftrack_jax.errors import UserError


@pytest.mark.parametrize("between", [",", "\t", "  ", ", "])
def test_any_delimiter_and_pixels_from_one(tmp_path, between):
    lines = [between.join(map(str, row)) for row in ((1, 1, 4, 5), (3, 2, 4, 5))]
    (tmp_path / "gt.txt").write_text("\n".join(lines))
    np.testing.assert_array_equal(sot.read_boxes(tmp_path / "gt.txt"), [[0, 0, 4, 5], [2, 1, 6, 6]])


def test_boxes_come_back_and_a_gap_repeats_the_box_before(tmp_path, rng):
    low = rng.uniform(-5, 300, (9, 2)).round(4)
    boxes = np.concatenate([low, low + rng.uniform(1, 99, (9, 2)).round(4)], axis=1)
    sot.write_boxes(tmp_path / "a.txt", boxes)
    np.testing.assert_allclose(sot.read_boxes(tmp_path / "a.txt"), boxes, atol=1e-9)
    gap = boxes.copy()
    gap[4:6] = np.nan
    sot.write_boxes(tmp_path / "b.txt", gap)
    np.testing.assert_allclose(sot.read_boxes(tmp_path / "b.txt")[4:6], boxes[[3, 3]], atol=1e-9)


def test_a_target_without_a_box_is_not_visible(tmp_path):
    (tmp_path / "gt.txt").write_text("5,5,10,10\n0,0,0,0\nNaN,NaN,NaN,NaN\n")
    rows = sot.single(sot.read_boxes(tmp_path / "gt.txt"))
    assert rows.visible.tolist() == [True, False, False]
    assert rows.frame.tolist() == [0, 1, 2]


def test_flags_in_a_line_or_a_column(tmp_path):
    (tmp_path / "row.txt").write_text("0,0,1,0\n")
    (tmp_path / "column.label").write_text("0\n0\n1\n0\n")
    for name in ("row.txt", "column.label"):
        assert sot.read_flags(tmp_path / name).tolist() == [False, False, True, False]


def test_polygons_keep_their_corners(tmp_path):
    (tmp_path / "gt.txt").write_text("3,1,7,5,3,9,1,5\n")
    rows = sot.read_vot(tmp_path / "gt.txt", (20, 20))
    assert rows.box.tolist() == [[0, 0, 6, 8]]
    assert rows.keypoints[0, :, :2].tolist() == [[2, 0], [6, 4], [2, 8], [0, 4]]


def test_masks_of_vot(tmp_path):
    # In a frame at (2, 1) of 3 x 2: one pixel of background, three of the target; the rest is background.
    (tmp_path / "gt.txt").write_text("m2,1,3,2,1,3\n")
    rows = sot.read_vot(tmp_path / "gt.txt", (6, 8))
    want = np.zeros((6, 8), bool)
    want[1, 3:5] = want[2, 2] = True
    np.testing.assert_array_equal(rle.decode(rows.segment[0], (6, 8)), want)
    assert rows.box.tolist() == [[2, 1, 5, 3]]


def test_wrong_files_are_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.txt: no such file"):
        sot.read_boxes(tmp_path / "none.txt")
    (tmp_path / "a.txt").write_text("1,2,3\n")
    with pytest.raises(UserError, match=r"a\.txt: line 1 has 3 numbers, 4 are needed"):
        sot.read_boxes(tmp_path / "a.txt")


def test_real_files(shared):
    assert sot.read_boxes(shared("data/otb/Crossing/groundtruth_rect.txt")).shape == (120, 4)
    lasot = shared("data/lasot_annos/annos")
    boxes = sot.read_boxes(lasot / "person-5.txt")
    absent = sot.read_flags(lasot / "absent" / "person-5.txt")
    assert len(boxes) == len(absent)
    assert not sot.single(boxes).visible[absent].any()
    polygons = sot.read_vot(shared("data/vot/bag/groundtruth.txt"), (360, 480))
    assert polygons.keypoints.shape == (196, 4, 3)
