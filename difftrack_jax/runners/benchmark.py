"""Track a whole benchmark: sequence by sequence, over all devices and processes, then score what lies on disk.

    predictions/        the official submission; a sequence whose file is there is done, so a run that was killed
                        goes on after the last whole sequence, and ends in the same numbers
    per_sequence.csv    a line a sequence
    seconds/            of every frame of a sequence, all its targets together
    results.json        {"benchmark", "split", "metrics", "settings", "versions"}

Numbers are computed from the files under predictions/ alone, by the code of `runners/evaluate.py`: what is printed is
what anyone gets who scores those files. Processes share the workdir (a shared disk, where they are on several
machines); each tracks every so-manieth sequence, and the first one scores.
"""

import concurrent.futures
import contextlib
import dataclasses
import pathlib
import queue
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import ml_collections
import numpy as np
from absl import logging

from difftrack_jax.data import registry
from difftrack_jax.data.builders.base import Benchmark
from difftrack_jax.data.formats import sot
from difftrack_jax.data.frames import CachedFrames, resized
from difftrack_jax.data.records import Clip
from difftrack_jax.detectors.base import Seen
from difftrack_jax.errors import UserError
from difftrack_jax.parallel import multihost
from difftrack_jax.runners import births, common, crowds, evaluate, outputs, overrides, truths
from difftrack_jax.runners.following import Found, follow_queries
from difftrack_jax.runners.progress import Progress
from difftrack_jax.runners.submissions import SUBMISSIONS, Submission
from difftrack_jax.tracking.session import Tracker, load_tracker
from difftrack_jax.visualize.files import atomic_write, disk_errors

_FAILED = ".failed"  # what went wrong in one process, for the others


class Job(NamedTuple):
    """All that a run needs, checked."""

    benchmark: Benchmark
    names: list[str]
    submission: Submission
    tracker: Tracker
    seen: Seen | None  # by a detector


