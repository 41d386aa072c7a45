"""Pictures of labels."""

import numpy as np
import pytest
from PIL import Image

from difftrack_jax.errors import UserError

from .made_up import T, masks, score, text


def draw(folder, pictures):
    folder.mkdir(parents=True, exist_ok=True)
    for time, picture in enumerate(pictures):
        Image.fromarray(picture, mode="L").save(folder / f"{time:05d}.png")
    return folder.parent


def test_several_objects(tmp_path):
    draw(tmp_path / "Annotations" / "480p" / "dog", masks())
    draw(tmp_path / "Annotations" / "480p" / "not-in-val", masks())
    text(tmp_path / "ImageSets" / "2017" / "val.txt", "dog")
    predictions = draw(tmp_path / "predictions" / "dog", masks())
    (predictions / "dog" / "00000.png").unlink()  # the first and last frame are not asked for
    best = score("davis2017", predictions, tmp_path, split="val")
    assert best["J&F-Mean"] == 1
    draw(predictions / "dog", 0 * masks())
    assert score("davis2017", predictions, tmp_path, split="val")["J&F-Mean"] == 0
    (predictions / "dog" / "00002.png").unlink()
    with pytest.raises(UserError, match=r"00002\.png: no such file"):
        score("davis2017", predictions, tmp_path, split="val")


def test_one_object_is_whatever_is_not_background(tmp_path):
    draw(tmp_path / "Annotations" / "480p" / "dog", (masks() > 0).astype(np.uint8) * 255)
    predictions = draw(tmp_path / "predictions" / "dog", masks() * 3)
    assert score("davis2016", predictions, tmp_path, split="val")["J&F-Mean"] == 1


def test_unsupervised_objects_have_any_labels(tmp_path):
    draw(tmp_path / "Annotations_unsupervised" / "480p" / "dog", masks())
    predictions = draw(tmp_path / "predictions" / "dog", np.array([0, 9, 4], np.uint8)[masks()])
    best = score("davis2017_unsupervised", predictions, tmp_path, split="val")
    assert best["J&F-Mean"] == best["tracking"]["HOTA"] == 1
    with pytest.raises(UserError, match="label 9 is predicted"):
        score("davis2017", predictions, tmp_path, split="val")


def test_pictures_of_another_size_are_named(tmp_path):
    draw(tmp_path / "Annotations" / "480p" / "dog", masks())
    predictions = draw(tmp_path / "predictions" / "dog", masks()[:, ::2, ::2])
    with pytest.raises(UserError, match=r"00001\.png: is \(16, 12\), the truth \(32, 24\)"):
        score("davis2017", predictions, tmp_path, split="val")
    assert T > 2
