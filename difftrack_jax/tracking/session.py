"""The tracker for people: numpy frames in, `Prediction`s out, ids that are never reused, slots that
grow by doubling.

    tracker = load_tracker("mini")
    state = tracker.init(frame, [Box(10, 20, 80, 60), Point(5, 9)])
    state, prediction = tracker.step(state, next_frame)

The state is a pytree; nothing about a video is kept in the tracker itself, so one tracker serves many videos.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from difftrack_jax.backbones import Backbone, load_backbone
from difftrack_jax.errors import UserError
from difftrack_jax.ops import windows
from difftrack_jax.tracking import tracker as pure
from difftrack_jax.tracking.indicators import KINDS, SEGMENT, Point, Segment, Target, Targets, boxes, describe
from difftrack_jax.tracking.settings import Settings, preset_named
from difftrack_jax.tracking.settings import check as check_settings
from difftrack_jax.typing import HostFrame, Prediction

MASK_SIDE = 64  # cells along a side of a segment's mask grid


class Session(NamedTuple):
    """State of a tracked video: the pure state, the id of each slot (0: free), and the next id to give."""

    pure: pure.State
    ids: np.ndarray
    next_id: int


class Tracker:
    """Compiled `init` and `step` of a backbone under settings; see the module's head for use."""

    def __init__(self, backbone: Backbone, settings: Settings, seed: int = 0):
        self.backbone, self.settings, self.seed = backbone, settings, seed
        bind = lambda f: functools.partial(f, backbone, settings)
        self._init = jax.jit(bind(pure.init))
        self._steps = {}  # one compiled step for each number of fine-tuning steps: the first pair's and the rest
        self._full_mask = jax.jit(jax.vmap(pure.full_mask, (0, 0, None)), static_argnums=2)

    def init(self, frame: HostFrame, targets: Sequence[Target]) -> Session:
        """Start on a frame, with at least one target in it. Raises UserError for a target that is not in the frame."""
        if not targets:
            raise UserError("targets: none given; name at least one, such as box:10,20,80,60")
        slots = capacity(len(targets))
        rows = [self._target(frame, target) for target in targets]
        empty = pure.empty_targets(slots, MASK_SIDE)
        filled = jax.tree.map(lambda e, *r: e.at[: len(r)].set(jnp.stack(r)), empty, *rows)
        ids = np.array([*range(1, len(targets) + 1), *[0] * (slots - len(targets))])
        key = jax.random.key(self.seed)
        state = self._init(self.backbone.params, _to_float(frame), filled, key)
        return Session(state, ids, len(targets) + 1)

    def step(self, session: Session, frame: HostFrame) -> tuple[Session, Prediction]:
        """The next frame. Raises UserError when its size is not that of the first."""
        height, width = session.pure.frame.shape[:2]
        if frame.shape[:2] != (height, width):
            raise UserError(f"frame of {frame.shape[1]}x{frame.shape[0]} after frames of {width}x{height}")
        index = int(session.pure.index)
        tune = self.settings.tune_first if index == 0 else self.settings.tune_steps
        state, _ = self._step(tune)(self.backbone.params, session.pure, _to_float(frame))
        session = session._replace(pure=state)
        return session, self.predict(session)

    def predict(self, session: Session) -> Prediction:
        """Where the targets of a session are now."""
        targets = jax.tree.map(np.asarray, session.pure.targets)
        live = np.nonzero(session.ids)[0]
        size = session.pure.frame.shape[:2]
        has_mask = [slot for slot in live if targets.kind[slot] == SEGMENT and targets.visible[slot]]
        masks = {}
        if has_mask:
            every = self._full_mask(session.pure.targets.mask, session.pure.targets.mask_window, size)
            masks = {slot: np.asarray(every[slot]) for slot in has_mask}
        kinds = tuple(KINDS[targets.kind[slot]] for slot in live)
        return Prediction(
            frame=int(session.pure.index),
            id=session.ids[live],
            kind=kinds,
            point=targets.anchor[live],
            box=boxes(targets)[live],
            segment=tuple(masks.get(slot) for slot in live),
            pose=(None,) * len(live),
            visible=targets.visible[live],
            score=targets.score[live],
        )

    def add(self, session: Session, frame: HostFrame, target: Target) -> Session:
        """A new target in the current frame; slots double when all are taken (one more compilation)."""
        if self.settings.window != "target":
            raise UserError("targets can join a running video only with --config.tracker.window=target")
        session = _grown(session) if session.ids.all() else session
        slot = int(np.nonzero(session.ids == 0)[0][0])
        row = self._target(frame, target)
        one = jax.tree.map(lambda a: jnp.asarray(a)[None], row)
        fresh = self._init(self.backbone.params, _to_float(frame), one, jax.random.key(self.seed + session.next_id))
        put = lambda old, new: jax.tree.map(lambda o, n: o.at[slot].set(n[0]), old, new)
        state = session.pure._replace(
            targets=put(session.pure.targets, fresh.targets),
            first=put(session.pure.first, fresh.first),
            recent=put(session.pure.recent, fresh.recent),
            tuning=None if fresh.tuning is None else put(session.pure.tuning, fresh.tuning),
        )
        ids = session.ids.copy()
        ids[slot] = session.next_id
        return Session(state, ids, session.next_id + 1)

    def remove(self, session: Session, target_id: int) -> Session:
        """Stop following a target. Raises UserError when there is none of that id."""
        if target_id <= 0 or target_id not in session.ids:
            raise UserError(f"target {target_id}: not being followed; ids are {session.ids[session.ids > 0].tolist()}")
        slot = int(np.nonzero(session.ids == target_id)[0][0])
        targets = session.pure.targets
        targets = targets._replace(valid=targets.valid.at[slot].set(False), visible=targets.visible.at[slot].set(False))
        ids = session.ids.copy()
        ids[slot] = 0
        return session._replace(pure=session.pure._replace(targets=targets), ids=ids)

    def lower(self, session: Session):
        """Compile the steps this session will need ahead of time."""
        for tune in {self.settings.tune_first, self.settings.tune_steps}:
            self._step(tune).lower(self.backbone.params, session.pure, session.pure.frame).compile()

    def _step(self, tune):
        if tune not in self._steps:
            bound = functools.partial(pure.step, self.backbone, self.settings, tune=tune)
            self._steps[tune] = jax.jit(bound, donate_argnums=1)
        return self._steps[tune]

    def _target(self, frame, target):
        """One row of `Targets`."""
        check(target, frame.shape[1], frame.shape[0])
        height, width = frame.shape[:2]
        kind, anchor, size = describe(target, patch=0.05 * max(height, width))
        mask, window = (
            np.ones((MASK_SIDE, MASK_SIDE), np.float32),
            np.concatenate([anchor - size / 2, anchor + size / 2]),
        )
        if isinstance(target, Segment):
            side = max(1.3 * float(size.max()), 16.0)
            window = np.concatenate([anchor - side / 2, anchor + side / 2]).astype(np.float32)
            whole = jnp.asarray(target.mask, jnp.float32)[..., None]
            mask = windows.crop(whole, jnp.asarray(window), (MASK_SIDE, MASK_SIDE))[..., 0]
        score = np.float32(1.0)
        row = Targets(np.int32(kind), np.True_, anchor, size, mask, window, np.True_, score)
        return jax.tree.map(jnp.asarray, row)


