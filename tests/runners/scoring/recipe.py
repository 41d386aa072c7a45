"""Recipes of evaluation, run in this process."""

import csv
import importlib.util
import json
import pathlib

from difftrack_jax import main

ROOT = pathlib.Path(__file__).resolve().parents[3]
RECIPES = ROOT / "configs" / "evaluate"


def load(path):
    spec = importlib.util.spec_from_file_location("recipe", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config()


def evaluate(recipe, workdir, **fields):
    """results.json and the lines of per_sequence.csv of a run."""
    config = load(RECIPES / f"{recipe}.py")
    config.update({name: str(v) if isinstance(v, pathlib.Path) else v for name, v in fields.items()}, quiet=True)
    assert main.execute(config, str(workdir)) == 0
    with open(workdir / "per_sequence.csv", newline="") as file:
        rows = {row["sequence"]: row for row in csv.DictReader(file)}
    return json.loads((workdir / "results.json").read_text()), rows
