"""Phrases that find their object in the first frame: 200 that training has not seen, beside trivial answers.

    python benchmarks/procedural_phrases.py [--phrases=200] [--out=phrases.json]

Each phrase is about a frame of its own (data/referring_examples.py) and means one of its one to five objects. "new":
phrases of a colour and a shape that no training scene has together; "any": all kinds of phrases, in new scenes. Found
is a box with IoU above .5 where a tracker would begin, a refusal counts as a miss. Trivial answers get the true
boxes of all objects as a gift: the largest one, or any one (its expected share). "refused": phrases that fit nothing
and are said to. "motion": phrases that two objects fit but for how they move (data/moving_examples.py), with the
frames that show it and without, and phrases of motion that neither fits.
"""

import dataclasses
import itertools
import json
import pathlib
import platform

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags, logging
from tqdm import tqdm

from difftrack_jax.backbones import load_backbone
from difftrack_jax.data import moving_examples, phrases
from difftrack_jax.data.referring_examples import examples
from difftrack_jax.errors import UserError
from difftrack_jax.ops.boxes import iou
from difftrack_jax.runners import compilation
from difftrack_jax.tracking.indicators import Text
from difftrack_jax.tracking.phrases import Finder
from difftrack_jax.tracking.session import load_tracker

PHRASES = flags.DEFINE_integer("phrases", 200, "phrases of each sort")
SEED = flags.DEFINE_integer("seed", 0, "of the scenes and phrases")
MODEL = flags.DEFINE_string("model", "mini", "a tracker that was taught to read phrases")
ONLY = flags.DEFINE_list("only", ["words", "motion"], "parts to run")
OUT = flags.DEFINE_string("out", None, "JSON file for the results")

COLUMNS = ("found", "largest", "random", "refused")
KINDS = ("colour", "shape", "texture", "size", "place", "extreme")
SIZES = ((144, 192), (192, 144), (160, 160))


def answer(finder, example):
    """IoU of the answer, or None where the phrase is refused."""
    try:
        ((box,),), _ = finder.find(jnp.asarray(example.frame, jnp.float32) / 127.5 - 1, [example.phrase])
    except UserError:
        return None
    return float(iou(np.array(dataclasses.astuple(box)), example.box.astype(float)))


def trivial(example):
    area = np.prod(example.boxes[:, 2:] - example.boxes[:, :2], axis=-1)
    overlap = iou(example.boxes, np.broadcast_to(example.box, example.boxes.shape))
    return {"largest": overlap[np.argmax(area)] > 0.5, "random": np.mean(overlap > 0.5)}


def kinds_of(example):
    said = [c for c in example.concepts if c >= 0]
    return [kind for kind in KINDS if any(phrases.place(kind).start <= c < phrases.place(kind).stop for c in said)]


def motion(count):
    """Share found with frames ahead, without (then words of motion are left out), and refused where none fits."""
    tracker = load_tracker(MODEL.value)

    def found(example, ahead):
        try:
            box = tracker.predict(tracker.init(example.frames[0], [Text(example.phrase)], ahead)).box[0]
        except UserError:
            return None
        return iou(box.astype(float), example.box.astype(float)) > 0.5

    def take(nobody):
        sources = [moving_examples.examples(SEED.value + i, size, nobody=nobody) for i, size in enumerate(SIZES)]
        return tqdm(itertools.islice(itertools.chain.from_iterable(zip(*sources)), count), "motion")

    logging.set_verbosity(logging.ERROR)  # one warning a phrase without frames
    pairs = [(found(one, list(one.frames[1:])), found(one, ())) for one in take(False)]
    none = [found(one, list(one.frames[1:])) is None for one in take(True)]
    ours, blind = zip(*pairs)
    share = lambda hits: float(np.mean([bool(hit) for hit in hits]))
    return {
        "found": share(ours), "without motion": share(blind), "refused": share(hit is None for hit in ours),
        "refused, none fits": share(none), "phrases": count,
    }  # fmt: skip


def measure(finder, which):
    rows = []
    sources = [examples(SEED.value + i, size, which) for i, size in enumerate(SIZES)]
    for example in tqdm(itertools.islice(itertools.chain.from_iterable(zip(*sources)), PHRASES.value), which):
        overlap = answer(finder, example)
        rows.append({"found": (overlap or 0) > 0.5, "refused": overlap is None, **trivial(example)})
        rows[-1]["kinds"], rows[-1]["words"] = kinds_of(example), example.phrase
    return rows


def words(finder):
    results = {}
    print("| phrases | found | largest object | random object | refused |\n|---|---|---|---|---|")
    for which in ("new", "any", "nobody"):
        rows = measure(finder, which)
        parts = {which: rows}
        if which == "any":
            parts |= {f"any, naming {kind}": [row for row in rows if kind in row["kinds"]] for kind in KINDS}
        for name, part in parts.items():
            mean = {key: float(np.mean([row[key] for row in part])) for key in COLUMNS}
            results[name] = {**mean, "phrases": len(part)}
            blank = which == "nobody"
            cells = [" " if blank and key != "refused" else f"{value:.3f}" for key, value in mean.items()]
            print(f"| {name} ({len(part)}) | " + " | ".join(cells) + " |")
    return results


def main(_):
    compilation.use_cache()
    results = {}
    if "words" in ONLY.value:
        results |= words(Finder(load_backbone(MODEL.value).words, limit=1))
    if "motion" in ONLY.value:
        results["motion"] = motion(PHRASES.value)
        print("motion: " + ", ".join(f"{name} {value:.3f}" for name, value in results["motion"].items()))
    if OUT.value:
        machine = {"platform": platform.platform(), "device": str(jax.devices()[0]), "jax": jax.__version__}
        pathlib.Path(OUT.value).write_text(json.dumps({"results": results, "machine": machine}, indent=1))


if __name__ == "__main__":
    app.run(main)
