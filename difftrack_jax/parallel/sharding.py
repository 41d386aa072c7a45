"""Who holds what: rules from the shapes of arrays to their places on a mesh.

Parameters have one rule, which needs no table of names: an array's longest axis that divides by the number of `fsdp`
devices is cut among them, and what is small stays whole everywhere. Optimizer states and averages are of the shapes of
the parameters they belong to, so the same rule puts them in the same places. Batches are cut along their first axis.
"""

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from difftrack_jax.parallel.mesh import DATA, FSDP
from difftrack_jax.typing import PyTree

SMALL = 2**12  # entries; gathering an array of fewer costs more than holding it


def parameter_spec(shape: tuple[int, ...], devices: int, small: int = SMALL) -> PartitionSpec:
    """Where an array of parameters is cut, among so many devices."""
    fitting = [axis for axis, size in enumerate(shape) if size % devices == 0]
    if devices == 1 or not fitting or np.prod(shape) < small:
        return PartitionSpec()
    longest = max(fitting, key=lambda axis: (shape[axis], axis))
    return PartitionSpec(*(FSDP if axis == longest else None for axis in range(len(shape))))


def parameters(tree: PyTree, mesh: Mesh, small: int = SMALL) -> PyTree:
    """The sharding of each array of a tree of parameters, optimizer states or both (or of their shapes)."""
    place = lambda leaf: NamedSharding(mesh, parameter_spec(leaf.shape, mesh.shape[FSDP], small))
    return jax.tree.map(place, tree)


def bytes_a_device(tree: PyTree) -> int:
    """What one device holds of arrays, or of their shapes and places."""
    size = lambda leaf: np.prod(leaf.sharding.shard_shape(leaf.shape), dtype=np.int64) * leaf.dtype.itemsize
    return int(sum(size(leaf) for leaf in jax.tree.leaves(tree)))


def everywhere(mesh: Mesh) -> NamedSharding:
    """A copy on each device."""
    return NamedSharding(mesh, PartitionSpec())


def batch_spec(axis: int = 0) -> PartitionSpec:
    """A batch's `axis` is shared out over all devices."""
    return PartitionSpec(*[None] * axis, (DATA, FSDP))


def share(batch: PyTree, axis: int = 0) -> PyTree:
    """Inside jit: a batch that was computed is shared out over the mesh that is set, where it divides by it."""
    mesh = jax.sharding.get_abstract_mesh()
    if DATA not in mesh.axis_names or mesh.size == 1:
        return batch
    fits = lambda leaf: leaf.ndim > axis and leaf.shape[axis] % mesh.size == 0
    constrain = jax.lax.with_sharding_constraint
    return jax.tree.map(lambda leaf: constrain(leaf, batch_spec(axis)) if fits(leaf) else leaf, batch)


def keep(tree: PyTree) -> PyTree:
    """Inside jit: parameters and what belongs to them stay where `parameters` puts them."""
    mesh = jax.sharding.get_abstract_mesh()
    if FSDP not in mesh.axis_names or mesh.size == 1:
        return tree
    spec = lambda leaf: parameter_spec(leaf.shape, mesh.shape[FSDP])
    return jax.tree.map(lambda leaf: jax.lax.with_sharding_constraint(leaf, spec(leaf)), tree)


def place(tree: PyTree, shardings: PyTree) -> PyTree:
    """Arrays moved to where they belong. Those of one process only must be the same in every process."""

    def move(leaf, sharding):
        if isinstance(leaf, jax.Array) and leaf.sharding.is_equivalent_to(sharding, leaf.ndim):
            return leaf
        if jax.process_count() == 1:
            return jax.device_put(leaf, sharding)
        value = np.asarray(leaf)
        return jax.make_array_from_callback(value.shape, sharding, lambda index: value[index])

    return jax.tree.map(move, tree, shardings)


def from_processes(batch: PyTree, mesh: Mesh, axis: int = 0) -> PyTree:
    """One global batch from the part of it (host arrays) that each process has loaded."""
    sharding = NamedSharding(mesh, batch_spec(axis))
    return jax.tree.map(lambda leaf: jax.make_array_from_process_local_data(sharding, np.asarray(leaf)), batch)


def whole(tree: PyTree) -> PyTree:
    """The same values as numpy arrays, in every process. All must call this."""
    if jax.process_count() == 1:
        return jax.tree.map(np.asarray, tree)
    mesh = jax.tree.leaves(tree)[0].sharding.mesh
    return jax.tree.map(np.asarray, jax.jit(lambda t: t, out_shardings=everywhere(mesh))(tree))
