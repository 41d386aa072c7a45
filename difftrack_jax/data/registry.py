"""Every benchmark by name: `benchmark("davis2017", folder)` reads, `builder("davis2017")` prepares with tfds.

    clip = registry.benchmark("mot17", "data/MOT17").read("train", "MOT17-04-FRCNN")
    registry.builder("mot17", data_dir="~/prepared").download_and_prepare(...)      # or registry.prepare

Benchmarks are found by looking through the modules of `builders/`; adding one touches no other file.
"""

import functools
import importlib
import os
import pkgutil
from collections.abc import Mapping
from typing import Any

from difftrack_jax.data import builders
from difftrack_jax.data.builders.base import Benchmark
from difftrack_jax.errors import UserError


@functools.cache
def benchmarks() -> Mapping[str, type[Benchmark]]:
    """Classes by name, in alphabetical order."""
    found = {}
    for module in pkgutil.iter_modules(builders.__path__, f"{builders.__name__}."):
        for kind in getattr(importlib.import_module(module.name), "BENCHMARKS", ()):
            if kind.name in found:
                raise ValueError(f"two benchmarks are called {kind.name}")
            found[kind.name] = kind
    return dict(sorted(found.items()))


def find(name: str) -> type[Benchmark]:
    """The class of a benchmark; UserError when there is none of that name."""
    if name not in benchmarks():
        raise UserError(f"benchmark {name!r}: unknown; there are {', '.join(benchmarks())}")
    return benchmarks()[name]


def benchmark(name: str, root: str | os.PathLike) -> Benchmark:
    """A benchmark over its official folder."""
    return find(name)(root)


def builder(name: str, data_dir: str | os.PathLike | None = None) -> Any:
    """The benchmark as a tfds builder (needs the extra `data`, no TensorFlow)."""
    from difftrack_jax.data import prepared

    return prepared.make_builder(find(name), data_dir)


def prepare(name: str, root: str | os.PathLike, data_dir: str | os.PathLike | None = None) -> Any:
    """Prepare a benchmark from its official folder as array_record files; returns the builder."""
    from difftrack_jax.data import prepared

    return prepared.prepare(find(name), root, data_dir)
