"""One box a frame: OTB, LaSOT, GOT-10k.

Truth: OTB SEQ/groundtruth_rect.txt, or pysot's json with all sequences; LaSOT CLASS/CLASS-N/groundtruth.txt with its
flags, or the toolkit's annos/CLASS-N.txt; GOT-10k SPLIT/SEQ/groundtruth.txt. Predictions: SEQ.txt with x,y,w,h a
line, or tracker_benchmark's SEQ.json; GOT-10k SEQ/SEQ_001.txt and further runs.
"""

import dataclasses
import functools
import pathlib
import re
from collections.abc import Mapping

import numpy as np

from difftrack_jax.data.builders.lasot import published_test
from difftrack_jax.data.builders.otb import TB50
from difftrack_jax.data.formats import sot as text
from difftrack_jax.data.formats.json_file import Entries, read_json
from difftrack_jax.data.formats.text import read_ini, read_numbers
from difftrack_jax.data.images import natural
from difftrack_jax.errors import UserError
from difftrack_jax.metrics import got10k, sot
from difftrack_jax.metrics.base import Metric
from difftrack_jax.runners.scoring.base import Files, Scorer


@dataclasses.dataclass(frozen=True)
class OpeScorer(Scorer):
    """rules: of which evaluator (metrics.sot.RULES). short: what to do with results that end early, where the evaluator
    would not ("error", "zeros", "cut"); "" leaves it to the rules.
    """

    prediction: str = "{sequence}.txt, {sequence}.json"
    columns: tuple[str, ...] = ("success", "precision", "norm_precision", "norm_precision_auc", "average_overlap")
    rules: str = "lasot"
    short: str = ""

    @property
    def metrics(self) -> Mapping[str, Metric]:
        return {"": sot, "got10k": got10k}

    def evaluate(self, files: Files, name: str) -> Mapping[str, sot.State | got10k.State]:
        if self.rules not in sot.RULES:
            raise UserError(f"rules {self.rules!r}: known are {', '.join(sot.RULES)}")
        rules = sot.RULES[self.rules]
        rules = rules._replace(short=self.short) if self.short else rules
        gt, absent = self.truth(files, name)
        path = self.result(files, name)
        pred = read_boxes(path)
        if len(pred) < len(gt) and rules.short == "error":
            remedy = "--config.short=cut compares those, --config.short=zeros counts the rest as lost"
            raise UserError(f"{path}: {len(pred)} boxes for {len(gt)} frames; {remedy}")
        shared = min(len(gt), len(pred))
        overlaps = got10k.evaluate(gt[:shared], [pred[:shared]])
        return {"": sot.evaluate(gt, pred, absent, rules), "got10k": overlaps}

    def result(self, files: Files, name: str) -> pathlib.Path:
        """The file with a sequence's boxes."""
        return files.place(files.predictions, self.prediction, name)

    def truth(self, files: Files, name: str) -> tuple[np.ndarray, np.ndarray | None]:
        """Boxes x, y, w, h, and flags of absence where there are any."""
        return read_boxes(files.place(files.data_dir, self.annotation, name)), None


class OtbScorer(OpeScorer):
    """Sequences with several targets are Jogging-1 (Jogging/groundtruth_rect.1.txt) and so on."""

    def sequences(self, files: Files) -> list[str]:
        names = list(_pysot(files.data_dir)) if files.data_dir.is_file() else self._folders(files)
        if files.split == "tb50":
            names = [name for name in TB50.split() if name in names]
        return sorted(names, key=natural)

    def _folders(self, files: Files) -> list[str]:
        names = files.listed("{sequence}/groundtruth_rect.txt")
        several = files.data_dir.glob("*/groundtruth_rect.[0-9].txt")
        return [*names, *(f"{p.parent.name}-{p.stem[-1]}" for p in several if p.read_text(encoding="utf-8").strip())]

    def result(self, files: Files, name: str) -> pathlib.Path:
        """Published results differ in how they write names: BasketBall.json, Basketball.txt."""
        if files.predictions.is_dir():
            for path in files.predictions.iterdir():
                if path.stem.lower() == name.lower() and path.suffix in (".txt", ".json"):
                    return path
        return super().result(files, name)

    def truth(self, files: Files, name: str) -> tuple[np.ndarray, None]:
        if files.data_dir.is_file():
            return _pysot(files.data_dir)[name], None
        return read_boxes(files.place(files.data_dir, self.annotation, name)), None


class LasotScorer(OpeScorer):
    """Absent is what is fully occluded or out of view. Without a list `test` is the published one, as far as it is
    here.
    """

    def unlisted(self, files: Files) -> list[str]:
        names, test = files.listed(self.annotation), set(published_test())
        wanted = {"test": lambda name: name in test, "train": lambda name: name not in test}
        return list(filter(wanted.get(files.split, lambda name: True), names))

    def truth(self, files: Files, name: str) -> tuple[np.ndarray, np.ndarray]:
        path = files.place(files.data_dir, self.annotation, name)
        toolkit = path.parent / "absent" / path.name
        paths = (
            [toolkit] if toolkit.is_file() else [path.parent / f"{f}.txt" for f in ("full_occlusion", "out_of_view")]
        )
        boxes, flags = read_boxes(path), [text.read_flags(flag) for flag in paths]
        for flag, values in zip(paths, flags):
            if len(values) != len(boxes):
                raise UserError(f"{flag}: {len(values)} flags for {len(boxes)} frames")
        return boxes, np.any(flags, axis=0)


@dataclasses.dataclass(frozen=True)
class Got10kScorer(Scorer):
    """All runs of each sequence."""

    annotation: str = "{split}/{sequence}/groundtruth.txt, {sequence}/groundtruth.txt"
    prediction: str = "{sequence}"
    lists: str = "{split}/list.txt, list.txt"
    columns: tuple[str, ...] = ("AO", "SR_0.50", "SR_0.75")

    @property
    def metrics(self) -> Mapping[str, Metric]:
        return {"": got10k}

    def evaluate(self, files: Files, name: str) -> Mapping[str, got10k.State]:
        path = files.place(files.data_dir, self.annotation, name)
        folder = files.place(files.predictions, self.prediction, name)
        runs = sorted(folder.glob(f"{name}_[0-9]*.txt"))
        if not runs:
            raise UserError(f"{folder / name}_001.txt: no such file")
        info = read_ini(path.parent / "meta_info.ini", "METAINFO")
        numbers = re.findall(r"\d+", info.get("resolution", ""))
        if len(numbers) != 2:
            raise UserError(f"{path.parent / 'meta_info.ini'}: needs resolution: (width, height)")
        cover = text.read_levels(path.parent / "cover.label")
        boxes = [read_boxes(run) for run in runs]
        return {"": got10k.evaluate(read_boxes(path), boxes, cover, (int(numbers[0]), int(numbers[1])))}


def read_boxes(path: pathlib.Path) -> np.ndarray:
    """x, y, w, h as written, in text or in tracker_benchmark's json."""
    if path.suffix != ".json":
        return read_numbers(path, (4,))
    data = read_json(path, list)
    with Entries(path, "[0]"):
        return np.array(data[0]["res"], np.float64).reshape(-1, 4)


@functools.lru_cache(maxsize=1)
def _pysot(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Boxes by sequence of a json {key: {"gt_rect"}}, whose keys are the official names or variants, as skating2_1."""
    found = {}
    for key, entry in read_json(path).items():
        with Entries(path, key):
            found[key[:1].upper() + key[1:].replace("_", "-")] = np.array(entry["gt_rect"], np.float64).reshape(-1, 4)
    return found
