"""MOTChallenge folders: right is 1, distractors are forgiven where the year says so, wrong files are named."""

import pytest

from difftrack_jax.errors import UserError

from .made_up import T, boxes, dump, score, text


@pytest.fixture
def folder(tmp_path):
    """Two pedestrians and a reflection (id 3, class 12), in the layout of the archives."""
    lines = [f"{time + 1},{i},{x},{y},{w},{h},1,{12 if i == 3 else 1},1" for time, i, x, y, w, h in boxes(3)]
    text(tmp_path / "train" / "SEQ" / "gt" / "gt.txt", *lines)
    text(
        tmp_path / "train" / "SEQ" / "seqinfo.ini",
        "[Sequence]",
        "name=SEQ",
        f"seqLength={T}",
        "imWidth=320",
        "imHeight=240",
    )
    return tmp_path


def results(folder, rows, name="SEQ.txt"):
    lines = [f"{time + 1},{i + 10},{x},{y},{w},{h},0.9,-1,-1,-1" for time, i, x, y, w, h in rows]
    return text(folder / "predictions" / name, *lines).parent


def test_the_truth_scores_1_and_distractors_are_forgiven(folder):
    predictions = results(folder, boxes(3))
    best = score("mot17", predictions, folder, split="train")
    assert [best[name] for name in ("HOTA", "MOTA", "MOTP", "IDF1", "LocA")] == [1.0] * 5
    strict = score("mot15", predictions, folder, split="train")  # without classes the reflection is a third target
    assert (strict["GT_Dets"], strict["HOTA"]) == (3 * T, 1.0)
    both = score("mot17", results(folder, boxes(2)), folder, split="train")
    assert both["HOTA"] == 1.0


def test_no_boxes_score_0(folder):
    worst = score("mot17", results(folder, []), folder, split="train")
    assert (worst["HOTA"], worst["MOTA"], worst["IDF1"], worst["CLR_FN"]) == (0.0, 0.0, 0.0, 2 * T)


def test_results_may_lie_in_data_as_trackeval_has_them(folder):
    predictions = results(folder, boxes(2), "data/SEQ.txt").parent
    assert score("mot17", predictions, folder / "train")["HOTA"] == 1.0


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(T, 1, 5, 5, 5, 5)], rf"SEQ\.txt: has frame {T + 1}, but SEQ has {T} frames"),
        ([(0, 1, 5, 5, 5, 5), (0, 1, 9, 9, 5, 5)], "SEQ: frame 0 .* predicted identity appears twice"),
        ([(0, 1, 5, 5, 5, "wide")], r"SEQ\.txt: line 1 has 'wide' where a number should be"),
    ],
)
def test_wrong_results_are_named(folder, rows, message):
    with pytest.raises(UserError, match=message):
        score("mot17", results(folder, rows), folder, split="train")


def test_missing_results_are_named(folder):
    with pytest.raises(UserError, match=r"predictions/SEQ\.txt: no such file"):
        score("mot17", results(folder, [], "OTHER.txt"), folder, split="train")
    with pytest.raises(UserError, match=r"predictions: .*nowhere does not exist"):
        score("mot17", folder / "nowhere", folder, split="train")
    with pytest.raises(UserError, match="distractors 'MOT18': known are MOT16, MOT17, MOT20"):
        score("mot17", results(folder, []), folder, split="train", distractors="MOT18")


def test_groot_has_all_videos_in_one_json(tmp_path):
    images = [{"id": t, "file_name": f"MOT17-02_{t + 1:06d}.jpg"} for t in range(T)]
    annotations = [
        {"image_id": t, "track_id": i, "category_id": 1, "bbox": [x, y, w, h], "captions": ["a man in red"]}
        for t, i, x, y, w, h in boxes(2)
    ]
    dump(tmp_path / "annotations" / "v1.0" / "mot17_train_coco.json", {"images": images, "annotations": annotations})
    predictions = results(tmp_path, boxes(2), "MOT17-02.txt")
    best = score("groot", predictions, tmp_path, split="train")
    assert (best["HOTA"], best["GT_Dets"], best["CLR_Frames"]) == (1.0, 2 * T, T)
