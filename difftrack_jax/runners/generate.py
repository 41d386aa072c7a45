"""Make videos from tracklets: check everything, then sample clip by clip, then the files of a run.

A clip is written when it is whole; killed and started again with the same command, a run makes those that are
missing. Clip number i has its own noise, folded from the seed, whichever device it is made on: every device makes a
clip of its own, and every process its share of them (they share the workdir).
"""

import contextlib
import pathlib
import shutil
import time
from typing import Any

import jax
import ml_collections
import numpy as np
from PIL import Image

from difftrack_jax.data import tracklet_sets
from difftrack_jax.data.tracklet_sets import TrackletSet
from difftrack_jax.errors import UserError
from difftrack_jax.generation import fleet
from difftrack_jax.generation.generator import Generator, compiled, load_generator
from difftrack_jax.generation.sampling import Settings
from difftrack_jax.parallel import multihost
from difftrack_jax.runners import common, compilation, outputs
from difftrack_jax.runners.profiling import Profile
from difftrack_jax.runners.progress import Progress
from difftrack_jax.typing import Prediction, UInt8
from difftrack_jax.visualize import draw
from difftrack_jax.visualize.files import atomic_write
from difftrack_jax.visualize.video import VideoWriter


def run(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> dict[str, Any]:
    """Videos of `config.tracklets` into `workdir`; wrong input raises UserError before anything is written."""
    if common.finished(workdir, config):
        print(f"{workdir}: done already; nothing was computed")
        return {}
    tracklets, generator, chosen = prepare(config)
    if config.get("dry_run"):
        return _dry_run(tracklets, generator, chosen)
    with contextlib.ExitStack() as stack:
        # One process holds the folder for all.
        multihost.first_alone(lambda: stack.enter_context(common.claim(workdir, config)) and None)
        begun = time.monotonic()
        _make(config, tracklets, generator, chosen, workdir)
        multihost.wait("clips")
        if not multihost.is_first():
            return {}
        outputs.write_json(workdir / "tracklets.json", tracklet_sets.to_json(tracklets))
        summary = {
            "videos": config.num_videos,
            "frames": tracklets.frames,
            "seconds": round(time.monotonic() - begun, 3),
            "settings": chosen._asdict(),
            "peak_memory_mb": outputs.peak_mb(),
            **outputs.machine(),
        }
        outputs.write_json(workdir / "summary.json", summary)
        return summary


def _dry_run(tracklets: TrackletSet, generator: Generator, chosen: Settings) -> dict[str, Any]:
    """Compile a step of one clip and say what it will need; nothing is made or written."""
    start = generator.start(tracklets, None, jax.random.key(0), chosen)
    update = compiled(generator.predict, generator.kind, chosen)
    step, seconds = compilation.ahead_of_time(
        update, generator.params, start.conditions, generator.schedule, start.state
    )
    return {**compilation.memory(step), "compile_seconds": round(seconds, 2)}


def _make(config, tracklets, generator, chosen, folder: pathlib.Path) -> None:
    """The clips of this process that are missing, as many at once as it has devices."""
    there = [(folder / f"video_{number:03d}_boxes.mp4").is_file() for number in range(config.num_videos)]
    mine = multihost.share_of(np.flatnonzero(~multihost.agree(np.array(there))).tolist())
    with (
        Progress("generate", len(mine) * chosen.steps, quiet=config.quiet) as progress,
        Profile(folder, config.get("profile", False)) as profile,
    ):
        done = 0
        at_once = jax.local_device_count()
        for numbers in (mine[first : first + at_once] for first in range(0, len(mine), at_once)):
            key = lambda number: jax.random.fold_in(jax.random.key(config.seed), number)
            runs = [generator.start(tracklets, None, key(number), chosen) for number in numbers]
            sampling = fleet.gather(runs) if len(runs) > 1 else runs[0]
            for _ in range(chosen.steps):
                before, sampling = sampling, sampling.advance()
                jax.block_until_ready(before.state)  # not the new one: a device never waits for the host
                done += len(numbers)
                profile.step(sampling.state)
                progress.update(done, f"video {numbers[-1] + 1} of {config.num_videos}")
            made = sampling.frames() if len(runs) > 1 else [sampling.frames()]
            for number, frames in zip(numbers, made):
                _write(folder, number, frames, tracklets)


def prepare(config: ml_collections.ConfigDict) -> tuple[TrackletSet, Generator, Settings]:
    """Tracklets, generator and settings, all checked; a setting that is 0 or empty is the generator's own."""
    if config.num_videos < 1:
        raise UserError(f"num_videos is {config.num_videos}: it must be at least 1")
    size = (config.width, config.height) if config.width and config.height else None
    tracklets = tracklet_sets.read(config.tracklets, config.category, size)
    if config.caption is not None:
        tracklets = tracklets._replace(caption=config.caption)
    generator = load_generator(config.model)
    own = generator.settings
    given = {name: value for name, value in _settings(config).items() if value is not None}
    if config.overlap >= own.window:
        raise UserError(f"overlap is {config.overlap}: windows of this model have {own.window} frames")
    generator.check(tracklets)
    return tracklets, generator, own._replace(**given)


def _settings(config: ml_collections.ConfigDict) -> dict[str, Any]:
    if config.steps < 0 or config.steps > 1000:
        raise UserError(f"steps is {config.steps}: 1 to 1000, or 0 for the model's own number")
    if config.rule not in ("", "plain", "rescaled"):
        raise UserError(f"rule {config.rule!r}: known are plain and rescaled")
    if config.solver not in ("", "dpm++2m", "ddim"):
        raise UserError(f"solver {config.solver!r}: known are dpm++2m and ddim")
    if not 0 <= config.grounding_beta <= 1:
        raise UserError(f"grounding_beta is {config.grounding_beta}: a share of the steps, from 0 to 1")
    return dict(
        steps=config.steps or None,
        guidance=config.guidance if config.guidance >= 0 else None,
        rule=config.rule or None,
        solver=config.solver or None,
        grounding_beta=float(config.grounding_beta),
        overlap=config.overlap if config.overlap >= 0 else None,
    )


def _write(folder: pathlib.Path, number: int, frames: UInt8[np.ndarray, "t h w 3"], tracklets: TrackletSet) -> None:
    """The clip, its frames, and the clip with its boxes, which comes last and says that the clip is done."""
    stills = folder / "frames" / f"video_{number:03d}"
    shutil.rmtree(stills, ignore_errors=True)
    stills.mkdir(parents=True)
    for index, frame in enumerate(frames):
        with atomic_write(stills / f"{index:05d}.png") as temporary:
            Image.fromarray(frame).save(temporary)
    _encode(folder / f"video_{number:03d}.mp4", frames, tracklets)
    labels = {index + 1: t.category for index, t in enumerate(tracklets.tracklets)}
    boxed = [draw.draw(frame, _boxes(tracklets, t), None, labels) for t, frame in enumerate(frames)]
    _encode(folder / f"video_{number:03d}_boxes.mp4", boxed, tracklets)


def _encode(path: pathlib.Path, frames: Any, tracklets: TrackletSet) -> None:
    with VideoWriter(path, tracklets.fps, tracklets.width, tracklets.height) as video:
        for frame in frames:
            video.write(frame)


def _boxes(tracklets: TrackletSet, frame: int) -> Prediction:
    """The boxes of a frame, as what is drawn."""
    count = len(tracklets.tracklets)
    box = np.stack([t.boxes[frame] for t in tracklets.tracklets])
    return Prediction(
        frame=frame,
        id=np.arange(1, count + 1),
        kind=("box",) * count,
        point=np.full((count, 2), np.nan),
        box=box,
        segment=(None,) * count,
        pose=(None,) * count,
        visible=np.isfinite(box).all(axis=1),
        score=np.ones(count),
    )
