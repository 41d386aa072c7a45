"""What each choice of the tracker buys: rows of settings against benchmarks, one number and the seconds of each.

    clips/                 procedural clips in the layouts of OTB, DAVIS and TAP-Vid (data/procedural_clips.py)
    rows/ROW/BENCHMARK/    a run of runners/benchmark.py each: official scores, and what is done is not done again
    ablation.json, .md     the table, written anew after every run

Rows differ from the preset in nothing but what they name, and see the same clips on the same machine.
"""

import contextlib
import io
import itertools
import json
import pathlib
import shutil
from collections.abc import Mapping
from typing import Any, NamedTuple

import ml_collections

from difftrack_jax.data import procedural_clips
from difftrack_jax.errors import UserError
from difftrack_jax.runners import benchmark, common, outputs, overrides, recipes
from difftrack_jax.runners.progress import Progress
from difftrack_jax.visualize.files import atomic_write


class Column(NamedTuple):
    """A benchmark of the table: its recipe's fields, the metric that is shown, and what it is called."""

    recipe: Mapping[str, Any]
    metric: str
    title: str


COLUMNS = {
    "otb": Column(dict(benchmark="otb", submission="sot", split="all"), "success", "boxes, success"),
    "davis": Column(dict(benchmark="davis2016", submission="davis", split="val"), "J-Mean", "masks, J"),
    "tapvid_davis": Column(
        dict(benchmark="tapvid_davis", submission="tapvid", split="test", queries="first"),
        "average_pts_within_thresh",
        "points, d_avg",
    ),
}


def run(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> dict[str, Any]:
    """Run what is left of the table and write it. Raises UserError for a setting or a column that is not known."""
    runs = _runs(config)
    with common.claim(workdir, config):
        if config.clips:
            _make_clips(config, workdir / "clips")
        with Progress("ablation", len(runs), quiet=config.quiet) as progress:
            for done, (row, column, own) in enumerate(runs, 1):
                own.data_dir = config.data[column] or str(workdir / "clips" / column)
                with contextlib.redirect_stdout(io.StringIO()):  # the table of each is a cell of ours
                    benchmark.run(own, workdir / "rows" / row / column)
                progress.update(done, f"{row} {column}")
        results = _results(config, workdir)
        outputs.write_json(workdir / "ablation.json", {"rows": results, "machine": outputs.machine()})
        with atomic_write(workdir / "ablation.md") as temporary:
            temporary.write_text(table(results) + "\n")
    print(table(results))
    return {"table": workdir / "ablation.md"}


def _results(config, workdir: pathlib.Path) -> dict[str, dict[str, dict[str, float]]]:
    """Every cell that has been run, now or earlier; the preset itself first."""
    results: dict[str, dict[str, dict[str, float]]] = {}
    rows = sorted(config.rows, key=lambda row: (row != "fast", row))
    for row, (name, column) in itertools.product(rows, COLUMNS.items()):
        folder = workdir / "rows" / row / name
        if (folder / "results.json").is_file():
            score = json.loads((folder / "results.json").read_text())["metrics"][column.metric]
            cell = {"score": score, "seconds": benchmark.seconds_per_frame(folder)}
            results.setdefault(row, {})[name] = cell
    return results


def _runs(config) -> list[tuple[str, str, ml_collections.ConfigDict]]:
    """Row, column and config of every run; all are checked before the first begins."""
    columns = [name for name in COLUMNS if config.clips or config.data[name]]
    if not columns:
        raise UserError("clips: is 0 and data names no folder, so there is nothing to track")
    if config.clips < 0 or config.frames < 2:
        raise UserError(f"clips {config.clips} must not be negative, and frames {config.frames} at least 2")
    chosen = [name.strip() for name in config.only.split(",") if name.strip()] or list(config.rows)
    runs = []
    for row in chosen:
        if row not in config.rows:
            raise UserError(f"only: no row {row!r}; there are {', '.join(config.rows)}")
        for column in columns:
            own = recipes.benchmark("", **COLUMNS[column].recipe)
            own.update(model=config.model, preset=config.preset, seed=config.seed, quiet=True)
            own.update(max_frames=config.max_frames, limit=config.limit)
            for name, value in config.rows[row].items():
                if name != "preset" and name not in own.tracker:
                    raise UserError(f"rows.{row}.{name}: no such setting; there are {', '.join(own.tracker)}")
                (own if name == "preset" else own.tracker)[name] = value
            overrides.changes(own)
            runs.append((row, column, own))
    return runs


def _make_clips(config, folder: pathlib.Path) -> None:
    """All or none of them: a kill leaves only what is made afresh."""
    if folder.is_dir():
        return
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    procedural_clips.write(partial, procedural_clips.clips(config.clips, config.frames, always_visible=True))
    partial.replace(folder)


def table(results: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """Markdown: a line a row, for every column its score and its seconds a frame."""
    columns = [name for name in COLUMNS if any(name in row for row in results.values())]
    titles = [part for name in columns for part in (COLUMNS[name].title, "s/frame")]
    lines = [f"| | {' | '.join(titles)} |", "|---" * (len(titles) + 1) + "|"]
    for name, row in results.items():
        cells = [f"{row[c]['score']:.3f} | {row[c]['seconds']:.2f}" if c in row else " | " for c in columns]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)
