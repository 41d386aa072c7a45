"""MOT text: what is written is read back, and what the columns mean."""

import numpy as np
import pytest

from difftrack_jax.data.formats import mot
from difftrack_jax.data.records import make_rows
from difftrack_jax.errors import UserError


def random_rows(rng, n=40):
    low = rng.uniform(-20, 300, (n, 2)).round(2)
    frame, target = np.divmod(rng.permutation(200)[:n], 20)
    box = np.concatenate([low, low + rng.uniform(1, 99, (n, 2)).round(2)], axis=1)
    return make_rows(frame, id=target + 1, box=box, score=rng.random(n).round(4))


def test_results_come_back(tmp_path, rng):
    rows = random_rows(rng)
    mot.write_results(tmp_path / "a.txt", rows)
    read, want = mot.read_results(tmp_path / "a.txt"), rows.ordered()
    for name in ("frame", "id", "score"):
        np.testing.assert_array_equal(getattr(read, name), getattr(want, name))
    np.testing.assert_allclose(read.box, want.box, atol=0.0101)  # two decimals of a corner and of a size
    mot.write_results(tmp_path / "b.txt", read)
    assert (tmp_path / "a.txt").read_bytes() == (tmp_path / "b.txt").read_bytes()


def test_the_first_pixel_is_one_and_what_cannot_be_seen_is_left_out(tmp_path):
    box = [[0, 0, 10, 5], [1, 1, 2, 2], [np.nan] * 4]
    rows = make_rows([4, 4, 4], id=[2, 3, 4], box=box, score=[0.5, 1, 1], visible=[True, False, True])
    mot.write_results(tmp_path / "a.txt", rows)
    assert (tmp_path / "a.txt").read_text() == "5,2,1.00,1.00,10.00,5.00,0.5000,-1,-1,-1\n"


def test_ground_truth_scores_pedestrians_whose_flag_is_set(tmp_path):
    (tmp_path / "gt.txt").write_text("1,7,1,1,10,5,1,1,0.25\n1,8,3,3,1,1,0,1,1\n2,9,3,3,1,1,1,8,1\n")
    rows = mot.read_truth(tmp_path / "gt.txt")
    assert rows.ignore.tolist() == [False, True, True]
    assert rows.category.tolist() == [1, 1, 8]
    assert rows.box[0].tolist() == [0, 0, 10, 5]
    assert rows.extra[:, 0].tolist() == [0.25, 1, 1]
    assert rows.frame.tolist() == [0, 0, 1]


def test_ground_truth_comes_back(tmp_path, shared):
    rows = mot.read_truth(shared("data/mot17/MOT17/train/MOT17-04-FRCNN/gt/gt.txt"))
    mot.write_truth(tmp_path / "gt.txt", rows)
    back, want = mot.read_truth(tmp_path / "gt.txt"), rows.ordered()
    for name in ("frame", "id", "category", "box", "score", "ignore", "extra"):
        np.testing.assert_allclose(getattr(back, name), getattr(want, name), atol=1e-9, err_msg=name)


def test_mot15_has_no_classes(tmp_path):
    (tmp_path / "gt.txt").write_text("1,1,1,1,10,5,1,-1,-1,-1\n1,2,1,1,10,5,0,-1,-1,-1\n")
    assert mot.read_truth(tmp_path / "gt.txt").ignore.tolist() == [False, True]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,1,1,1,1,1,1\n1,1,1,1,x,1,1\n", "line 2 has 'x' where a number should be"),
        ("1,1,1,1,1,1,1\n1,1,1,1,1,1\n", "line 2 has 6 numbers"),
        ("0,1,1,1,1,1,1\n", "frames count from 1"),
        ("1.5,1,1,1,1,1,1\n", "frame 1.5 is not a whole number"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, message):
    (tmp_path / "bad.txt").write_text(text)
    with pytest.raises(UserError, match=message) as error:
        mot.read_results(tmp_path / "bad.txt")
    assert "bad.txt" in str(error.value)


def test_a_sequence_without_detections_is_an_empty_file(tmp_path):
    (tmp_path / "det.txt").write_text("")
    assert mot.read_results(tmp_path / "det.txt").count == 0


def test_real_files(shared):
    folder = shared("data/mot17/MOT17/train/MOT17-04-FRCNN")
    info, truth = mot.read_info(folder / "seqinfo.ini"), mot.read_truth(folder / "gt" / "gt.txt")
    assert (info.frames, info.width, info.height, info.fps) == (8, 1920, 1080, 30.0)
    assert truth.frame.max() == info.frames - 1
    assert (~truth.in_frame(0).ignore).sum() == 42  # pedestrians, as the clip's notes say
    assert mot.read_results(folder / "det" / "det.txt").id.max() == -1
