"""Do generated clips keep to their tracklets? Our tracker judges (the paper's Table 4, in small).

    python benchmarks/generated_clips.py [--sets=50] [--steps=12] [--model=NAME=PATH[:PART[+PART]] ...]
        [--keep=FOLDER] [--sheet=FILE]

For each held-out procedural set of tracklets (seeds no training has drawn) every generator makes a clip, all from the
same noise; the clip that the set was cut from is the oracle. In each the bundled tracker starts on the box of an
object's first frame and is scored against the conditioning boxes: Success and normalised precision as GOT-10k's toolkit
has them, and track AP of YouTube-VIS with shapes as categories. Only objects in at least half of the frames count.
Errors are standard errors over sets, by bootstrap; those of differences to the first model are paired.

PATH is `mini`, or a workdir or file of weights. PARTs are switched off while sampling, with the weights as they are:
enhancer, instances (the table of instance tokens), painting. --keep: clips and boxes are stored there by name, and not
made again. --sheet: a picture of the first four sets.
"""

import argparse
import dataclasses
import functools
import pathlib
import re
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from PIL import Image, ImageDraw

import difftrack_jax as dt
from difftrack_jax.data import tracklet_clips, tracklet_sets
from difftrack_jax.errors import UserError
from difftrack_jax.generation.generator import Generator, load_generator
from difftrack_jax.metrics import sot, ytvis
from difftrack_jax.runners import compilation
from difftrack_jax.typing import Bool, Float, UInt8
from difftrack_jax.visualize.files import atomic_write

SIZE = 192  # pixels a side of the frames that are judged
FIRST = 10_000_000  # held-out seeds begin here
SHEET, CELL = 4, 96  # sets on a sheet, and pixels a side of its frames
# A part is gone when these are zero: gates, the table itself, the last projection.
PARTS = {"enhancer": r"injector/alpha_", "instances": r"instance_embedding", "painting": r"painting/out/"}


class Judged(NamedTuple):
    """One object of one clip: its curves, and its tubes for track AP."""

    score: sot.State
    truth: ytvis.Track
    found: ytvis.Track


class Followed(NamedTuple):
    """A clip, and where the tracker says its objects are; NaN before an object is there. Boxes are x, y, w, h."""

    frames: UInt8[np.ndarray, "t h w 3"]
    boxes: Float[np.ndarray, "n t 4"]
    scores: Float[np.ndarray, "n t"]
    seen: Bool[np.ndarray, "n t"]


def held_out(number: int, frames: int, size: int):
    """Tracklets and the frames they were cut from."""
    style = tracklet_clips.STYLE._replace(frames=frames, size=size)
    clip = jax.tree.map(np.asarray, _draw(jax.random.key(FIRST + number), style))
    frames = np.rint((clip.frames + 1) * 127.5).astype(np.uint8)
    real = np.stack([np.asarray(Image.fromarray(f).resize((SIZE, SIZE), Image.Resampling.BICUBIC)) for f in frames])
    return tracklet_sets.from_clip(clip, f"set {number}", SIZE, 8.0), real


_draw = jax.jit(tracklet_clips.draw, static_argnums=1)


def load(path: str) -> Generator:
    """A generator, without the parts named after the colon."""
    path, _, parts = path.partition(":")
    generator = _loaded(path)
    for part in filter(None, parts.split("+")):
        if part not in PARTS:
            raise UserError(f"part {part!r}: known are {', '.join(PARTS)}")
        flat = flatten_dict(generator.params, sep="/")
        gone = [name for name in flat if re.search(PARTS[part], name)]
        if not gone:
            raise UserError(f"model {path}: has no {part}")
        flat |= {name: 0 * flat[name] for name in gone}
        generator = dataclasses.replace(generator, params=unflatten_dict(flat, sep="/"))
    return generator


_loaded = functools.cache(load_generator)


def make(generator: Generator, tracklets, number: int, steps: int) -> np.ndarray:
    """The generator's clip."""
    settings = generator.settings._replace(**({"steps": steps} if steps else {}))
    run = generator.start(tracklets, None, jax.random.key(number), settings)
    for _ in range(run.steps):
        run = run.advance()
    return run.frames()


def follow(tracker, make_frames: Callable, tracklets: Sequence[tracklet_sets.Tracklet]) -> Followed:
    """The tracker follows every object of a clip from its first frame to the end."""
    frames = make_frames()
    n, t = len(tracklets), len(frames)
    out = Followed(frames, np.full((n, t, 4), np.nan), np.full((n, t), np.nan), np.zeros((n, t), bool))
    for row, tracklet in enumerate(tracklets):
        first = _first(tracklet)
        state = tracker.init(frames[first], [dt.Box(*tracklet.boxes[first])])
        out.boxes[row, first], out.scores[row, first], out.seen[row, first] = (
            _corner_size(tracklet.boxes)[first],
            1,
            True,
        )
        for index in range(first + 1, t):
            state, prediction = tracker.step(state, frames[index])
            out.boxes[row, index] = _corner_size(prediction.box)[0]
            out.scores[row, index], out.seen[row, index] = prediction.score[0], prediction.visible[0]
    return out


