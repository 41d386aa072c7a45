"""Training states and converted weights through orbax: saved whole, restored whole, onto whatever devices are there."""

import contextlib
import pathlib
from collections.abc import Iterator

import jax
import numpy as np
import orbax.checkpoint as ocp
from flax.traverse_util import flatten_dict

from difftrack_jax.errors import UserError
from difftrack_jax.typing import Params, PyTree


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


def save_params(folder: pathlib.Path, params: Params) -> None:
    """Write weights, numpy's or jax's, into a new folder, FOLDER/0, FOLDER/1, ...: an orbax checkpoint a gigabyte.

    Orbax copies what it writes, twice; in parts that is a matter of a few gigabytes whatever the size of the network.
    """
    for number, names in enumerate(_parts(params)):
        with ocp.StandardCheckpointer() as writer:
            writer.save(folder.resolve() / str(number), {name: params[name] for name in names})
            writer.wait_until_finished()


def restore_params(folder: pathlib.Path, like: PyTree, sharding: PyTree | None = None) -> Params:
    """The weights of `save_params` in the shapes and dtypes of `like`, on any mesh.

    sharding: one for all or a tree of them; None is the first device. Raises UserError when the folder holds none, or
    others than these.
    """
    if sharding is None:
        sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    if isinstance(sharding, jax.sharding.Sharding):
        sharding = jax.tree.map(lambda _: sharding, like)
    target = jax.tree.map(lambda a, s: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=s), like, sharding)
    return {name: leaves for part in _restore(folder, target) for name, leaves in part.items()}


def restore_numpy(folder: pathlib.Path, like: PyTree) -> Iterator[Params]:
    """The same as numpy arrays, part by part: together the parts are the whole tree."""
    yield from _restore(folder, jax.tree.map(lambda a: np.broadcast_to(np.zeros((), a.dtype), a.shape), like))


def _parts(params: Params, size: int = 1 << 30) -> list[list[str]]:
    """The names at the top of the tree, in groups of about `size` bytes."""
    groups, filled = [[]], 0
    for name in sorted(params):
        more = sum(leaf.nbytes for leaf in jax.tree.leaves(params[name]))
        if groups[-1] and filled + more > size:
            groups.append([])
            filled = 0
        groups[-1].append(name)
        filled += more
    return groups


def _restore(folder, target):
    if not folder.is_dir():
        raise UserError(f"weights {folder}: no such folder")
    parts = sorted(path for path in folder.iterdir() if path.name.isdigit())
    with ocp.StandardCheckpointer() as reader:
        stored = [reader.metadata(part.resolve()).item_metadata for part in parts]
        if not parts or None in stored:
            raise UserError(f"weights {folder}: is not a folder of converted weights, or is not whole")
        trees = [metadata.tree for metadata in stored]
        _compare(folder, trees, target)
        for part, tree in zip(parts, trees):
            try:
                yield reader.restore(part.resolve(), {name: target[name] for name in tree})
            except (OSError, ValueError, KeyError) as error:
                raise UserError(f"weights {part}: cannot be read ({' '.join(str(error).split())[:300]})") from error


def _compare(folder, trees, target):
    """Our own words for a difference, and before orbax has opened anything."""
    stored = {name: leaf.shape for tree in trees for name, leaf in flatten_dict(tree, sep="/").items()}
    wanted = {name: leaf.shape for name, leaf in flatten_dict(target, sep="/").items()}
    for name in sorted(stored.keys() | wanted.keys()):
        have, want = stored.get(name), wanted.get(name)
        if have is None or want is None:
            raise UserError(f"weights {folder}: {name} is {'missing' if have is None else 'of no use to this network'}")
        if tuple(have) != tuple(want):
            raise UserError(f"weights {folder}: {name} is of shape {tuple(have)}, not {tuple(want)}")
