"""A fleet: one pure function over many independent states, spread over devices that never speak to each other.

    step = each(lambda params, state, frame: ..., mesh)
    states = step(params, states, frames)           # params: one copy a device; the others have a leading fleet axis

This is `jax.pmap(f, in_axes=(None, 0, 0))` as it is written today, by `jax.shard_map`: one program, compiled once for
all devices. Unlike pmap's, its arrays are ordinary sharded arrays, it may hold several members a device (one after the
other, so that none sees another's weights), and several processes need no change. docs/parallel.md has them side by
side.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from difftrack_jax.parallel.mesh import DATA, FSDP
from difftrack_jax.typing import PyTree

MEMBERS = PartitionSpec((DATA, FSDP))  # a fleet's leading axis


def each(f: Callable, mesh: Mesh, donate: bool = True) -> Callable:
    """(shared, *members) -> results of f(shared, *member) with a leading axis; members must divide by the devices.

    donate: the memory of the first of `members`, a state, is taken for the result.
    """

    def on_a_device(shared, *members):
        return jax.lax.map(lambda member: f(shared, *member), members)

    def over_devices(shared, *members):
        specs = (PartitionSpec(), *[MEMBERS] * len(members))
        # Devices never exchange anything, so there is nothing for the check of varying values to find.
        mapped = jax.shard_map(on_a_device, mesh=mesh, in_specs=specs, out_specs=MEMBERS, check_vma=False)
        return mapped(shared, *members)

    return jax.jit(over_devices, donate_argnums=(1,) if donate else ())


def gather(members: Sequence[PyTree], mesh: Mesh) -> PyTree:
    """Members of one shape as one fleet."""
    stack = lambda *leaves: jnp.stack([jax.device_put(leaf, jax.local_devices()[0]) for leaf in leaves])
    return jax.device_put(jax.tree.map(stack, *members), NamedSharding(mesh, MEMBERS))


def size_for(members: int, mesh: Mesh) -> int:
    """Members that a mesh holds when it has to hold so many: the rest are idle copies."""
    return -(-members // mesh.size) * mesh.size
