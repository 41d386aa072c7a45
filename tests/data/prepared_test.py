"""Prepared sets: no TensorFlow, and the same content to the last bit."""

import builtins
import pathlib
import sys

import numpy as np
import pytest

pytest.importorskip("tensorflow_datasets", reason="needs the extra `data`")

from difftrack_jax.data import prepared, registry
from difftrack_jax.errors import UserError

from .builders.layouts import LAYOUTS, make


@pytest.fixture
def no_tensorflow(monkeypatch):
    """Importing TensorFlow fails, installed or not."""
    real = builtins.__import__

    def guarded(name, *args, **kwargs):
        if name.split(".")[0] == "tensorflow":
            raise ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow")
        return real(name, *args, **kwargs)

    for module in [name for name in sys.modules if name.split(".")[0] == "tensorflow"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(builtins, "__import__", guarded)


@pytest.mark.parametrize("name", LAYOUTS)
def test_what_is_prepared_reads_back_identical(tmp_path, no_tensorflow, name):
    root = make(name, tmp_path / "official")
    _, split, names = LAYOUTS[name]
    built = registry.prepare(name, root, tmp_path / "prepared")
    source = built.as_data_source(split=prepared.tfds_split(split))
    direct = registry.benchmark(name, root)
    assert len(source) == len(names)
    for index, sequence in enumerate(names):
        got = prepared.decode(source[index], built.info.metadata["root"])
        want = direct.read(split, sequence)
        for field in ("name", "width", "height", "fps", "captions", "extra"):
            assert getattr(got, field) == getattr(want, field), field
        np.testing.assert_array_equal(got.frame_ids, want.frame_ids)
        np.testing.assert_array_equal(got.labelled, want.labelled)
        for side in ("rows", "detections"):
            for column, a, b in zip(got.rows._fields, getattr(got, side), getattr(want, side)):
                assert a.dtype == b.dtype, (side, column)
                np.testing.assert_array_equal(a, b, err_msg=f"{side}.{column}")
        for frame in range(len(want.frames)):
            np.testing.assert_array_equal(got.frames[frame], want.frames[frame])
    assert "tensorflow" not in sys.modules


def test_frames_of_folders_are_not_copied(tmp_path):
    root = make("otb", tmp_path / "official")
    built = registry.prepare("otb", root, tmp_path / "prepared")
    example = built.as_data_source(split="everything")[0]
    assert [path.decode() for path in example["paths"]] == [f"Basketball/img/{i:04d}.jpg" for i in (1, 2, 3)]
    assert "images" not in example


def test_a_prepared_set_of_another_folder_is_not_taken_for_this_one(tmp_path):
    registry.prepare("otb", make("otb", tmp_path / "one"), tmp_path / "prepared")
    with pytest.raises(UserError, match=r"was prepared from .*one, not from .*two"):
        registry.prepare("otb", make("otb", tmp_path / "two"), tmp_path / "prepared")


def test_a_wrong_layout_prepares_nothing_and_names_the_file(tmp_path):
    (tmp_path / "official").mkdir()
    with pytest.raises(UserError, match=r"official.*ImageSets/2017/val\.txt: is missing; davis2017 needs JPEGImages"):
        registry.prepare("davis2017", tmp_path / "official", tmp_path / "prepared")
    assert not list((tmp_path / "prepared").rglob("*.array_record*"))


@pytest.mark.parametrize(("kept", "said"), [("array_record", "'train'"), ("tfrecord", "not array_record")])
def test_a_prepared_folder_that_cannot_be_read_is_one_line(tmp_path, kept, said):
    """Either it lacks the split, or another tool prepared it in a format without random access."""
    built = registry.prepare("otb", make("otb", tmp_path / "official"), tmp_path / "prepared")
    info = pathlib.Path(built.data_dir) / "dataset_info.json"
    info.write_text(info.read_text().replace("array_record", kept))
    split = "train" if kept == "array_record" else "everything"
    with pytest.raises(UserError, match=rf"has no split '{split}' that can be read") as error:
        prepared.read(built.data_dir, split)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
