"""What a compiled program says of itself, and the trace of a few steps."""

import jax
import jax.numpy as jnp
import numpy as np

from difftrack_jax.runners import compilation
from difftrack_jax.runners.profiling import TRACED, WARM_UP, Profile


def test_memory_counts_what_is_donated_once():
    shape = jax.ShapeDtypeStruct((1024, 1024), jnp.float32)  # 4 MB
    kept, seconds = compilation.ahead_of_time(jax.jit(lambda x: x + 1), shape)
    donated, _ = compilation.ahead_of_time(jax.jit(lambda x: x + 1, donate_argnums=0), shape)
    assert seconds > 0
    assert compilation.memory(kept)["held_mb"] == 8
    assert compilation.memory(donated)["held_mb"] == 4
    assert compilation.memory(donated)["total_mb"] >= 4


def test_a_trace_of_some_steps_appears_when_asked_for(tmp_path):
    step = jax.jit(lambda x: x * 2)
    for on in (False, True):
        with Profile(tmp_path, on) as profile:
            for _ in range(WARM_UP + TRACED + 2):
                profile.step(step(np.ones(3)))
        assert bool(list(tmp_path.rglob("*.xplane.pb"))) == on


def test_a_run_that_ends_early_still_leaves_its_trace(tmp_path):
    with Profile(tmp_path, True) as profile:
        for _ in range(WARM_UP + 1):
            profile.step()
    assert list(tmp_path.rglob("*.xplane.pb"))
