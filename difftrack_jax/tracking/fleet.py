"""Many videos at once, each with a tracker (and, where it tunes, with weights) of its own, one device for each.

    for predictions in follow(load_tracker("mini"), [video_a, video_b], [[Box(...)], [Point(...)]]):
        ...                                          # one Prediction a video, None for those that have ended

The step is the one of a single tracker, mapped over devices (parallel/fleet.py): it is compiled once, and no device
waits for another. Videos of a fleet have one frame size; those with fewer targets get empty slots.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding

from difftrack_jax.data.video import prefetch
from difftrack_jax.errors import UserError
from difftrack_jax.parallel import fleet
from difftrack_jax.parallel.mesh import make_mesh
from difftrack_jax.tracking import tracker as pure
from difftrack_jax.tracking.indicators import Target
from difftrack_jax.tracking.session import Session, Tracker
from difftrack_jax.typing import HostFrame, Prediction


class State(NamedTuple):
    """sessions: of each video, without their arrays. arrays: those, with a leading fleet axis. index: frames done."""

    sessions: tuple[Session, ...]
    arrays: pure.State
    index: int


class Fleet:
    """One tracker over many videos. mesh: None takes the devices of this process."""

    def __init__(self, tracker: Tracker, mesh: Mesh | None = None):
        self.tracker = tracker
        self.mesh = mesh or make_mesh(devices=jax.local_devices())
        self._params = jax.device_put(tracker.backbone.params, NamedSharding(self.mesh, jax.P()))
        self._members = NamedSharding(self.mesh, fleet.MEMBERS)
        self._steps = {}

    def init(self, frames: Sequence[HostFrame], targets: Sequence[Sequence[Target]]) -> State:
        """Start on the first frame of each video, with its targets. Raises UserError when the sizes differ."""
        if len(frames) != len(targets) or not frames:
            raise UserError(f"fleet: {len(frames)} videos and {len(targets)} lists of targets")
        sizes = {frame.shape[:2] for frame in frames}
        if len(sizes) > 1:
            found = ", ".join(f"{w}x{h}" for h, w in sorted(sizes))
            raise UserError(f"fleet: videos of one size are needed, these are of {found}")
        sessions = [self.tracker.init(*pair) for pair in zip(frames, targets)]
        arrays = [session.pure for session in sessions]
        shapes = {str(jax.tree.map(jnp.shape, one.targets)) for one in arrays}
        if len(shapes) > 1:
            raise UserError("fleet: videos need as many targets as each other, up to the next number of slots")
        spare = fleet.size_for(len(arrays), self.mesh) - len(arrays)
        shells = tuple(session._replace(pure=None) for session in sessions)
        return State(shells, fleet.gather([*arrays, *[arrays[-1]] * spare], self.mesh), 0)

    def step(self, state: State, frames: Sequence[HostFrame]) -> State:
        """The next frame of every video."""
        settings = self.tracker.settings
        tune = settings.tune_steps if state.index else settings.tune_first
        held, spare = state.arrays.index.shape[0], [frames[-1]]
        stacked = np.stack([*frames, *spare * (held - len(frames))])
        arrays = self._step(tune)(self._params, state.arrays, jax.device_put(stacked, self._members))
        return State(state.sessions, arrays, state.index + 1)

    def predict(self, state: State) -> list[Prediction]:
        """Where the targets of each video are now."""
        targets = jax.tree.map(np.asarray, state.arrays.targets)
        frame = np.broadcast_to(np.float32(0), state.arrays.frame.shape[1:])  # only its size is looked at
        found = []
        for number, session in enumerate(state.sessions):
            own = jax.tree.map(lambda leaf, number=number: leaf[number], targets)
            arrays = pure.State(frame, np.int32(state.index), own, None, None, None, None)
            found.append(self.tracker.predict(session._replace(pure=arrays)))
        return found

    def _step(self, tune: int):
        if tune not in self._steps:
            backbone, settings = self.tracker.backbone, self.tracker.settings

            def step(params, state, frame):
                return pure.step(backbone, settings, params, state, frame.astype(jnp.float32) / 127.5 - 1.0, tune)[0]

            self._steps[tune] = fleet.each(step, self.mesh)
        return self._steps[tune]


def follow(
    tracker: Tracker,
    videos: Sequence[Iterable[HostFrame]],
    targets: Sequence[Sequence[Target]],
    mesh: Mesh | None = None,
) -> Iterator[list[Prediction | None]]:
    """A prediction a video in every frame, None after its end, until the longest has ended. Targets are given in first
    frames.
    """
    many, state, frames = Fleet(tracker, mesh), None, []
    for arrived in itertools.zip_longest(*[prefetch(video) for video in videos]):
        # A video that has ended stands still; devices go in step, and nobody looks at it again.
        frames = [old if new is None else new for new, old in itertools.zip_longest(arrived, frames)]
        state = many.init(frames, targets) if state is None else many.step(state, frames)
        found = many.predict(state)
        yield [None if new is None else one for new, one in zip(arrived, found)]
