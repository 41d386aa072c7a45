"""Track a video: check everything, then frame by frame, then the files of interfaces.md.

Killed and started again with the same command, a run goes on from the newest state under workdir/state, and
ends in the very bytes of an undisturbed one. Cameras and pipes pass only once: Ctrl-C ends them, and all that
came is written.
"""

import contextlib
import itertools
import pathlib
import shutil
import sys
import time
from typing import Any, NamedTuple

import jax
import ml_collections

from difftrack_jax.checkpoints import session_state
from difftrack_jax.data import video
from difftrack_jax.detectors.base import Seen
from difftrack_jax.errors import UserError
from difftrack_jax.runners import benchmark, common, compilation, crowds, outputs, overrides, video_targets
from difftrack_jax.runners.profiling import Profile
from difftrack_jax.runners.progress import Progress
from difftrack_jax.tracking.indicators import Box
from difftrack_jax.tracking.multi_object import Crowd, MultiObject
from difftrack_jax.tracking.parse import Timed
from difftrack_jax.tracking.session import Session, Tracker, load_tracker
from difftrack_jax.tracking.stream import follow
from difftrack_jax.visualize.export import TrackWriter, write_masks, write_mot


class Job(NamedTuple):
    """All that a run needs, checked. seen: detections, where targets come and go with them, else None."""

    source: video.Source
    targets: list[Timed]
    tracker: Tracker
    wanted: tuple[str, ...]
    seen: Seen | None
    objects: MultiObject

    @property
    def live(self) -> bool:
        """The source passes only once."""
        return video_targets.is_live(self.source)


