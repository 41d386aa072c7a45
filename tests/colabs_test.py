"""The notebooks run from top to bottom, in the smallest setting, and show pictures."""

import os
import pathlib

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = pathlib.Path(__file__).resolve().parents[1]
PICTURES = {"idea_on_a_toy": 5, "track_anything": 2, "tracklets_to_video": 2, "train_and_convert": 3}


def notebook(name):
    return nbformat.read(ROOT / "colabs" / f"{name}.ipynb", as_version=4)


@pytest.mark.slow
@pytest.mark.parametrize("name", PICTURES)
def test_it_runs_and_shows_pictures(name, tmp_path, monkeypatch):
    monkeypatch.setenv("DIFFTRACK_TINY", "1")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    if name == "idea_on_a_toy":  # it trains more than it compiles
        monkeypatch.delenv("XLA_FLAGS", raising=False)
    book = notebook(name)
    NotebookClient(book, timeout=3000, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    if keep := os.environ.get("DIFFTRACK_KEEP_NOTEBOOKS"):  # to look at what they show
        nbformat.write(book, pathlib.Path(keep) / f"{name}.ipynb")
    outputs = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == PICTURES[name]


@pytest.mark.parametrize("name", PICTURES)
def test_it_starts_from_nothing_and_is_kept_without_outputs(name):
    code = [cell for cell in notebook(name).cells if cell.cell_type == "code"]
    assert "pip install" in code[0].source
    assert "find_spec" in code[0].source  # and installs nothing where everything is there
    assert not any(cell.outputs or cell.execution_count for cell in code)


def test_no_notebook_is_left_out():
    assert {path.stem for path in (ROOT / "colabs").glob("*.ipynb")} == set(PICTURES)