def run(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> dict[str, Any]:
    """Track and score; the first process returns the metrics, the others nothing."""
    job = prepare(config)
    with contextlib.ExitStack() as stack:
        multihost.first_alone(lambda: _hold(config, workdir, stack))
        predictions, results = workdir / "predictions", workdir / "results.json"
        done = multihost.agree(np.array([job.submission.done(predictions, name) for name in job.names]))
        if done.any():
            logging.info("%d of %d sequences are done already", done.sum(), len(done))
        left = [name for name, is_done in zip(job.names, done) if not is_done]
        with _others_told(workdir):
            _track_all(config, job, list(multihost.share_of(left)), predictions)
            if not multihost.is_first():
                _wait_for([results], workdir)  # or the coordinator would miss us
                return {}
            _wait_for([predictions / job.submission.path(name) for name in left], workdir)
            job.submission.finish(predictions, job.benchmark, config.split, job.names)
            return _score(config, job, workdir)


def _hold(config, workdir: pathlib.Path, stack: contextlib.ExitStack) -> None:
    """One process claims the folder for all, and clears away what the others will wait for."""
    stack.enter_context(common.claim(workdir, config))
    for name in ("results.json", _FAILED):
        (workdir / name).unlink(missing_ok=True)


def prepare(config: ml_collections.ConfigDict) -> Job:
    """Find the folder, choose the sequences, load the tracker: whatever is wrong is said before anything is written."""
    if not config.data_dir:
        kind = registry.find(config.benchmark)
        raise UserError(f"data_dir: give the official folder of {kind.name}, which holds {kind.layout} ({kind.url})")
    benchmark = registry.benchmark(config.benchmark, config.data_dir)
    if config.submission not in SUBMISSIONS:
        raise UserError(f"submission {config.submission!r}: known are {', '.join(SUBMISSIONS)}")
    submission = SUBMISSIONS[config.submission]
    if submission.shape != "point" and config.births not in (known := (*births.RULES, births.ONLINE)):
        raise UserError(f"births {config.births!r}: known are {', '.join(known)}")
    if config.births == births.ONLINE and submission.shape != "box":
        raise UserError(f"births {config.births!r}: tracks boxes, and {benchmark.name} is about {submission.shape}s")
    crowds.rules_from(config)
    if config.detector and config.detections:
        raise UserError("detector: give this or detections, not both")
    if config.slots < 1 or config.max_frames < 0:
        raise UserError(f"slots {config.slots} must be at least 1, and max_frames {config.max_frames} not negative")
    names = benchmark.names(config.split, config.sequences)[: config.limit or None]
    settings = overrides.changes(config)
    seen = crowds.seen_by(config)
    tracker = load_tracker(config.model, config.preset, config.seed, **settings)
    return Job(benchmark, names, submission, tracker, seen)


def _track_all(config, job: Job, names: list[str], predictions: pathlib.Path) -> None:
    """The sequences of this process, one thread a device, each taking the next that nobody has begun."""
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    for name in names:
        waiting.put(name)
    devices = jax.local_devices()[: max(len(names), 1)]
    with Progress("sequences", len(names), quiet=config.quiet) as progress:
        finished: list[str] = []

        def work(device: jax.Device) -> None:
            tracker = _on_device(job.tracker, device)
            with jax.default_device(device):
                while (name := _next(waiting)) is not None:
                    track_one(config, job, tracker, name, predictions)
                    finished.append(name)
                    progress.update(len(finished), name)

        if len(devices) == 1:
            return work(devices[0])
        with concurrent.futures.ThreadPoolExecutor(len(devices)) as pool:
            futures = [pool.submit(work, device) for device in devices]
            for future in concurrent.futures.as_completed(futures):
                if future.exception():
                    while _next(waiting) is not None:
                        pass  # nobody begins another
                future.result()


def track_one(config, job: Job, tracker: Tracker, name: str, predictions: pathlib.Path) -> None:
    """One sequence from its official files to the submission's."""
    begun = time.monotonic()
    clip = job.benchmark.read(config.split, name)
    found = _points(config, tracker, clip) if job.submission.shape == "point" else _targets(config, job, tracker, clip)
    _keep_seconds(predictions.parent, name, found.seconds)
    job.submission.store(predictions, clip, found)
    targets = len(np.unique(found.rows.id))
    logging.info("%s: %d frames, %d targets, %.1f s", name, len(clip.frames), targets, time.monotonic() - begun)


def _targets(config, job: Job, tracker: Tracker, clip: Clip) -> Found:
    rules = crowds.rules_from(config)
    seen = job.seen or crowds.seen_by(config, _file(config, clip.name))
    if config.births == births.ONLINE:
        seen = seen or crowds.public(clip, config)
        return crowds.follow_detections(tracker, clip, seen, rules, config.max_frames)
    if seen and config.births == births.DETECTIONS:
        frames = (clip.frames[index] for index in range(len(clip.frames)))
        found = crowds.first_seen(frames, seen, rules, rules.sure if config.detector else -np.inf)
        clip = clip._replace(detections=crowds.rows_of(*found))
    queries = births.RULES[config.births](clip, job.submission.shape)
    return follow_queries(tracker, clip.frames, queries, config.slots, config.max_frames)


def _file(config, name: str) -> pathlib.Path | None:
    """Detections of a sequence, where a folder of them is given."""
    if not config.detections:
        return None
    path = pathlib.Path(config.detections).expanduser() / name
    coco = path.with_name(f"{name}.json")
    return coco if coco.is_file() else path.with_name(f"{name}.txt")


def _points(config, tracker: Tracker, clip: Clip) -> Found:
    """TAP-Vid: the official category sees frames of 256 x 256; 0 x 0 are the clip's own, another category."""
    size = tuple(config.resolution) if any(config.resolution) else (clip.width, clip.height)
    queries, sampled = births.points(clip, config.queries, size)
    frames = CachedFrames(resized(clip.frames, size))
    found = follow_queries(tracker, frames, queries, config.slots, config.max_frames, filled=True)
    return found._replace(asked=sampled.points)


def _keep_seconds(workdir: pathlib.Path, name: str, seconds: np.ndarray) -> None:
    path = workdir / "seconds" / f"{name}.txt"
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary:
            sot.write_times(temporary, seconds)


def seconds_per_frame(workdir: pathlib.Path) -> float:
    """Of a run: mean over sequences of the median over frames, which compilation in the first ones does not move."""
    paths = sorted((workdir / "seconds").rglob("*.txt"))
    return float(np.mean([np.median(np.loadtxt(path, ndmin=1)) for path in paths])) if paths else float("nan")


def _on_device(tracker: Tracker, device: jax.Device) -> Tracker:
    """The same tracker with its weights on another device."""
    if device == jax.local_devices()[0]:
        return tracker
    backbone = dataclasses.replace(tracker.backbone, params=jax.device_put(tracker.backbone.params, device))
    return Tracker(backbone, tracker.settings, tracker.seed)


def _next(waiting: queue.SimpleQueue) -> str | None:
    with contextlib.suppress(queue.Empty):
        return waiting.get_nowait()
    return None


@contextlib.contextmanager
def _others_told(workdir: pathlib.Path) -> Iterator[None]:
    """A process that fails says so where the others look while they wait."""
    try:
        yield
    except BaseException as error:
        if jax.process_count() > 1:
            (workdir / _FAILED).write_text(f"process {jax.process_index()}: {error}")
        raise


def _wait_for(paths: list[pathlib.Path], workdir: pathlib.Path) -> None:
    """Until other processes have written these. One that is killed takes all with it, by JAX's heartbeat."""
    while not all(path.exists() for path in paths):
        if (workdir / _FAILED).exists():
            raise UserError(f"stopped with {(workdir / _FAILED).read_text()}")
        time.sleep(0.2)


def _score(config, job: Job, workdir: pathlib.Path) -> dict[str, Any]:
    """What `runners/evaluate.py` makes of the predictions, with the settings that made them."""
    settings = common.flatten(config) | {"tracker": dataclasses.asdict(job.tracker.settings)}
    packages = outputs.machine()["versions"]
    against = truths.truth_of(job.benchmark, config.split, job.names, workdir)
    if against is None:
        print(f"{workdir / 'predictions'}: ready to submit; the truth of {config.split} is kept by the organisers")
        results = {"benchmark": job.benchmark.name, "split": config.split, "metrics": {}}
        results |= {"settings": settings, "versions": packages, "sequences": job.names}
        outputs.write_json(workdir / "results.json", results)
    else:
        options = {"queries": config.queries} if job.submission.shape == "point" else {}
        report = evaluate.score(
            against.scorer, workdir / "predictions", against.folder, against.split, ",".join(job.names), options
        )
        report = report._replace(benchmark=job.benchmark.name, split=config.split)
        evaluate.write(report, workdir, settings, packages)
        print(evaluate.table(report), flush=True)
    return {"results": workdir / "results.json"}
