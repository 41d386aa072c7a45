"""What all metrics promise."""

import importlib
import pkgutil
import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from difftrack_jax import metrics
from difftrack_jax.metrics import base

# These only prepare what others count.
PREPARATION = {"base", "frames", "fvd", "keypoints", "kitti", "motchallenge"}
MODULES = sorted(module.name for module in pkgutil.iter_modules(metrics.__path__))


@pytest.mark.parametrize("name", sorted(set(MODULES) - PREPARATION))
def test_a_metric_is_three_functions(name):
    assert isinstance(importlib.import_module(f"difftrack_jax.metrics.{name}"), base.Metric)


def test_modules_are_found_by_name():
    assert dir(metrics) == MODULES
    assert metrics.tapvid is importlib.import_module("difftrack_jax.metrics.tapvid")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = metrics.nothing


def test_metrics_need_no_jax():
    names = ", ".join(sorted(set(MODULES)))
    code = f"import sys; from difftrack_jax.metrics import {names}; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


class State(NamedTuple):
    count: int
    sums: np.ndarray


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_sums_of_states_are_the_same_to_the_last_bit_in_any_order(seed):
    rng = np.random.default_rng(seed)
    states = [State(int(rng.integers(9)), rng.normal(size=4) * 10.0 ** rng.integers(-9, 9, 4)) for _ in range(7)]
    one, other = base.add(states), base.add([states[i] for i in rng.permutation(7)])
    assert one.count == other.count == sum(state.count for state in states)
    assert isinstance(one.count, int)
    np.testing.assert_array_equal(one.sums, other.sums)
    np.testing.assert_allclose(one.sums, np.sum([state.sums for state in states], axis=0), rtol=1e-6, atol=1e-3)


def test_nothing_to_count_divides_by_one():
    assert base.ratio(0, 0) == 0
    assert base.ratio(3, 6) == 0.5
    np.testing.assert_array_equal(base.ratio(np.array([2, 0]), np.array([4, 0])), [0.5, 0])
