"""One set-up for all tests: strict shapes, a compilation cache, and where the optional recorded data lies."""

import os
import pathlib

import jax
import numpy as np
import pytest

_CACHE = os.environ.get("DIFFTRACK_CACHE", os.path.join(os.path.expanduser("~"), ".cache", "difftrack_jax"))
jax.config.update("jax_compilation_cache_dir", os.path.join(_CACHE, "xla"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)
jax.config.update("jax_numpy_rank_promotion", "raise")

SHARED = pathlib.Path(__file__).resolve().parent.parent.parent / "shared"


def shared(path: str) -> pathlib.Path:
    """A file or folder of recorded reference data; the calling test is skipped where it is absent."""
    found = SHARED / path
    if not found.exists():
        pytest.skip(f"needs the recorded data {path}, which is not beside this checkout")
    return found


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
