"""Where files are looked for, and what is said when they are not there."""

import pytest

from difftrack_jax.errors import UserError
from difftrack_jax.runners import scoring
from difftrack_jax.runners.scoring.base import Files

from .made_up import text


def files(folder, split="val"):
    return Files(folder, folder, split)


def test_the_first_pattern_that_exists_counts(tmp_path):
    text(tmp_path / "b" / "x.txt")
    patterns = "{split}/{sequence}.txt, b/{sequence}.txt"
    assert files(tmp_path).place(tmp_path, patterns, "x") == tmp_path / "b" / "x.txt"
    text(tmp_path / "val" / "x.txt")
    assert files(tmp_path).place(tmp_path, patterns, "x") == tmp_path / "val" / "x.txt"


def test_parts_of_names_find_their_places(tmp_path):
    text(tmp_path / "bird" / "bird-3" / "gt.txt")
    text(tmp_path / "0005" / "cars-in-left" / "gt.txt")
    assert files(tmp_path).place(tmp_path, "{class}/{sequence}/gt.txt", "bird-3").is_file()
    assert files(tmp_path).place(tmp_path, "{video}/{expression}/gt.txt", "0005+cars-in-left").is_file()


def test_names_are_what_files_are_called_in_the_order_of_numbers(tmp_path):
    for name in ("seq10", "seq9", "seq1"):
        text(tmp_path / name / "gt" / "gt.txt")
    assert files(tmp_path).listed("{split}/{sequence}/gt/gt.txt, {sequence}/gt/gt.txt") == ["seq1", "seq9", "seq10"]
    text(tmp_path / "7" / "red" / "gt.txt")
    assert files(tmp_path).listed("{video}/{expression}/gt.txt")[0] == "7+red"


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(UserError, match=r"a/x\.txt: no such file or folder, nor b/x\.txt"):
        files(tmp_path).place(tmp_path, "a/{sequence}.txt, b/{sequence}.txt", "x")
    with pytest.raises(UserError, match=r"holds no \{sequence\}/gt\.txt"):
        files(tmp_path).listed("{sequence}/gt.txt")
    with pytest.raises(UserError, match="benchmark 'mot16': unknown; there are otb, lasot"):
        scoring.find("mot16")


def test_sequences_are_chosen_by_name_or_pattern(tmp_path):
    for name in ("A-1", "A-2", "B-1"):
        text(tmp_path / name / "gt" / "gt.txt")
    scorer = scoring.find("mot17")
    assert scorer.chosen(files(tmp_path), "A-*, B-1") == ["A-1", "A-2", "B-1"]
    assert scorer.chosen(files(tmp_path), "") == ["A-1", "A-2", "B-1"]
    with pytest.raises(UserError, match=r"no 'C-1' in .*; there are A-1, A-2, B-1"):
        scorer.chosen(files(tmp_path), "C-1")


def test_lists_come_first(tmp_path):
    for name in ("a", "b", "c"):
        text(tmp_path / "val" / name / "groundtruth.txt")
    scorer = scoring.find("got10k")
    assert scorer.sequences(files(tmp_path)) == ["a", "b", "c"]
    text(tmp_path / "val" / "list.txt", "name", "c", "a")
    assert scorer.sequences(files(tmp_path)) == ["c", "a"]
