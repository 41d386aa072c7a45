"""Run lengths in text, with frames from 1 (MOTS20) or 0 (KITTI MOTS)."""

import numpy as np
import pytest

from difftrack_jax.data.formats import rle
from difftrack_jax.errors import UserError
from difftrack_jax.runners import scoring

from .made_up import SIZE, T, masks, score, text


def lines(pictures, first, kind=2):
    for time, picture in enumerate(pictures):
        for label in np.unique(picture[picture > 0]).tolist():
            yield f"{time + first} {1000 * kind + label} {kind} {SIZE[0]} {SIZE[1]} {rle.encode(picture == label)}"


def test_mots20(tmp_path):
    text(tmp_path / "train" / "SEQ" / "gt" / "gt.txt", *lines(masks(), 1))
    info = ("[Sequence]", "name=SEQ", f"seqLength={T}", f"imWidth={SIZE[1]}", f"imHeight={SIZE[0]}")
    text(tmp_path / "train" / "SEQ" / "seqinfo.ini", *info)
    predictions = text(tmp_path / "predictions" / "SEQ.txt", *lines(masks(), 1)).parent
    best = score("mots20", predictions, tmp_path, split="train")
    assert [best[name] for name in ("HOTA", "sMOTA", "MOTA", "MOTP")] == [1.0] * 4
    text(predictions / "SEQ.txt")
    assert score("mots20", predictions, tmp_path, split="train")["sMOTA"] == 0.0


def test_kitti_mots_and_its_regions_to_ignore(tmp_path):
    region = np.zeros(SIZE, bool)
    region[:, 24:] = True
    ignored = [f"{time} 10000 10 {SIZE[0]} {SIZE[1]} {rle.encode(region)}" for time in range(T)]
    text(tmp_path / "instances_txt" / "0002.txt", *lines(masks(), 0, kind=1), *ignored)
    stray = np.zeros((T, *SIZE), np.uint8)
    stray[2, 20:23, 22:28] = 7  # two thirds of it in the region
    found = [*lines(masks(), 0, kind=1), *lines(stray, 0, kind=1)]
    predictions = text(tmp_path / "predictions" / "0002.txt", *found).parent
    metrics = score("kitti_mots", predictions, tmp_path, split="val")
    assert (metrics["car"]["sMOTA"], metrics["car"]["CLR_FP"]) == (1.0, 0)
    assert metrics["pedestrian"]["GT_Dets"] == 0


def test_masks_that_overlap_are_refused(tmp_path):
    text(tmp_path / "label_02" / "0002.txt", *lines(masks(), 0))
    double = [*lines(masks(1), 0), *(line.replace(" 2001 ", " 2002 ") for line in lines(masks(1), 0))]
    predictions = text(tmp_path / "predictions" / "0002.txt", *double).parent
    with pytest.raises(UserError, match=r"0002\.txt: masks overlap in frame 0"):
        score("kitti_mots", predictions, tmp_path, split="val")


def test_kitti_mots_knows_its_splits(tmp_path):
    for name in ("0001", "0002", "0006"):
        text(tmp_path / "instances_txt" / f"{name}.txt")
    files = lambda split: scoring.Files(tmp_path, tmp_path, split)
    assert scoring.find("kitti_mots").sequences(files("val")) == ["0002", "0006"]
    assert scoring.find("kitti_mots").sequences(files("train")) == ["0001"]
