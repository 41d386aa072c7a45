"""`--config.profile=True`: a trace of a few steps, for TensorBoard's profiler or https://ui.perfetto.dev."""

import pathlib
from typing import Any

import jax
from absl import logging

WARM_UP, TRACED = 2, 5  # steps before the trace (compilation, first touches of memory), and in it


class Profile:
    """`with Profile(workdir, on) as profile: ...; profile.step(result)` after each step."""

    def __init__(self, workdir: pathlib.Path, on: bool):
        self._folder, self._on, self._steps, self._tracing = workdir / "profile", on, 0, False

    def __enter__(self) -> "Profile":
        return self

    def __exit__(self, *_) -> None:
        self._stop()

    def step(self, result: Any = None) -> None:
        """One step is done; `result` is waited for where the trace begins or ends, and nowhere else."""
        if not self._on:
            return
        self._steps += 1
        if self._steps == WARM_UP:
            jax.block_until_ready(result)
            jax.profiler.start_trace(self._folder)
            self._tracing = True
        elif self._steps == WARM_UP + TRACED:
            jax.block_until_ready(result)
            self._stop()

    def _stop(self) -> None:
        if self._tracing:
            jax.profiler.stop_trace()
            self._tracing = False
            logging.info("profile: %s", self._folder)
