"""A workdir belongs to one config and one run at a time, and a failed start leaves it as it was."""

import json
import pathlib
import subprocess
import sys

import ml_collections
import pytest

from difftrack_jax.errors import UserError
from difftrack_jax.runners import common


def config(**fields):
    start = dict(task="track", seed=0, tracker=dict(size=64), outputs=("json",), quiet=False, overwrite=False)
    return ml_collections.ConfigDict({**start, **fields})


def start(folder, **fields):
    """A run that leaves a result."""
    with common.claim(folder, config(**fields)):
        (folder / "tracks.json").write_text("{}")


def test_new_workdirs_are_numbered(tmp_path):
    assert [common.new_workdir("video", tmp_path).name for _ in range(3)] == ["video-1", "video-2", "video-3"]


def test_the_same_config_resumes(tmp_path):
    start(tmp_path / "a" / "b")
    start(tmp_path / "a" / "b", quiet=True)
    assert json.loads((tmp_path / "a" / "b" / "config.json").read_text())["quiet"] is True


def test_another_config_is_refused_by_its_first_difference(tmp_path):
    start(tmp_path)
    with pytest.raises(UserError, match=r"tracker\.size was 64 and is 32"):
        start(tmp_path, tracker=dict(size=32))
    assert json.loads((tmp_path / "config.json").read_text())["tracker"]["size"] == 64


def test_a_training_may_grow_longer(tmp_path):
    start(tmp_path, task="train", steps=10)
    start(tmp_path, task="train", steps=20)
    with pytest.raises(UserError, match="seed was 0 and is 1"):
        start(tmp_path, task="train", steps=20, seed=1)


def test_overwrite_removes_what_we_wrote_and_nothing_else(tmp_path):
    start(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "masks").mkdir()
    with common.claim(tmp_path, config(seed=1, overwrite=True)):
        assert {path.name for path in tmp_path.iterdir()} == {"config.json", ".lock", "notes.txt"}


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("content", [None, "{", '{"a": 1}', "[]"])
def test_a_foreign_workdir_is_left_alone(tmp_path, content, overwrite):
    name = "thesis.tex" if content is None else "config.json"
    (tmp_path / name).write_text(content or "")
    with pytest.raises(UserError, match="foreign workdir"):
        start(tmp_path, overwrite=overwrite)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_two_runs_cannot_share_a_workdir_and_a_killed_one_lets_go(tmp_path):
    code = (
        "import sys, time, pathlib, ml_collections; from difftrack_jax.runners import common\n"
        "config = ml_collections.ConfigDict(eval(sys.argv[2]))\n"
        "with common.claim(pathlib.Path(sys.argv[1]), config): print('in', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(tmp_path), repr(config().to_dict())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "in\n"
        with pytest.raises(UserError, match="locked, another run is using it"):
            start(tmp_path)
        other.kill()
    start(tmp_path)


def test_paths_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        start(tmp_path / "file")
    with pytest.raises(UserError, match="cannot be written"):
        start(tmp_path / "file" / "below")
    with pytest.raises(UserError, match="cannot be written"):
        start(pathlib.Path("/proc/nowhere"))


def test_a_run_that_fails_at_once_leaves_no_trace(tmp_path):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "new" / "deep", tmp_path / "empty"):
        with pytest.raises(UserError, match="no good"), common.claim(folder, config()):
            raise UserError("no good")
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
    assert not list((tmp_path / "empty").iterdir())
