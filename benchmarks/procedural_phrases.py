"""Phrases that find their object in the first frame: 200 that training has not seen, beside trivial answers.

    python benchmarks/procedural_phrases.py [--phrases=200] [--out=phrases.json]

Each phrase is about a frame of its own (data/referring_examples.py) and means one of its one to five objects. "new":
phrases of a colour and a shape that no training scene has together; "any": all kinds of phrases, in new scenes. Found
is a box with IoU above .5 where a tracker would begin, a refusal counts as a miss. Trivial answers get the true
boxes of all objects as a gift: the largest one, or any one (its expected share). "refused": phrases that fit nothing
and are said to.
"""

import dataclasses
import itertools
import json
import pathlib
import platform

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags
from tqdm import tqdm

from difftrack_jax.backbones import load_backbone
from difftrack_jax.data import phrases
from difftrack_jax.data.referring_examples import examples
from difftrack_jax.errors import UserError
from difftrack_jax.ops.boxes import iou
from difftrack_jax.runners import compilation
from difftrack_jax.tracking.phrases import Finder

PHRASES = flags.DEFINE_integer("phrases", 200, "phrases of each sort")
SEED = flags.DEFINE_integer("seed", 0, "of the scenes and phrases")
MODEL = flags.DEFINE_string("model", "mini", "a tracker that was taught to read phrases")
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


def measure(finder, which):
    rows = []
    sources = [examples(SEED.value + i, size, which) for i, size in enumerate(SIZES)]
    for example in tqdm(itertools.islice(itertools.chain.from_iterable(zip(*sources)), PHRASES.value), which):
        overlap = answer(finder, example)
        rows.append({"found": (overlap or 0) > 0.5, "refused": overlap is None, **trivial(example)})
        rows[-1]["kinds"], rows[-1]["words"] = kinds_of(example), example.phrase
    return rows


def main(_):
    compilation.use_cache()
    finder = Finder(load_backbone(MODEL.value).words, limit=1)
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
    if OUT.value:
        machine = {"platform": platform.platform(), "device": str(jax.devices()[0]), "jax": jax.__version__}
        pathlib.Path(OUT.value).write_text(json.dumps({"results": results, "machine": machine}, indent=1))


if __name__ == "__main__":
    app.run(main)
