"""What is followed in a user's video: targets that are given, the synthetic clip's own, or what is detected.

`config.births` says what detections do:

online        targets come and go with the detections of every frame (runners/crowds.py)
detections    those of the first frame that has any are followed to the end, as the paper does it
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

from absl import logging
from ml_collections import ConfigDict

from difftrack_jax.data import demo, video
from difftrack_jax.detectors.base import Seen
from difftrack_jax.errors import UserError
from difftrack_jax.runners import births, crowds
from difftrack_jax.tracking.multi_object import Rules
from difftrack_jax.tracking.parse import Timed, make_target, parse_targets
from difftrack_jax.tracking.stream import check_targets


class Detected(NamedTuple):
    """detect: None without detections. online: targets come and go with them."""

    detect: Seen | None
    online: bool


def open_source(spec: str, max_frames: int | None) -> tuple[video.Source, tuple[dict[str, Any], ...]]:
    """A source, and its own targets where it has any."""
    if not spec.startswith(demo.PREFIX):
        return video.open_source(spec, max_frames), ()
    clip = demo.demo_clip(spec)
    frames = min(clip.source.frames, max_frames or clip.source.frames)
    return dataclasses.replace(clip.source, frames=frames, max_frames=frames), clip.targets


def is_live(source: video.Source) -> bool:
    """The source passes only once."""
    return source.path.startswith("camera:") or source.path in ("-", "pipe:")


def detections(config: ConfigDict, source: video.Source) -> Detected:
    """Those of the config. Raises UserError where they cannot be had, or targets are given beside them."""
    seen = crowds.seen_by(config, config.detections)
    if seen is None:
        return Detected(None, False)
    if config.targets:
        raise UserError("targets: leave them empty beside detections or a detector, which find them")
    if config.births not in (births.ONLINE, births.DETECTIONS):
        raise UserError(f"births {config.births!r}: known are {births.ONLINE} and {births.DETECTIONS}")
    if config.births == births.DETECTIONS and is_live(source):
        raise UserError(f"births {config.births!r}: {source.path} passes only once; use {births.ONLINE}")
    return Detected(seen, config.births == births.ONLINE)


def known(
    config: ConfigDict, source: video.Source, own: Sequence[dict[str, Any]], seen: Seen | None, rules: Rules
) -> list[Timed]:
    """Targets that are known before the run: given, or detected first, or the clip's own. Raises UserError for none."""
    if seen:
        index, found = crowds.first_seen(source.iterate(), seen, rules, rules.sure)
        targets = [(index, target) for target in crowds.targets_of(found)]
        if not targets:
            raise UserError(f"{source.path}: nothing is detected with a score of {rules.sure:g} (rules.sure) or more")
        logging.info("%d targets are detected in frame %d", len(targets), index)
    elif own and not config.targets:
        targets = [(0, make_target(**target)) for target in own]
    else:
        targets = parse_targets(config.targets)
    check_targets(source, targets)
    return targets
