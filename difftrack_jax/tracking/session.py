"""The tracker for people: numpy frames in, `Prediction`s out, ids that are never reused, slots that grow by doubling.

    tracker = load_tracker("mini")
    state = tracker.init(frame, [Box(10, 20, 80, 60), Point(5, 9)])
    state, prediction = tracker.step(state, next_frame)

The state is a pytree; nothing about a video is kept in the tracker itself, so one tracker serves many videos.
"""

import dataclasses
import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from difftrack_jax.backbones import Backbone, Phrases, load_backbone
from difftrack_jax.errors import UserError
from difftrack_jax.ops import windows
from difftrack_jax.tracking import motion, phrases, predictions, slots, text
from difftrack_jax.tracking import tracker as pure
from difftrack_jax.tracking.checks import check
from difftrack_jax.tracking.indicators import SEGMENT, Box, Pose, Segment, Target, Targets, Text, describe
from difftrack_jax.tracking.settings import Settings, preset_named
from difftrack_jax.tracking.settings import check as check_settings
from difftrack_jax.typing import HostFrame, Prediction

MASK_SIDE = 128  # cells along a side of a segment's mask grid


class Session(NamedTuple):
    """A tracked video: the pure state, the id in each slot [windows, places] (0: free), and the next id to give.

    spoken: ids that were found by words. context: what a network with a text encoder is told, None for others.
    """

    pure: pure.State
    ids: np.ndarray
    next_id: int
    spoken: np.ndarray
    context: jax.Array | None


