"""One set-up for all tests: strict shapes, a compilation cache, and where the optional recorded data lies."""

import gc
import pathlib
from collections.abc import Callable

import jax
import numpy as np
import pytest
from hypothesis import settings

from difftrack_jax.runners import compilation

from . import quick_compile

quick_compile.set_up()
compilation.use_cache()
jax.config.update("jax_numpy_rank_promotion", "raise")
# Millions of objects of traced programs stay alive; looking for cycles among them took a fourteenth of the time.
gc.set_threshold(20_000, 20, 200)
# The same examples every time; --hypothesis-profile=default looks for others.
settings.register_profile("same", derandomize=True)
settings.load_profile("same")

SHARED = pathlib.Path(__file__).resolve().parent.parent.parent / "shared"


@pytest.fixture
def shared() -> Callable[[str], pathlib.Path]:
    """Finds a file or folder of recorded reference data; the calling test is skipped where it is absent."""

    def find(path: str) -> pathlib.Path:
        if not (SHARED / path).exists():
            pytest.skip(f"needs the recorded data {path}, which is not beside this checkout")
        return SHARED / path

    return find


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def weights(rng) -> Callable[..., dict]:
    """Random parameters in the shapes `net.init` would give, nothing zero and nothing compiled."""

    def leaf(path, shape):
        draw = rng.standard_normal(shape.shape)
        kind = path[-1].key
        if kind == "kernel":
            value = draw / np.sqrt(np.prod(shape.shape[:-1]))
        else:
            value = {"scale": 1.0, "log_temperature": 2.3}.get(kind, 0.0) + 0.1 * draw
        return value.astype(shape.dtype)

    def fill(net, *inputs):
        shapes = jax.eval_shape(net.init, jax.random.key(0), *inputs)["params"]
        return jax.tree_util.tree_map_with_path(leaf, shapes)

    return fill
