"""YouTube-VIS json."""

import numpy as np
import pytest

from difftrack_jax.data.formats import rle
from difftrack_jax.errors import UserError

from .made_up import SIZE, T, dump, masks, score


def tubes(pictures, label):
    return [
        {"size": list(SIZE), "counts": rle.encode(picture == label)} if (picture == label).any() else None
        for picture in pictures
    ]


@pytest.fixture
def folder(tmp_path):
    files = [f"video/{time:05d}.jpg" for time in range(T)]
    data = {
        "videos": [{"id": 7, "width": SIZE[1], "height": SIZE[0], "length": T, "file_names": files}],
        "categories": [{"id": 3, "name": "dog"}],
        "annotations": [
            {"id": i, "video_id": 7, "category_id": 3, "iscrowd": 0, "segmentations": tubes(masks(), i)} for i in (1, 2)
        ],
    }
    dump(tmp_path / "instances_val_sub.json", data)
    return tmp_path


def results(folder, **changes):
    entries = [
        {"video_id": 7, "category_id": 3, "score": 0.5 + i / 10, "segmentations": tubes(masks(), i)} | changes
        for i in (1, 2)
    ]
    return dump(folder / "predictions" / "results.json", entries).parent


def test_the_truth_scores_1_as_masks_and_as_boxes(folder):
    predictions = results(folder)
    best = score("youtube_vis_2019", predictions, folder, split="val")
    assert (best["AP"], best["AP75"], best["AR10"], best["AR1"]) == pytest.approx((1, 1, 1, 0.5))
    assert score("youtube_vis_2019", predictions / "results.json", folder, split="val", kind="box")["AP"] == 1
    nothing = dump(folder / "none" / "results.json", []).parent
    assert score("youtube_vis_2019", nothing, folder, split="val")["AP"] == 0


def test_wrong_results_are_named(folder):
    with pytest.raises(UserError, match=r"results\.json: \[0\] has no 99"):
        score("youtube_vis_2019", results(folder, video_id=99), folder, split="val")
    with pytest.raises(UserError, match="kind 'pixel': known are mask, box"):
        score("youtube_vis_2019", results(folder), folder, split="val", kind="pixel")
    assert np.isnan(score("youtube_vis_2019", results(folder), folder, split="val")["AP_large"])
