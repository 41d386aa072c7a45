"""What scoring a benchmark takes: where its files lie, which sequences there are, and a state a sequence.

Truth and predictions are read from files alone, as an official evaluator reads them; images are not needed. Where
files lie is written as patterns under a folder, `{sequence}/gt/gt.txt, {sequence}/gt.txt`, the first that exists
counts, with {sequence}, {split}, and of a sequence's name {class} and {number} (of airplane-3), {video} and
{expression} (of 0005+cars).
"""

import abc
import dataclasses
import fnmatch
import pathlib
import re
from collections.abc import Mapping
from typing import Any

from difftrack_jax.data.images import natural
from difftrack_jax.errors import UserError
from difftrack_jax.metrics.base import Metric


@dataclasses.dataclass(frozen=True)
class Files:
    """One set of predictions against one set of truths."""

    data_dir: pathlib.Path
    predictions: pathlib.Path
    split: str

    def place(self, home: pathlib.Path, patterns: str, name: str = "") -> pathlib.Path:
        """The first of the patterns that exists under a folder; UserError names the first."""
        paths = [home / filled for filled in self.fill(patterns, name)]
        found = next((path for path in paths if path.exists()), None)
        if found is None:
            others = "".join(f", nor {path.relative_to(home)}" for path in paths[1:])
            raise UserError(f"{paths[0]}: no such file or folder{others}")
        return found

    def listed(self, patterns: str) -> list[str]:
        """The names of sequences that files matching the patterns stand for, in the first pattern that has any."""
        for pattern in self.fill(patterns):
            glob = re.sub(r"\{(sequence|video|expression|class|number)\}", "*", pattern)
            shape = re.compile(re.sub(r"\\\{(\w+)\\\}", _group, re.escape(pattern)))
            paths = [path.relative_to(self.data_dir).as_posix() for path in self.data_dir.glob(glob)]
            names = {_name(match.groupdict()) for path in paths if (match := shape.fullmatch(path))}
            if names:
                return sorted(names, key=natural)
        raise UserError(f"{self.data_dir}: holds no {self.fill(patterns)[0]}")

    def fill(self, patterns: str, name: str | None = None) -> list[str]:
        """Patterns with their places filled, those of the sequence too if it is named."""
        fields = {"split": self.split}
        if name is not None:
            (kind, _, number), (video, _, expression) = name.rpartition("-"), name.partition("+")
            fields |= {"sequence": name, "class": kind, "number": number, "video": video, "expression": expression}
        parts = [pattern.strip() for pattern in patterns.split(",") if pattern.strip()]
        return [re.sub(r"\{(\w+)\}", lambda m: fields.get(m[1], m[0]), part).lstrip("/") for part in parts]


@dataclasses.dataclass(frozen=True)
class Scorer(abc.ABC):
    """One benchmark's evaluation. Subclasses are families; their fields are the options of a recipe.

    annotation, prediction: patterns of a sequence's files, under data_dir and predictions. lists: patterns of files
    with the sequences of a split, tried before looking for annotations. columns: what the printed table shows.
    """

    annotation: str = ""
    prediction: str = ""
    lists: str = ""
    columns: tuple[str, ...] = ()

    @property
    @abc.abstractmethod
    def metrics(self) -> Mapping[str, Metric]:
        """Groups of results, each a metric. The group "" is the main one and needs no name in results."""

    @abc.abstractmethod
    def evaluate(self, files: Files, name: str) -> Mapping[str, Any]:
        """A state for each group."""

    def sequences(self, files: Files) -> list[str]:
        """All sequences of the split."""
        for pattern in files.fill(self.lists):
            if (files.data_dir / pattern).is_file():
                return self.read_list(files.data_dir / pattern)
        return self.unlisted(files)

    def unlisted(self, files: Files) -> list[str]:
        """The split where no list says it: all that have annotations."""
        return files.listed(self.annotation)

    def read_list(self, path: pathlib.Path) -> list[str]:
        """Names in a list, first words of its lines; a line `name` is a heading (TrackEval's seqmaps)."""
        words = [line.split()[0] for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        return list(dict.fromkeys(word for word in words if word != "name"))

    def chosen(self, files: Files, wanted: str) -> list[str]:
        """Sequences by name or pattern, "a,b" or "MOT17-*-FRCNN"; all of them where nothing is wanted."""
        names = self.sequences(files)
        patterns = [pattern.strip() for pattern in wanted.split(",") if pattern.strip()]
        for pattern in patterns:
            if not fnmatch.filter(names, pattern):
                some = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
                raise UserError(f"sequences: there is no {pattern!r} in {files.data_dir}; there are {some}")
        return [name for name in names if not patterns or any(fnmatch.fnmatchcase(name, p) for p in patterns)]


def _group(match: re.Match) -> str:
    """A place in a pattern, to be filled by a part of a path."""
    return f"(?P<{match[1]}>[^/]+?)"


def _name(fields: Mapping[str, str]) -> str:
    return fields.get("sequence") or "+".join(fields[key] for key in ("video", "expression") if key in fields)
