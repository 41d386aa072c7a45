"""The suite compiles with most of XLA's optimiser off (quick_compile.py); here the step is compiled as users do."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import numpy as np
from difftrack_jax.tracking.indicators import Box
from difftrack_jax.tracking.session import load_tracker

frames = np.random.default_rng(0).integers(0, 255, (2, 64, 64, 3), np.uint8)
for process in ("interpolation", "reconstruction", "label_propagation"):
    tracker = load_tracker("mini", "fast", process=process)
    session, found = tracker.step(tracker.init(frames[0], [Box(10, 10, 40, 40)]), frames[1])
    assert np.isfinite(found.box).all()
    print(process)
"""


@pytest.mark.slow
def test_every_process_compiles_with_the_compilers_own_settings():
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    ran = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True)
    assert ran.stdout.split() == ["interpolation", "reconstruction", "label_propagation"], ran.stderr[-2000:]