def judge(followed: Followed, tracklets: Sequence[tracklet_sets.Tracklet]) -> list[Judged]:
    """Each object against its conditioning boxes."""
    kind = lambda tracklet: tracklet_clips.SHAPES.index(tracklet.category.split()[-1])
    tube = lambda boxes, there: [tuple(box) if on else None for box, on in zip(boxes.tolist(), there)]
    judged = []
    for row, tracklet in enumerate(tracklets):
        first, truth, found = _first(tracklet), _corner_size(tracklet.boxes), followed.boxes[row]
        judged.append(
            Judged(
                sot.evaluate(truth[first:], found[first:], rules=sot.RULES["got10k"]),
                ytvis.Track(kind(tracklet), tube(truth, ~np.isnan(truth).any(axis=1))),
                ytvis.Track(kind(tracklet), tube(found, followed.seen[row]), float(np.nanmean(followed.scores[row]))),
            )
        )
    return judged


def kept(path: pathlib.Path | None, compute: Callable[[], Followed]) -> Followed:
    """What a file holds, or what is computed and put there."""
    if path is not None and path.is_file():
        with np.load(path) as file:
            return Followed(**file)
    result = compute()
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, **result._asdict())
    return result


def _first(tracklet: tracklet_sets.Tracklet) -> int:
    return int(np.flatnonzero(~np.isnan(tracklet.boxes).any(axis=1))[0])


def _corner_size(boxes: np.ndarray) -> np.ndarray:
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1).astype(np.float64)


def report(judged: dict[str, list[list[Judged]]]) -> str:
    """A table. judged: by name, the objects of each set."""
    samples = np.random.default_rng(0).integers(0, len(judged["oracle"]), (2000, len(judged["oracle"])))
    first, means = next(name for name in judged if name != "oracle"), {}
    heads = ("clips", "Success", "against the first model", "norm. precision, AUC", "at 0.2", "track AP", "AP50")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, sets in judged.items():
        areas = [np.array([j.score.success.mean() for j in objects]) for objects in sets]
        sums, counts = (np.array([f(a) for a in areas]) for f in (np.sum, len))
        means[name] = sums[samples].sum(axis=1) / counts[samples].sum(axis=1)
    for name, sets in judged.items():
        single = sot.compute(sot.merge([j.score for objects in sets for j in objects]))
        tubes = [ytvis.evaluate(n, [j.truth for j in s], [j.found for j in s], "box") for n, s in enumerate(sets, 1)]
        whole = ytvis.compute(ytvis.merge(tubes))
        less = means[name] - means[first]
        apart = "" if name in ("oracle", first) else f"{less.mean():+.3f} ± {less.std():.3f}"
        area = f"{single['success']:.3f} ± {means[name].std():.3f}"
        rest = single["norm_precision_auc"], single["norm_precision"], whole["AP"], whole["AP50"]
        lines.append(f"| {' | '.join([name, area, apart, *(f'{value:.3f}' for value in rest)])} |")
    return "\n".join(lines)


def sheet(sets) -> Image.Image:
    """Clips as rows of frames with the conditioning boxes in white. sets: (tracklets, {name: frames})."""
    frames, names = sets[0][0].frames, list(sets[0][1])
    page = Image.new("RGB", (frames * (CELL + 2) + 130, len(sets) * (len(names) * (CELL + 2) + 14)), "white")
    pen = ImageDraw.Draw(page)
    for block, (tracklets, clips) in enumerate(sets):
        for row, (name, clip) in enumerate(clips.items()):
            y = block * (len(names) * (CELL + 2) + 14) + row * (CELL + 2)
            pen.text((4, y + CELL // 2), name, fill="black")
            for t, frame in enumerate(clip):
                picture = Image.fromarray(frame).resize((CELL, CELL), Image.Resampling.BICUBIC)
                edges = ImageDraw.Draw(picture)
                for tracklet in tracklets.tracklets:
                    if not np.isnan(tracklet.boxes[t]).any():
                        edges.rectangle((tracklet.boxes[t] * CELL / tracklets.width).tolist(), outline="white")
                page.paste(picture, (130 + t * (CELL + 2), y))
    return page


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--sets", type=int, default=50)
    arguments.add_argument("--steps", type=int, default=12, help="of the sampler; 0 is the model's own number")
    arguments.add_argument("--model", action="append", default=[], help="NAME=PATH[:PART[+PART]]; default mini=mini")
    arguments.add_argument("--keep", type=pathlib.Path, help="a folder for clips and boxes")
    arguments.add_argument("--sheet", type=pathlib.Path, help="a picture of the first clips")
    given = arguments.parse_args()
    compilation.use_cache()
    generators = {name: load(path) for name, path in (item.split("=", 1) for item in given.model or ["mini=mini"])}
    tracker, begun = dt.load_tracker("mini"), time.monotonic()
    judged, shown, first = {name: [] for name in ("oracle", *generators)}, [], next(iter(generators.values()))
    for number in range(given.sets):
        tracklets, real = held_out(number, first.settings.window, first.shape[0] * 4)
        counted = [t for t in tracklets.tracklets if np.isnan(t.boxes).any(axis=1).mean() <= 0.5]
        made = {"oracle": functools.partial(np.asarray, real)}
        made |= {name: functools.partial(make, g, tracklets, number, given.steps) for name, g in generators.items()}
        clips = {}
        for name, frames in made.items():
            path = given.keep and given.keep / name / f"{number:04d}.npz"
            clips[name] = kept(path, functools.partial(follow, tracker, frames, counted))
            judged[name].append(judge(clips[name], counted))
        if given.sheet and number < SHEET:
            shown.append((tracklets, {name: clip.frames for name, clip in clips.items()}))
            sheet(shown).save(given.sheet)
        print(f"{number + 1}/{given.sets}, {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    print(f"{given.sets} sets, {sum(map(len, judged['oracle']))} objects, {given.steps or 'own'} steps")
    print(report(judged))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
