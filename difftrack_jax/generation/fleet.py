"""Several clips at once, one a device: the sampler of a single clip, mapped over devices (parallel/fleet.py).

together = gather([generator.start(tracklets, caption, key) for key in keys])
for _ in range(together.steps):
    together = together.advance()
videos = together.frames()

A clip that is too long for one device has its frames shared out instead: `over_frames(generator.start(...))` is a run
like any other, and the compiler cuts the network along time.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding

from difftrack_jax.errors import UserError
from difftrack_jax.generation.generator import Run, compiled
from difftrack_jax.parallel import fleet, sharding
from difftrack_jax.parallel.mesh import make_mesh
from difftrack_jax.typing import UInt8


@dataclasses.dataclass(frozen=True)
class Runs:
    """Clips of one length on their way from noise. runs: as they began. conditions, state: a leading fleet axis."""

    runs: tuple[Run, ...]
    conditions: Any
    state: Any
    mesh: Mesh

    @property
    def steps(self) -> int:
        return self.runs[0].steps

    def advance(self) -> "Runs":
        """One step of the sampler, of every clip."""
        generator = self.runs[0].generator
        update = _compiled(compiled(generator.predict, generator.kind, self.runs[0].settings), self.mesh)
        state = update((generator.params, generator.schedule), self.state, self.conditions)
        return dataclasses.replace(self, state=state)

    def frames(self) -> list[UInt8[np.ndarray, "t h w 3"]]:
        """The clips as they stand."""
        state = jax.tree.map(np.asarray, self.state)
        one = lambda number: jax.tree.map(lambda leaf: leaf[number], state)
        return [dataclasses.replace(run, state=one(number)).frames() for number, run in enumerate(self.runs)]


def gather(runs: Sequence[Run], mesh: Mesh | None = None) -> Runs:
    """Runs of one generator, settings and length, as one. mesh: None takes the devices of this process."""
    mesh = mesh or make_mesh(devices=jax.local_devices()[: len(runs)])
    if len({run.state.x.shape for run in runs}) > 1 or len({run.settings for run in runs}) > 1:
        raise UserError("clips that are made at once need one length and the same settings")
    spare = [runs[-1]] * (fleet.size_for(len(runs), mesh) - len(runs))
    together = fleet.gather([(run.conditions, run.state) for run in [*runs, *spare]], mesh)
    return Runs(tuple(runs), *together, mesh)


def over_frames(run: Run, mesh: Mesh | None = None) -> Run:
    """The same run with its frames shared out over devices. Raises UserError when they do not divide by them.

    mesh: None takes the devices of this process, as many as divide the frames.
    """
    frames = run.state.x.shape[1]
    mesh = mesh or make_mesh(batch=frames, devices=jax.local_devices())
    if frames % mesh.size:
        raise UserError(f"{frames} frames: must be a multiple of the {mesh.size} devices that share them")
    along = NamedSharding(mesh, sharding.batch_spec(axis=1))
    place = lambda leaf: along if jnp.ndim(leaf) > 1 else sharding.everywhere(mesh)
    state = jax.tree.map(lambda leaf: jax.device_put(leaf, place(leaf)), run.state)
    copy = lambda tree: jax.device_put(tree, sharding.everywhere(mesh))
    generator = dataclasses.replace(run.generator, params=copy(run.generator.params))
    return dataclasses.replace(run, generator=generator, conditions=copy(run.conditions), state=state)


@functools.lru_cache(maxsize=8)
def _compiled(update, mesh: Mesh):
    one = lambda shared, state, conditions: update(shared[0], conditions, shared[1], state)
    return fleet.each(one, mesh, donate=False)
