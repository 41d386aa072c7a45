"""Score predictions in a benchmark's official format, whoever made them.

    results.json        {"benchmark", "split", "metrics", "settings", "versions"}, and the curves behind the numbers
    per_sequence.csv    a line a sequence, curves too: NAME___THRESHOLD, as TrackEval's detailed files have it

Ratios are fractions in both files and percent in the table that is printed. Numbers of a whole set come from merged
states, by each evaluator's own rule; means of the lines of the csv are something else.
"""

import csv
import dataclasses
import importlib.metadata
import io
import pathlib
import sys
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import ml_collections
import numpy as np

from difftrack_jax import __version__
from difftrack_jax.errors import UserError
from difftrack_jax.runners import common, outputs, scoring
from difftrack_jax.runners.progress import Progress
from difftrack_jax.visualize.files import atomic_write

# A table with more sequences than this shows the whole set only; the csv has them all.
_SHOWN = 40


class Report(NamedTuple):
    """states: of each sequence, by group; metrics: of the whole set, groups with a name nested."""

    benchmark: str
    split: str
    scorer: scoring.Scorer
    states: Mapping[str, Mapping[str, Any]]
    metrics: Mapping[str, Any]
    curves: Mapping[str, Any]


def run(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> dict[str, Any]:
    """Score, write and print."""
    options = {name: config[name] for name in _options(config)}
    report = score(
        config.benchmark, config.predictions, config.data_dir, config.split, config.sequences, options, config.quiet
    )
    with common.claim(workdir, config) as folder:
        write(report, folder, common.flatten(config))
    print(table(report), flush=True)
    return {"results": workdir / "results.json"}


def score(
    benchmark: str,
    predictions: str | pathlib.Path,
    data_dir: str | pathlib.Path,
    split: str = "",
    sequences: str = "",
    options: Mapping[str, Any] | None = None,
    quiet: bool = True,
) -> Report:
    """All sequences, or those wanted. options: fields of the benchmark's scorer that are to be other than it has
    them; an empty string keeps what it has.
    """
    scorer = scoring.find(benchmark)
    changes = {name: value for name, value in (options or {}).items() if value != ""}
    scorer = dataclasses.replace(scorer, **changes)
    files = scoring.Files(_folder("data_dir", data_dir), _folder("predictions", predictions), split)
    names, states = scorer.chosen(files, sequences), {}
    with Progress("evaluate", len(names), quiet=quiet) as progress:
        for name in names:
            try:
                states[name] = scorer.evaluate(files, name)
            except UserError as error:
                # Metrics do not know whose numbers they were given.
                raise UserError(str(error) if name in str(error) else f"{name}: {error}") from error
            progress.update(len(states), name)
    metrics, curves = {}, {}
    for group, metric in scorer.metrics.items():
        whole = metric.merge([state[group] for state in states.values()])
        _nest(metrics, group, metric.compute(whole))
        _nest(curves, group, metric.curves(whole) if hasattr(metric, "curves") else {})
    return Report(benchmark, split, scorer, states, metrics, curves)


def write(
    report: Report, folder: pathlib.Path, settings: Mapping[str, Any], packages: Mapping[str, str] | None = None
) -> None:
    """per_sequence.csv and results.json; the latter last, so that it stands for a finished run. packages: versions of
    what else the numbers depend on.
    """
    rows = [{"sequence": name, **row} for name, row in per_sequence(report).items()]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(key for row in rows for key in row)), restval="")
    writer.writeheader()
    writer.writerows(rows)
    with atomic_write(folder / "per_sequence.csv") as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")
    results = {
        "benchmark": report.benchmark,
        "split": report.split,
        "metrics": report.metrics,
        "settings": dict(settings),
        "versions": versions() | dict(packages or {}),
        "sequences": list(report.states),
        "curves": report.curves,
    }
    outputs.write_json(folder / "results.json", _plain(results))


def per_sequence(report: Report) -> dict[str, dict[str, Any]]:
    """Every number of every sequence; those of a named group as GROUP.NAME, of a curve as NAME___THRESHOLD."""
    rows: dict[str, dict[str, Any]] = {}
    for name, states in report.states.items():
        row: dict[str, Any] = {}
        for group, metric in report.scorer.metrics.items():
            prefix = f"{group}." if group else ""
            row |= {prefix + key: value for key, value in metric.compute(states[group]).items()}
            curves = metric.curves(states[group]) if hasattr(metric, "curves") else {}
            for key, values in curves.items():
                if np.ndim(values) == 1:
                    labels = getattr(metric, "LABELS", range(len(values)))
                    row |= {f"{prefix}{key}___{label}": _plain(v) for label, v in zip(labels, values)}
        rows[name] = row
    return rows


def table(report: Report) -> str:
    """What the recipe's columns say, a line a sequence and one for all; ratios in percent."""
    rows = per_sequence(report) if len(report.states) <= _SHOWN else {}
    parts = []
    for group in report.scorer.metrics:
        prefix = f"{group}." if group else ""
        whole = report.metrics.get(group, {}) if group else report.metrics
        columns = [column for column in report.scorer.columns if column in whole]
        if not columns:
            continue
        lines = [[group or report.benchmark, *columns]]
        lines += [[name, *(_cell(row.get(prefix + column)) for column in columns)] for name, row in rows.items()]
        lines.append([f"all {len(report.states)}", *(_cell(whole[column]) for column in columns)])
        parts.append(_align(lines))
    return "\n\n".join(parts)


def versions() -> dict[str, str]:
    """What the numbers depend on."""
    packages = {name: importlib.metadata.version(name) for name in ("numpy", "scipy", "pycocotools")}
    return {"difftrack_jax": __version__, "python": sys.version.split()[0], **packages}


def _options(config: ml_collections.ConfigDict) -> Iterable[str]:
    """Fields of the recipe that are the scorer's."""
    fields = {field.name for field in dataclasses.fields(scoring.find(config.benchmark))}
    return [name for name in config if name in fields]


def _folder(field: str, value: str | pathlib.Path) -> pathlib.Path:
    if not str(value):
        raise UserError(f"{field}: give a folder, as in --config.{field}=DIR")
    path = pathlib.Path(value).expanduser()
    if not path.exists():
        raise UserError(f"{field}: {path} does not exist")
    return path


def _nest(results: dict[str, Any], group: str, values: Mapping[str, Any]) -> None:
    if group and values:
        results[group] = dict(values)
    else:
        results.update(values)


def _cell(value: Any) -> str:
    """Counts as they are, ratios in percent."""
    if value is None or value != value:
        return "-"
    return str(value) if isinstance(value, int) else f"{100 * value:.3f}"


def _align(lines: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines)]
    first = [f"{cells[0]:<{widths[0]}}" for cells in lines]
    rest = ["  ".join(f"{cell:>{width}}" for cell, width in zip(cells[1:], widths[1:])) for cells in lines]
    return "\n".join(f"{a}  {b}" for a, b in zip(first, rest))


def _plain(value: Any) -> Any:
    """What JSON can hold; not a number is null."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return _plain(value.tolist())
    return None if isinstance(value, float) and not np.isfinite(value) else value
