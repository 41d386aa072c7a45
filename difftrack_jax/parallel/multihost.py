"""Processes that work on one task: who they are, and how the first tells the others what it found.

One process needs none of this, and every function then does the plain thing.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from difftrack_jax.errors import UserError

Item = TypeVar("Item")


def initialize(spec: str, workdir: str | None = None) -> None:
    """Join the others. spec: "" for a process on its own, "auto" for what Slurm, MPI or a TPU pod say, or
    "HOST:PORT,PROCESSES,INDEX" of the first process's machine. Must come before anything else asks JAX for devices.
    workdir: that they share.
    """
    if not spec:
        return
    if not workdir:
        raise UserError("distributed: give the --workdir that all processes share")
    if spec == "auto":
        jax.distributed.initialize()
        return
    address, _, numbers = spec.partition(",")
    count, _, index = numbers.partition(",")
    if ":" not in address or not (count.isdecimal() and index.isdecimal() and int(index) < int(count)):
        raise UserError(f"distributed {spec!r}: must be auto, or HOST:PORT,PROCESSES,INDEX with INDEX from 0")
    jax.distributed.initialize(address, int(count), int(index))


def is_first() -> bool:
    return jax.process_index() == 0


def agree(value: np.ndarray) -> np.ndarray:
    """The first process's value, in every process. All must call this, with values of one shape."""
    if jax.process_count() == 1:
        return value
    return np.asarray(multihost_utils.broadcast_one_to_all(value))


def first_alone(work: Callable[[], None]) -> None:
    """Do something in the first process; if that fails, no process goes on."""
    error = None
    if is_first():
        try:
            work()
        except UserError as caught:
            error = caught
    failed = bool(agree(np.array(error is not None)))
    if error is not None:
        raise error
    if failed:
        raise UserError("the first process has stopped; it says why")


def share_of(items: Sequence[Item]) -> Sequence[Item]:
    """The items of this process: every so-manieth one."""
    return items[jax.process_index() :: jax.process_count()]


def wait(name: str) -> None:
    """Until every process is here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)
