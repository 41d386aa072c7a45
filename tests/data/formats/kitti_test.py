"""KITTI text: columns, regions to ignore, and results that come back."""

import numpy as np
import pytest

from difftrack_jax.data.formats import kitti
from difftrack_jax.data.records import make_rows
from difftrack_jax.errors import UserError


def test_results_come_back(tmp_path, rng):
    low = rng.uniform(0, 300, (12, 2)).round(4)
    box = np.concatenate([low, low + rng.uniform(1, 99, (12, 2)).round(4)], axis=1)
    rows = make_rows(np.arange(12) // 4, id=np.arange(12) % 4, category=np.arange(12) % 2 * 3 + 1, box=box)
    rows = rows._replace(score=rng.random(12).round(6))
    kitti.write(tmp_path / "0000.txt", rows)
    read = kitti.read(tmp_path / "0000.txt")
    for name in ("frame", "id", "category", "box", "score"):
        np.testing.assert_allclose(getattr(read, name), getattr(rows, name), atol=1e-9, err_msg=name)
    assert (tmp_path / "0000.txt").read_text().splitlines()[0].split()[2] == "Car"


def test_an_object_of_no_known_type_is_named(tmp_path):
    (tmp_path / "a.txt").write_text("0 1 Zebra 0 0 0 1 2 3 4 0 0 0 0 0 0 0\n")
    with pytest.raises(UserError, match="line 1 has an object of type 'Zebra'"):
        kitti.read(tmp_path / "a.txt")


def test_real_labels(shared):
    rows = kitti.read(shared("data/kitti_eval/gt/kitti_2d_box_train/label_02/0012.txt"))
    assert set(rows.id[rows.ignore]) == {-1}
    assert kitti.TYPES[rows.category[0] - 1] == "DontCare"
    np.testing.assert_array_equal(rows.box[0], [714.16, 182.66, 762.68, 198.19])
    assert dict(zip(kitti.EXTRA, rows.extra[1]))["occluded"] == 0
    results = kitti.read(shared("data/kitti_eval/trackers/kitti_2d_box_train/CIWT/data/0012.txt"))
    assert results.score[0] == 0.491808