def run(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> dict[str, Any]:
    """Track `config.video`, or a whole benchmark (benchmark.py), into `workdir`; wrong input raises UserError before
    anything is written.
    """
    if config.get("benchmark"):
        return benchmark.run(config, workdir)
    if common.finished(workdir, config):
        print(f"{workdir}: done already; nothing was computed")
        return {}
    job = prepare(config)
    if config.get("dry_run"):
        return _dry_run(job)
    with common.claim(workdir, config) as folder:
        header = {
            "path": str(config.video),
            "width": job.source.width,
            "height": job.source.height,
            "fps": round(float(job.source.fps), 4),
        }
        writer = TrackWriter(folder, header)
        with contextlib.closing(writer), _compile_seconds() as compiling:
            numbers = _record(config, job, writer, folder, compiling)
        summary = {**numbers, **outputs.machine()}
        return _write(config, job, writer, folder, summary)


def _dry_run(job: Job) -> dict[str, Any]:
    """Compile the steps and say what they will need; nothing is tracked or written."""
    session = _first_session(job)
    begun = time.monotonic()
    steps = [compilation.memory(step) for step in job.tracker.lower(session)]
    most = {name: max(step[name] for step in steps) for name in steps[0]}
    return {**most, "compile_seconds": round(time.monotonic() - begun, 2)}


def _first_session(job: Job) -> Session:
    """A session such as the run begins with."""
    whole = [(0, Box(0, 0, job.source.width, job.source.height))]
    targets = job.targets or whole
    first = targets[0][0]
    with contextlib.closing(job.source.iterate(first)) as frames:
        given = [target for at, target in targets if at == first]
        frame, *ahead = itertools.islice(frames, 1 + job.tracker.foresight(given))
        return job.tracker.init(frame, given, ahead)


def prepare(config: ml_collections.ConfigDict) -> Job:
    """Open the video, read the targets, load the tracker."""
    wanted = tuple(name.strip() for part in config.outputs for name in part.split(",") if name.strip())
    for name in wanted:
        if name not in outputs.KNOWN:
            raise UserError(f"outputs: unknown {name!r}; known are {', '.join(outputs.KNOWN)}")
    settings = overrides.changes(config)
    if config.max_frames < 0:
        raise UserError(f"max_frames is {config.max_frames}: it must be at least 1, or 0 for the whole video")
    source, own = video_targets.open_source(config.video, config.max_frames or None)
    seen, rules = video_targets.detections(config, source), crowds.rules_from(config)
    targets = [] if seen.online else video_targets.known(config, source, own, seen.detect, rules)
    settings = crowds.settings(settings) if seen.online else settings
    tracker = load_tracker(config.model, config.preset, config.seed, config.get("dtype") or None, **settings)
    for _, target in targets:
        tracker.check(target, source.width, source.height)
    return Job(source, targets, tracker, wanted, seen.detect if seen.online else None, MultiObject(tracker, rules))


def _record(config, job, writer, folder, compiling) -> dict[str, Any]:
    """Every frame from where an earlier run stopped: tracks to the writer, the state to disk now and then."""
    path = folder / "state" / "session.npz"
    start, session = (0, None) if job.live else _restore(job, path)
    writer.resume(start)
    begun, memory, done = time.monotonic(), None, start
    show = outputs.overlay(folder / "overlay.mp4", job.source) if job.live and "overlay" in job.wanted else None
    with (
        contextlib.closing(_follow(job, start, session, writer, folder)) as tracking,
        Progress("track", job.source.frames, start, config.quiet) as progress,
        Profile(folder, config.get("profile", False)) as profile,
        show or contextlib.nullcontext() as show,
        _interrupt_ends(job.live),
    ):
        for tracked in tracking:
            writer.append(tracked.prediction)
            if show:
                show(tracked.frame, tracked.prediction)
            done += 1
            memory = outputs.resident_mb() if done == 50 else memory
            profile.step()
            if not job.live and done % config.checkpoint_every == 0:
                session_state.save(path, tracked.session, {"frames": done, "started": tracked.session is not None})
            progress.update(done)
    if not done:
        raise UserError(f"{config.video}: no frames arrived")
    seconds, compiled = time.monotonic() - begun, compiling()
    return {
        "frames": done,
        "resumed_from": start,
        "seconds": round(seconds, 3),
        "fps": round((done - start) / max(seconds - compiled, 1e-6), 3),
        "compile_seconds": round(compiled, 3),
        "peak_memory_mb": outputs.peak_mb(),
        "memory_mb": {"frame_50": memory, f"frame_{done}": outputs.resident_mb()},
    }


def _restore(job: Job, path: pathlib.Path) -> tuple[int, Session | Crowd | None]:
    """Frames done and the session after them; the session's structure is that of a fresh one."""
    notes = session_state.read_notes(path)
    if notes is None:
        return 0, None
    if not notes["started"]:
        return notes["frames"], None
    like = _first_session(job)
    if job.seen:
        like = crowds.like(job.objects, like)
    return notes["frames"], session_state.load(path, like)


def _follow(job: Job, start: int, session: Session | Crowd | None, writer: TrackWriter, folder: pathlib.Path):
    """The tracked frames from `start` on. A video that turns out damaged takes back what was written."""
    try:
        with contextlib.closing(video.prefetch(job.source.iterate(start))) as frames:
            if job.seen:
                yield from crowds.follow(job.objects, frames, job.seen, session, start)
            else:
                yield from follow(job.tracker, frames, job.targets, session, start)
    except UserError:
        writer.close()
        writer.partial.unlink(missing_ok=True)
        shutil.rmtree(folder / "state", ignore_errors=True)
        raise


def _write(config, job, writer, folder, summary) -> dict[str, Any]:
    """The files asked for. A run is done when summary.json is there and the recorded lines are gone."""
    if "mot" in job.wanted:
        write_mot(folder / "tracks.txt", outputs.replay(writer.partial))
    if "masks" in job.wanted and _has_segments(job, writer):
        size = (job.source.height, job.source.width)
        write_masks(folder / "masks", outputs.replay(writer.partial), size)
    outputs.write_official(folder, job.wanted, job.source, writer.partial)
    if "overlay" in job.wanted and not job.live:
        outputs.write_overlay(folder / "overlay.mp4", job.source, outputs.replay(writer.partial))
    shutil.rmtree(folder / "state", ignore_errors=True)
    outputs.write_json(folder / "summary.json", summary)
    if "json" in job.wanted:
        writer.finish()
    writer.partial.unlink(missing_ok=True)
    return summary


def _has_segments(job: Job, writer: TrackWriter) -> bool:
    if job.seen:
        return any("segment" in prediction.kind for prediction in outputs.replay(writer.partial))
    return any(target.kind == "segment" for _, target in job.targets)


@contextlib.contextmanager
def _interrupt_ends(live: bool):
    """Ctrl-C is the end of a camera's video, and not an error."""
    try:
        yield
    except KeyboardInterrupt:
        if not live:
            raise
        print("stopped; writing what came", file=sys.stderr)


@contextlib.contextmanager
def _compile_seconds():
    """A function that says how long JAX has lowered and compiled since."""
    seconds = []
    steps = ("/jax/core/compile/jaxpr_to_mlir_module_duration", "/jax/core/compile/backend_compile_duration")

    def listen(name, duration, **_):
        if name in steps:
            seconds.append(duration)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield lambda: sum(seconds)
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
