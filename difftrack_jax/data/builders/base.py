"""What a benchmark is: where its official folder keeps which sequence, and how to read one into a `Clip`.

To add one, write a module in this folder with a subclass of `Benchmark` and `BENCHMARKS = (ThatClass,)`; the registry
finds it, tfds can prepare it, the loader can read it and the track runner can run it. Frames are never copied: a clip
refers to the image files of the official folder, which already are the smallest form of the same bytes.
"""

import abc
import fnmatch
import os
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from absl import logging

from difftrack_jax.data.frames import PathFrames
from difftrack_jax.data.images import SUFFIXES, natural
from difftrack_jax.data.records import Clip
from difftrack_jax.errors import UserError


class Benchmark(abc.ABC):
    """One benchmark.

    name: in the registry. folder: of the official archive; a user may give it or the folder around it. layout: what
    must be in it, for messages. splits: the one results are quoted on first. hidden:
    those whose truth the organisers keep. joints and extra: sizes of those columns.
    embedded: frames have no files of their own, and a prepared set keeps their bytes. categories: official names,
    numbered from 1. licence, url: where the data come from and what they may be used for.
    """

    name: ClassVar[str]
    folder: ClassVar[str] = ""
    layout: ClassVar[str]
    splits: ClassVar[tuple[str, ...]]
    hidden: ClassVar[tuple[str, ...]] = ()
    joints: ClassVar[int] = 0
    extra: ClassVar[tuple[str, ...]] = ()
    embedded: ClassVar[bool] = False
    categories: ClassVar[tuple[str, ...]] = ("object",)
    licence: ClassVar[str]
    url: ClassVar[str]

    def __init__(self, root: str | os.PathLike):
        """root: the official folder, or the one around it."""
        outer = pathlib.Path(root).expanduser()
        if not outer.is_dir():
            raise UserError(f"{self.name}: the folder {outer} does not exist; it should hold {self.layout}")
        inner = outer / self.folder if self.folder and (outer / self.folder).is_dir() else outer
        self.root = inner.absolute()  # so that a path under it may be joined to it again

    @abc.abstractmethod
    def sequences(self, split: str) -> Sequence[str]:
        """Names of a split in official order."""

    @abc.abstractmethod
    def read(self, split: str, name: str) -> Clip:
        """One sequence."""

    def names(self, split: str, wanted: str = "") -> list[str]:
        """Sequences of a split. wanted: "a,b" or patterns, "MOT17-*-FRCNN"; empty takes them all."""
        if split not in self.splits:
            raise UserError(f"{self.name}: has no split {split!r}; there are {', '.join(self.splits)}")
        names = list(self.sequences(split))
        if not names:
            raise UserError(f"{self.root}: holds no sequence of split {split}; {self.name} needs {self.layout}")
        patterns = [pattern.strip() for pattern in wanted.split(",") if pattern.strip()]
        for pattern in patterns:
            if not fnmatch.filter(names, pattern):
                some = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
                raise UserError(f"sequences: no {pattern!r} in split {split} of {self.name}; there are {some}")
        return [name for name in names if not patterns or any(fnmatch.fnmatch(name, p) for p in patterns)]

    def need(self, *paths: str | os.PathLike) -> pathlib.Path:
        """The first of these paths (from the root) that exists; otherwise a line with the first and the layout."""
        for path in paths:
            if (self.root / path).exists():
                return self.root / path
        raise UserError(f"{self.root / paths[0]}: is missing; {self.name} needs {self.layout}")

    def folders(self, *paths: str | os.PathLike) -> list[str]:
        """Names of the folders in the first of these that exists, sorted as people do."""
        home = self.need(*paths)
        names = [entry.name for entry in os.scandir(home) if entry.is_dir() and not entry.name.startswith(".")]
        if not names:
            raise UserError(f"{home}: holds no folders; {self.name} needs {self.layout}")
        return sorted(names, key=natural)

    def published(self, listed: Iterable[str], where: Callable[[str], pathlib.Path]) -> list[str]:
        """The sequences of a published list that are here: a part of a benchmark runs, and says that it is one."""
        listed = list(listed)
        here = [name for name in listed if where(name).exists()]
        if not here:
            raise UserError(f"{where(listed[0])}: is missing, and so is every other sequence; needs {self.layout}")
        if len(here) < len(listed):
            lacking = next(name for name in listed if name not in here)
            logging.warning("%s: %d of %d sequences are here, %s is not", self.name, len(here), len(listed), lacking)
        return here

    def images(self, folder: pathlib.Path, count: int | None = None) -> PathFrames:
        """The images of a folder in natural order. count: how many there must be."""
        if not folder.is_dir():
            raise UserError(f"{folder}: is missing; {self.name} needs {self.layout}")
        files = sorted((e.name for e in os.scandir(folder) if not e.name.startswith(".")), key=natural)
        files = [file for file in files if pathlib.Path(file).suffix.lower() in SUFFIXES]
        if not files:
            raise UserError(f"{folder}: holds no images; {self.name} needs {self.layout}")
        if count is not None and len(files) != count:
            raise UserError(f"{folder}: holds {len(files)} images, but {count} frames are listed for it")
        return PathFrames(self.root, [str((folder / file).relative_to(self.root)) for file in files])


def match_frames(frames: PathFrames, count: int, path: os.PathLike) -> None:
    """Raise UserError unless a file annotates as many frames as there are."""
    if len(frames) != count:
        raise UserError(f"{path}: speaks of {count} frames, but there are {len(frames)} images")


def part(frames: PathFrames, indices: Sequence[int]) -> PathFrames:
    """Some of the frames."""
    return PathFrames(frames.root, [frames.paths[index] for index in indices])
