"""KITTI's labels: classes apart, and its rules for what is neither right nor wrong."""

import pytest

from difftrack_jax.errors import UserError

from .made_up import T, boxes, score, text

NOTHING = "-1 -1 -1 -1000 -1000 -1000 -10"


def line(time, i, kind, x, y, w, h, occluded=0, truncated=0):
    return f"{time} {i} {kind} {truncated} {occluded} -10 {x} {y} {x + w} {y + h} {NOTHING}"


@pytest.fixture
def folder(tmp_path):
    """Target 1 is a car, 2 a van, 3 a car that is hidden; to the right is a region nobody labelled."""
    kinds = {1: ("Car", 0), 2: ("Van", 0), 3: ("Car", 3)}
    lines = [line(t, i, kinds[i][0], x, y, w, h, kinds[i][1]) for t, i, x, y, w, h in boxes(3)]
    regions = [line(t, -1, "DontCare", 900, 0, 200, 200) for t in range(T)]
    text(tmp_path / "training" / "label_02" / "0000.txt", *lines, *regions)
    return tmp_path


def results(folder, rows, kind="Car"):
    return text(folder / "predictions" / "0000.txt", *(line(t, i, kind, *box) for t, i, *box in rows)).parent


def test_vans_and_hidden_cars_are_neither_right_nor_wrong(folder):
    for targets in (1, 2, 3):
        metrics = score("kitti", results(folder, boxes(targets)), folder)
        assert (metrics["car"]["HOTA"], metrics["car"]["GT_Dets"], metrics["car"]["Dets"]) == (1.0, T, T)
        assert metrics["pedestrian"]["GT_Dets"] == 0


def test_low_boxes_and_unlabelled_regions_are_forgiven(folder):
    low, inside, outside = ((t, 9, x, 100, 30, h) for t, x, h in ((0, 400, 25), (1, 950, 60), (2, 400, 26)))
    for extra, false in ((low, 0), (inside, 0), (outside, 1)):
        assert score("kitti", results(folder, [*boxes(1), extra]), folder)["car"]["CLR_FP"] == false


def test_frames_beyond_the_list_are_refused(folder):
    home = folder / "training"
    text(home / "evaluate_tracking.seqmap.training", f"0000 empty 000000 {T:06d}")
    predictions = results(folder, [(T, 1, 5, 5, 30, 40)])
    with pytest.raises(UserError, match=rf"0000\.txt: has frame {T}, but frames are 0 to {T - 1}"):
        score("kitti", predictions, home, split="training")
