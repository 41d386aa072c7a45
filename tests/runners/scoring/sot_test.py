"""Folders of OTB, LaSOT and GOT-10k."""

import numpy as np
import pytest

from difftrack_jax.errors import UserError
from difftrack_jax.runners import scoring

from .made_up import T, dump, score, text

BOXES = [f"{10 + 2 * t},20,30,40" for t in range(T)]


def test_otb_in_folders_with_several_targets_and_tabs(tmp_path):
    text(tmp_path / "Walking" / "groundtruth_rect.txt", *(box.replace(",", "\t") for box in BOXES))
    for number in (1, 2):
        text(tmp_path / "Jogging" / f"groundtruth_rect.{number}.txt", *BOXES)
    predictions = tmp_path / "predictions"
    for name in ("walking", "Jogging-1", "Jogging-2"):  # names are matched whatever their case
        text(predictions / f"{name}.txt", *BOXES)
    best = score("otb", predictions, tmp_path, split="all")
    assert best["success"] == pytest.approx(20 / 21)
    assert best["precision"] == best["norm_precision"] == best["got10k"]["AO"] == pytest.approx(1)


def test_otb_as_json_on_both_sides(tmp_path):
    rows = [[float(v) for v in box.split(",")] for box in BOXES]
    truth = dump(tmp_path / "otb.json", {"skating2_1": {"gt_rect": rows}})
    predictions = dump(tmp_path / "predictions" / "Skating2-1.json", [{"res": rows}]).parent
    assert score("otb", predictions, truth, split="tb50")["precision"] == 1
    dump(predictions / "Skating2-1.json", [{"res": rows[:3]}])
    with pytest.raises(UserError, match=r"3 boxes for 6 frames; --config.short=cut compares those"):
        score("otb", predictions, truth, split="tb50")
    assert score("otb", predictions, truth, split="tb50", short="cut")["precision"] == 1
    assert score("otb", predictions, truth, split="tb50", short="zeros")["precision"] == 0.5
    with pytest.raises(UserError, match="rules 'vot': known are lasot, otb, pysot"):
        score("otb", predictions, truth, split="tb50", rules="vot")


@pytest.mark.parametrize("toolkit", [False, True])
def test_lasot_from_the_archive_or_its_toolkit(tmp_path, toolkit):
    flags = [0, 0, 1, 0, 0, 0]
    if toolkit:
        text(tmp_path / "annos" / "bird-3.txt", *BOXES)
        text(tmp_path / "annos" / "absent" / "bird-3.txt", *flags)
    else:
        home = tmp_path / "bird" / "bird-3"
        text(home / "groundtruth.txt", *BOXES)
        text(home / "full_occlusion.txt", ",".join(map(str, flags)))
        text(home / "out_of_view.txt", ",".join("0" * T))
    predictions = text(tmp_path / "predictions" / "bird-3.txt", *BOXES).parent
    # A frame without the target is a miss in the official numbers, and one like the others in got10k's.
    assert score("lasot", predictions, tmp_path, split="test")["precision"] == pytest.approx(5 / 6)
    assert score("lasot", predictions, tmp_path, split="test", rules="got10k")["precision"] == 1


def test_lasot_knows_its_published_test_set(tmp_path):
    for name in ("bird-2", "bird-3", "bird-4"):
        text(tmp_path / "bird" / name / "groundtruth.txt", *BOXES)
    scorer, files = scoring.find("lasot"), lambda split: scoring.Files(tmp_path, tmp_path, split)
    assert scorer.sequences(files("test")) == ["bird-2", "bird-3"]
    assert scorer.sequences(files("train")) == ["bird-4"]
    text(tmp_path / "testing_set.txt", "bird-4")
    assert scorer.sequences(files("test")) == ["bird-4"]


def test_got10k(tmp_path):
    home = tmp_path / "val" / "GOT-10k_Val_000001"
    text(tmp_path / "val" / "list.txt", home.name)
    text(home / "groundtruth.txt", *BOXES)
    text(home / "cover.label", *[8, 8, 0, 8, 8, 8])
    text(home / "meta_info.ini", "[METAINFO]", "resolution: (320, 240)")
    far = [*BOXES[:2], "200,200,10,10", *BOXES[3:]]  # wrong only where the target cannot be seen
    predictions = tmp_path / "predictions"
    text(predictions / home.name / f"{home.name}_001.txt", *far)
    assert score("got10k", predictions, tmp_path, split="val")["AO"] == pytest.approx(1)
    text(predictions / home.name / f"{home.name}_002.txt", *(BOXES[:1] + ["1,1,2,2"] * 5))
    assert score("got10k", predictions, tmp_path, split="val")["AO"] == pytest.approx(0.5)
    np.testing.assert_allclose(score("got10k", predictions, tmp_path, split="val")["SR_0.75"], 0.5)
    with pytest.raises(UserError, match="no such file"):
        score("got10k", tmp_path, tmp_path / "val", split="val")
