"""PoseTrack json."""

import numpy as np
import pytest

from difftrack_jax.errors import UserError

from .made_up import T, dump, score


def video(images=T, labelled=True, scores=False, shift=0.0, persons=2):
    people = []
    for time in range(images):
        for i in range(persons):
            place = np.stack([60 + 100 * i + 3.0 * np.arange(17) + shift, 50 + 5.0 * np.arange(17)], axis=1)
            joints = np.concatenate([place, np.ones((17, 1))], axis=1)
            person = {"image_id": 100 + time, "track_id": i, "keypoints": joints.reshape(-1).tolist()}
            people.append(person | ({"scores": [0.9] * 17} if scores else {"bbox_head": [60, 50, 30, 40]}))
    listed = [{"id": 100 + time, "file_name": f"{time}.jpg", "is_labeled": labelled} for time in range(images)]
    return {"images": listed, "annotations": people}


@pytest.fixture
def folder(tmp_path):
    dump(tmp_path / "posetrack_data" / "val" / "000001_mpii_test.json", video())
    return tmp_path


def results(folder, **changes):
    return dump(folder / "predictions" / "000001_mpii_test.json", video(scores=True, **changes)).parent


def test_the_truth_scores_1_and_nothing_0(folder):
    best = score("posetrack21", results(folder), folder, split="val")
    assert best["mAP"]["AP_Total"] == best["HOTA"]["HOTA"] == best["poseval MOTA"]["MOTA_Total"] == pytest.approx(1)
    # A head of 30 x 40 pixels is 30 in size, so 15 are half of it.
    near, far = (score("posetrack21", results(folder, shift=shift), folder, split="val") for shift in (14.9, 15.1))
    assert (near["mAP"]["AP_Total"], far["mAP"]["AP_Total"]) == (pytest.approx(1), 0)
    nobody = score("posetrack21", results(folder, persons=0), folder, split="val")
    assert nobody["mAP"]["AP_Total"] == nobody["HOTA"]["HOTA"] == 0


def test_images_must_be_the_same(folder):
    with pytest.raises(UserError, match=r"its images are not those of 000001_mpii_test\.json"):
        score("posetrack21", results(folder, images=T - 1), folder, split="val")


def test_a_truth_without_heads_is_refused(folder):
    truth = video()
    for person in truth["annotations"]:
        del person["bbox_head"]
    dump(folder / "posetrack_data" / "val" / "000001_mpii_test.json", truth)
    with pytest.raises(UserError, match="image 100 has a person without bbox_head"):
        score("posetrack21", results(folder), folder, split="val")
