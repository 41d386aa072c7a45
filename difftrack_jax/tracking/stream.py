"""A whole video through a tracker, lazily: targets join in the frame in which they are given.

for prediction in track("clip.mp4", [Box(10, 20, 80, 60)]):
    print(prediction.frame, prediction.box)
"""

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from difftrack_jax.data.video import Source, open_source, prefetch
from difftrack_jax.errors import UserError
from difftrack_jax.tracking import predictions
from difftrack_jax.tracking.checks import check
from difftrack_jax.tracking.indicators import Target
from difftrack_jax.tracking.parse import Timed, parse_targets
from difftrack_jax.tracking.session import Session, Tracker, load_tracker
from difftrack_jax.typing import HostFrame, Prediction


class Tracked(NamedTuple):
    """A frame, the session after it (None before the first target), and where the targets are."""

    frame: HostFrame
    session: Session | None
    prediction: Prediction


def track(
    video: str | Source,
    targets: Sequence[Target | Timed] | str,
    model: str = "mini",
    preset: str = "fast",
    seed: int = 0,
    **changes: Any,
) -> Iterator[Prediction]:
    """One prediction a frame, the first included. targets: `Box(...)`, `(frame, Box(...))`, or text."""
    source = video if isinstance(video, Source) else open_source(video)
    timed = parse_targets(targets) if isinstance(targets, str) else [_timed(target) for target in targets]
    tracker = load_tracker(model, preset, seed, **changes)
    check_targets(source, timed)
    for _, target in timed:
        tracker.check(target, source.width, source.height)
    with contextlib.closing(prefetch(source.iterate())) as frames:
        for tracked in follow(tracker, frames, timed):
            yield tracked.prediction


def follow(
    tracker: Tracker,
    frames: Iterable[HostFrame],
    targets: Sequence[Timed],
    session: Session | None = None,
    start: int = 0,
) -> Iterator[Tracked]:
    """Every frame in turn. To go on: the frames from `start`, and the session after the one before.

    A phrase with words of motion is looked for in the frames that follow it too, which are read before it joins.
    """
    frames, index = iter(frames), start - 1
    while (frame := next(frames, None)) is not None:
        index += 1
        joining = [target for at, target in targets if at == index]
        ahead = list(itertools.islice(frames, tracker.foresight(joining)))
        frames = itertools.chain(ahead, frames) if ahead else frames
        prediction = None
        if session is not None:
            session, prediction = tracker.step(session, frame)
            for target in joining:
                session, prediction = tracker.add(session, frame, target, ahead), None
        elif joining:
            session = tracker.init(frame, joining, ahead)
        else:
            prediction = predictions.nothing()
        if prediction is None:
            prediction = tracker.predict(session)
        yield Tracked(frame, session, prediction._replace(frame=index))
    if late := [at for at, _ in targets if at > index]:
        raise UserError(f"targets: one is given in frame {late[0]}, but the video has {index + 1} frames")


def check_targets(source: Source, targets: Sequence[Timed]) -> None:
    """Raise UserError for a target that cannot be followed in this video, before any work is done."""
    if not targets:
        raise UserError("targets: none given; name at least one, such as box:10,20,80,60")
    for at, target in targets:
        check(target, source.width, source.height)
        if source.frames is not None and at >= source.frames:
            raise UserError(f"targets: one is given in frame {at}, but the video has {source.frames} frames")


def _timed(target: Target | Timed) -> Timed:
    return target if isinstance(target, tuple) else (0, target)