def capacity(targets: int) -> int:
    """Slots for a number of targets: powers of two and the numbers halfway, so that few sizes are ever compiled."""
    power = 1 << (targets - 1).bit_length()
    return 3 * power // 4 if power >= 4 and targets <= 3 * power // 4 else power


def check(target: Target, width: int, height: int) -> None:
    """Raise UserError unless the target lies in a frame of the given size."""
    if isinstance(target, Segment):
        if target.mask.shape != (height, width):
            got = "x".join(map(str, target.mask.shape[::-1]))
            raise UserError(f"segment: its mask is {got} but the video is {width}x{height}")
        if not target.mask.any():
            raise UserError("segment: the mask is empty")
        return
    values = dataclasses.astuple(target)
    if not np.all(np.isfinite(values)):
        raise UserError(f"{target.kind}: {values} is not finite")
    if isinstance(target, Point):
        if not (0 <= target.x < width and 0 <= target.y < height):
            raise UserError(f"point: ({target.x:g}, {target.y:g}) lies outside the video ({width}x{height})")
        return
    if target.x1 <= target.x0 or target.y1 <= target.y0:
        raise UserError(f"box: {values} needs x0 < x1 and y0 < y1 (corners, not width and height)")
    if target.x1 <= 0 or target.y1 <= 0 or target.x0 >= width or target.y0 >= height:
        raise UserError(f"box: {values} lies outside the video ({width}x{height})")


def load_tracker(model: str = "mini", preset: str = "fast", seed: int = 0, **changes) -> Tracker:
    """A tracker from a bundled network or a weight file, under a preset ("fast" or "paper") with any setting
    changed.
    """
    start = preset_named(preset)
    typed = check_settings(changes, start)
    backbone = load_backbone(model)
    return Tracker(backbone, settings_for(backbone, start, typed), seed)


def settings_for(backbone: Backbone, preset: Settings, changes: Mapping[str, Any]) -> Settings:
    """The preset's settings, then what suits the network, then the user's."""
    process = changes.get("process", preset.process)
    own = {**backbone.settings.get("", {}), **backbone.settings.get(process, {})}
    return dataclasses.replace(preset, **{**own, **changes})


def _to_float(frame: np.ndarray) -> jax.Array:
    return jnp.asarray(frame, jnp.float32) / 127.5 - 1.0


def _grown(session: Session) -> Session:
    """Twice the slots, the new ones empty."""
    double = lambda tree: jax.tree.map(lambda a: jnp.concatenate([a, jnp.zeros_like(a)]), tree)
    n = len(session.ids)
    old, empty = session.pure.targets, pure.empty_targets(n, MASK_SIDE)
    targets = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), old, empty)
    state = session.pure._replace(
        targets=targets,
        first=double(session.pure.first),
        recent=double(session.pure.recent),
        tuning=None if session.pure.tuning is None else double(session.pure.tuning),
    )
    return session._replace(pure=state, ids=np.concatenate([session.ids, np.zeros(n, session.ids.dtype)]))