class Tracker:
    """Compiled `init` and `step` of a backbone under settings; see the module's head for use."""

    def __init__(self, backbone: Backbone, settings: Settings, seed: int = 0):
        self.backbone, self.settings, self.seed = backbone, settings, seed
        bind = lambda f: functools.partial(f, backbone, settings)
        self._init = jax.jit(bind(pure.init))
        self._steps = {}  # one compiled step for each number of fine-tuning steps: the first pair's and the rest
        self._replace_window = jax.jit(slots.window_replaced, donate_argnums=0)
        self._move = jax.jit(slots.moved, donate_argnums=0)
        self._replace_place = jax.jit(slots.place_replaced, donate_argnums=0)
        self._full_mask = jax.jit(jax.vmap(pure.full_mask, (0, 0, None)), static_argnums=2)
        self._finder = _finder(backbone, settings, seed)

    def init(self, frame: HostFrame, targets: Sequence[Target], ahead: Sequence[HostFrame] = ()) -> Session:
        """Start on a frame, with at least one target in it. Raises UserError for a target that is not in the frame.

        ahead: the frames that follow, as many as `foresight` asks for, in which words of motion are seen.
        """
        if not targets:
            raise UserError("targets: none given; name at least one, such as box:10,20,80,60")
        for target in targets:
            self.check(target, frame.shape[1], frame.shape[0])
        targets, spoken, context = self._heard(frame, targets, ahead)
        rows = [self._rows(frame, target, number) for number, target in enumerate(targets, 1)]
        if not self.isolated:
            rows = [list(itertools.chain(*rows))]
        windows_ = slots.capacity(len(rows)) if self.isolated else 1
        places = slots.capacity(max(map(len, rows)))
        filled = slots.filled(rows, windows_, places, MASK_SIDE)
        state = self._init(self._params(context), _to_float(frame), filled, jax.random.key(self.seed))
        return Session(state, np.array(filled.identity), len(targets) + 1, np.array(spoken, np.int64), context)

    def step(self, session: Session, frame: HostFrame) -> tuple[Session, Prediction]:
        """The next frame. Raises UserError when its size is not that of the first."""
        height, width = session.pure.frame.shape[:2]
        if frame.shape[:2] != (height, width):
            raise UserError(f"frame of {frame.shape[1]}x{frame.shape[0]} after frames of {width}x{height}")
        index = int(session.pure.index)
        tune = self.settings.tune_first if index == 0 else self.settings.tune_steps
        state, _ = self._step(tune)(self._params(session.context), session.pure, _to_float(frame))
        session = session._replace(pure=state)
        return session, self.predict(session)

    def predict(self, session: Session) -> Prediction:
        """Where the targets of a session are now, in the order of their slots."""
        targets = jax.tree.map(_flat, session.pure.targets)
        ids = _flat(session.ids)
        size = session.pure.frame.shape[:2]
        shown = np.nonzero((ids > 0) & (targets.kind == SEGMENT) & targets.visible)[0]
        masks = {}
        if len(shown):
            every = self._full_mask(jnp.asarray(targets.mask), jnp.asarray(targets.mask_window), size)
            masks = {int(slot): np.asarray(every[slot]) for slot in shown}
        found = predictions.of_slots(int(session.pure.index), targets, ids, masks)
        kinds = tuple("text" if number in session.spoken else kind for number, kind in zip(found.id, found.kind))
        return found._replace(kind=kinds)

    def add(self, session: Session, frame: HostFrame, target: Target, ahead: Sequence[HostFrame] = ()) -> Session:
        """A new target in the current frame; slots grow when all are taken (one more compilation).

        A phrase joins what the network is told already, and all its boxes join, each with an id. ahead: as of `init`.
        """
        self.check(target, frame.shape[1], frame.shape[0])
        if isinstance(target, Text):
            boxes, _, context = self._heard(frame, [target], ahead)
            more = np.arange(session.next_id, session.next_id + len(boxes))
            if context is not None and len(session.spoken):
                context = jnp.concatenate([session.context, context], axis=1)
            session = session._replace(spoken=np.concatenate([session.spoken, more]), context=context)
            return functools.reduce(lambda session, box: self.add(session, frame, box), boxes, session)
        rows = self._rows(frame, target, session.next_id)
        session = self._with_room(session, len(rows))
        ids, state = session.ids.copy(), session.pure
        if self.isolated:
            w = int(np.nonzero((ids == 0).all(1))[0][0])
            one = slots.filled([rows], 1, ids.shape[1], MASK_SIDE)
            key = jax.random.key(self.seed + session.next_id)
            fresh = self._init(self._params(session.context), _to_float(frame), one, key)
            state = self._replace_window(state, fresh, jnp.int32(w))
            ids[w, : len(rows)] = session.next_id
        else:
            free = np.nonzero(ids[0] == 0)[0]
            for m, row in zip(free, rows):
                state = self._replace_place(state, row, jnp.int32(m))
                ids[0, m] = session.next_id
        return session._replace(pure=state, ids=ids, next_id=session.next_id + 1)

    def remove(self, session: Session, target_id: int) -> Session:
        """Stop following a target. Raises UserError when there is none of that id."""
        gone = self._slots_of(session, target_id)
        targets = session.pure.targets
        targets = targets._replace(
            valid=targets.valid & ~gone, visible=targets.visible & ~gone, identity=jnp.where(gone, 0, targets.identity)
        )
        ids = np.where(gone, 0, session.ids)
        return session._replace(pure=session.pure._replace(targets=targets), ids=ids)

    def move(self, session: Session, boxes: Mapping[int, np.ndarray]) -> Session:
        """Correct boxes (x0, y0, x1, y1 by id) in the current frame, by detections say; their memory stays."""
        here, place = np.zeros(session.ids.shape, bool), np.zeros((*session.ids.shape, 4), np.float32)
        for number, box in boxes.items():
            slot = self._slots_of(session, number)
            here |= slot
            place[slot] = box
        return session._replace(pure=self._move(session.pure, jnp.asarray(here), jnp.asarray(place)))

    def check(self, target: Target, width: int, height: int) -> None:
        """Raise UserError unless this tracker can follow the target in frames of that size."""
        check(target, width, height)
        if isinstance(target, Text) and self._finder is None:
            raise UserError(f"text: {self.backbone.name} reads no text; --config.model=mini does, and so does sd15")

    def foresight(self, targets: Sequence[Target]) -> int:
        """How many frames after the targets' own tell what they mean: none, but for words of motion."""
        asked = [target.phrase for target in targets if isinstance(target, Text)]
        return self.settings.text_frames if asked and self._finder.looks_ahead(asked) else 0

    @property
    def isolated(self) -> bool:
        """Every target has a search window of its own."""
        return self.settings.window == "target"

    def _slots_of(self, session, target_id):
        if target_id <= 0 or target_id not in session.ids:
            raise UserError(f"target {target_id}: not being followed; ids are {sorted({*session.ids.flat} - {0})}")
        return session.ids == target_id

    def _with_room(self, session, places):
        """The session with enough free slots for one more target of so many places."""
        w, m = session.ids.shape
        if self.isolated:
            windows_ = w if (session.ids == 0).all(1).any() else 2 * w
            m = max(m, slots.capacity(places))
        else:
            windows_, free = 1, int((session.ids == 0).sum())
            while free < places:
                m, free = 2 * m, free + m
        if (windows_, m) == session.ids.shape:
            return session
        more = ((0, windows_ - session.ids.shape[0]), (0, m - session.ids.shape[1]))
        return session._replace(pure=slots.padded(session.pure, windows_, m), ids=np.pad(session.ids, more))

    def lower(self, session: Session) -> list[jax.stages.Compiled]:
        """The steps this session will need, compiled ahead of time: the first pair's and the rest."""
        tunes = sorted({self.settings.tune_first, self.settings.tune_steps}, reverse=True)
        arguments = self._params(session.context), session.pure, session.pure.frame
        return [self._step(tune).lower(*arguments).compile() for tune in tunes]

    def _heard(self, frame, targets, ahead):
        """The targets with boxes in place of phrases, the numbers of those boxes, and what the network is told."""
        asked = [target.phrase for target in targets if isinstance(target, Text)]
        if not asked:
            return list(targets), [], self.backbone.params.get("context")
        ways = functools.partial(self._ways, frame, ahead) if ahead else None
        found, context = self._finder.find(_to_float(frame), asked, ways)
        heard, spoken, boxes = [], [], iter(found)
        for target in targets:
            if isinstance(target, Text):
                here = next(boxes)
                spoken += range(len(heard) + 1, len(heard) + 1 + len(here))
                heard += here
            else:
                heard.append(target)
        return heard, spoken, context

    def _ways(self, frame, ahead, boxes):
        """How far boxes of a frame go in the frames ahead. Always as many are followed, so that one program serves."""
        some = [Box(*box) for box in boxes.tolist()]
        session = self.init(frame, some + some[-1:] * (phrases.CANDIDATES - len(some)))
        for later in ahead:
            session, prediction = self.step(session, later)
        return motion.ways(boxes, prediction.box[: len(some)], [frame, *ahead])

    def _params(self, context):
        return self.backbone.params if context is None else self.backbone.params | {"context": context}

    def _step(self, tune):
        if tune not in self._steps:
            bound = functools.partial(pure.step, self.backbone, self.settings, tune=tune)
            self._steps[tune] = jax.jit(bound, donate_argnums=1)
        return self._steps[tune]

    def _rows(self, frame, target, number):
        """The rows of `Targets` of one target: one, or one for each joint of a pose."""
        height, width = frame.shape[:2]
        parts = describe(target, patch=0.05 * max(height, width))
        seen = target.joints[:, 2] > 0 if isinstance(target, Pose) else np.ones(len(parts), bool)
        return [self._row(target, number, *part, here) for part, here in zip(parts, seen)]

    def _row(self, target, number, kind, anchor, size, seen):
        mask = np.ones((MASK_SIDE, MASK_SIDE), np.float32)
        window = np.concatenate([anchor - size / 2, anchor + size / 2])
        if isinstance(target, Segment):
            side = max(1.3 * float(size.max()), 16.0)
            window = np.concatenate([anchor - side / 2, anchor + side / 2]).astype(np.float32)
            whole = jnp.asarray(target.mask, jnp.float32)[..., None]
            mask = windows.crop(whole, jnp.asarray(window), (MASK_SIDE, MASK_SIDE))[..., 0]
        seen, score = np.bool_(seen), np.float32(seen)
        clear = np.float32(1)
        row = Targets(np.int32(kind), np.int32(number), seen, anchor, size, mask, window, seen, score, clear)
        return jax.tree.map(jnp.asarray, row)


