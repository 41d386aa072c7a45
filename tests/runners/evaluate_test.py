"""Scoring stored predictions: what is written, what is printed, and what is said when something is wrong."""

import csv
import dataclasses
import json

import pytest

from difftrack_jax import main
from difftrack_jax.runners import recipes, scoring

from .scoring.recipe import RECIPES, load

# The recipes of these serve their other years too.
NAMES = {"mots20": "mots", "youtube_vis_2019": "youtube_vis", "youtube_vis_2021": "youtube_vis"}


@pytest.mark.parametrize("name", sorted(scoring.SCORERS))
def test_every_benchmark_has_a_recipe_with_options_it_knows(name):
    path = RECIPES / f"{NAMES.get(name, name)}.py"
    config = load(path)
    assert config.benchmark == name or NAMES[name] == NAMES[config.benchmark]
    fields = {field.name: field.default for field in dataclasses.fields(scoring.find(config.benchmark))}
    common = set(recipes.evaluation().keys())
    assert set(config) - common <= set(fields)
    assert {name for name in config if name in fields} == set(config) - common | {"annotation", "prediction"}
    assert "--config.predictions=DIR --config.data_dir=DIR" in path.read_text()


@pytest.fixture
def small(tmp_path):
    """A config for two sequences of one target, the second of which nobody found."""
    rows = "".join(f"{time},1,{time},5,30,40,1,1,1\n" for time in range(1, 5))
    for name, found in (("A", rows), ("B", "")):
        (tmp_path / "gt" / name / "gt").mkdir(parents=True)
        (tmp_path / "gt" / name / "gt" / "gt.txt").write_text(rows)
        (tmp_path / "predictions").mkdir(exist_ok=True)
        (tmp_path / "predictions" / f"{name}.txt").write_text(found)
    config = load(RECIPES / "mot17.py")
    config.update(data_dir=str(tmp_path / "gt"), predictions=str(tmp_path / "predictions"), sequences="", quiet=True)
    return config


def test_files_say_what_was_scored_with_what(small, tmp_path, capsys):
    assert main.execute(small, str(tmp_path / "run")) == 0
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert {"benchmark", "split", "metrics", "settings", "versions"} <= set(results)
    assert (results["benchmark"], results["split"], results["sequences"]) == ("mot17", "train", ["A", "B"])
    assert (results["metrics"]["CLR_TP"], results["metrics"]["CLR_FN"], results["metrics"]["MOTA"]) == (4, 4, 0.5)
    assert results["settings"]["threshold"] == 0.5
    assert set(results["versions"]) >= {"difftrack_jax", "python", "numpy"}
    # Pooled over detections, not a mean of the two sequences: DetA is 1/2 and AssA 1.
    assert results["metrics"]["HOTA"] == pytest.approx(0.5**0.5)
    with open(tmp_path / "run" / "per_sequence.csv", newline="") as file:
        assert [(row["sequence"], float(row["MOTA"])) for row in csv.DictReader(file)] == [("A", 1.0), ("B", 0.0)]
    table = capsys.readouterr().out
    assert "A      100.000" in table
    assert "all 2   70.711" in table


def test_scoring_again_gives_the_same_bytes(small, tmp_path):
    for _ in range(2):
        assert main.execute(small, str(tmp_path / "run")) == 0
        files = [(tmp_path / "run" / name).read_bytes() for name in ("results.json", "per_sequence.csv")]
    assert main.execute(small, str(tmp_path / "run")) == 0
    assert files == [(tmp_path / "run" / name).read_bytes() for name in ("results.json", "per_sequence.csv")]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"predictions": ""}, "predictions: give a folder, as in --config.predictions=DIR"),
        ({"data_dir": "nowhere"}, "data_dir: nowhere does not exist"),
        ({"sequences": "C"}, "there is no 'C'"),
        ({"prediction": "{sequence}.csv"}, "A.csv: no such file"),
        ({"benchmark": "mot18"}, "benchmark 'mot18': unknown"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_written(small, tmp_path, capsys, changes, message):
    small.update(changes)
    assert main.execute(small, str(tmp_path / "run")) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()
