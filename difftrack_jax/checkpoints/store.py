"""Training states through orbax: saved whole, restored whole, the newest first."""

import contextlib
import pathlib

import jax
import orbax.checkpoint as ocp

from difftrack_jax.typing import PyTree


@contextlib.contextmanager
def manager(folder: pathlib.Path, keep: int = 2):
    """A checkpoint manager that writes in the background; leaving the block waits for the last write."""
    options = ocp.CheckpointManagerOptions(max_to_keep=keep, enable_async_checkpointing=True)
    with ocp.CheckpointManager(folder.resolve(), options=options) as mgr:
        yield mgr
        mgr.wait_until_finished()


def save(mgr: ocp.CheckpointManager, step: int, state: PyTree) -> None:
    """Save `state` under `step`; a step that is already there is left alone."""
    if step not in mgr.all_steps():
        mgr.save(step, args=ocp.args.StandardSave(state))


def restore_latest(mgr: ocp.CheckpointManager, like: PyTree) -> PyTree | None:
    """The newest state, in the shapes and on the devices of `like`; None when nothing was saved."""
    step = mgr.latest_step()
    if step is None:
        return None
    abstract = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=a.sharding), like)
    return mgr.restore(step, args=ocp.args.StandardRestore(abstract))