def load_tracker(
    model: str = "mini", preset: str = "fast", seed: int = 0, dtype: str | None = None, **changes: Any
) -> Tracker:
    """A tracker on any model of backbones/loading.py, under a preset ("fast" or "paper") with any setting changed.

    dtype: of the computation, "float32" or "bfloat16"; None is what suits the model and the device.
    """
    if dtype not in (None, "float32", "bfloat16"):
        raise UserError(f"dtype {dtype!r}: known are float32 and bfloat16")
    start = preset_named(preset)
    typed = check_settings(changes, start)
    backbone = load_backbone(model, dtype)
    return Tracker(backbone, settings_for(backbone, start, typed), seed)


def settings_for(backbone: Backbone, preset: Settings, changes: Mapping[str, Any]) -> Settings:
    """The preset's settings, then what suits the network, then the user's."""
    asked = dataclasses.replace(preset, **changes)
    own = [backbone.settings.get(name, {}) for name in ("", asked.window, asked.process)]
    return dataclasses.replace(preset, **{**own[0], **own[1], **own[2], **changes})


def _finder(backbone, settings, seed):
    """Who finds boxes for phrases: a network taught to, the attention of one with a text encoder, or nobody."""
    if backbone.words is None:
        return None
    if isinstance(backbone.words, Phrases):
        return phrases.Finder(backbone.words, settings.text_boxes)
    return text.Finder(backbone, settings, seed)


def _to_float(frame: np.ndarray) -> jax.Array:
    return jnp.asarray(frame, jnp.float32) / 127.5 - 1.0


def _flat(a) -> np.ndarray:
    return np.asarray(a).reshape(-1, *a.shape[2:])
