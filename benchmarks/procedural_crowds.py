"""Multi-object tracking of procedural crowds under noisy detections: ours, beside SORT on the same detections.

    python benchmarks/procedural_crowds.py [--clips=4] [--frames=40] [--objects=20] [--out=crowds.json]

Up to 20 textured objects cross each other before a moving background. Detections are the boxes of what can be seen,
shaken by 6% of their size, one in five missing (in runs, as detectors fail), one false alarm a frame. Scores: HOTA,
IDF1, MOTA and identity switches, over all clips. SORT is Bewley et al. 2016 (sort.py), once with its published max_age
of 1 and once kept as long as ours.
"""

import json
import pathlib
import platform

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags
from sort import Sort
from tqdm import tqdm

from difftrack_jax.data import synthetic
from difftrack_jax.data.scene import sample_scene
from difftrack_jax.data.textures import training_bank
from difftrack_jax.detectors.base import Detections
from difftrack_jax.metrics import mot
from difftrack_jax.metrics.frames import Frame
from difftrack_jax.ops.boxes import iou
from difftrack_jax.runners import compilation
from difftrack_jax.tracking.multi_object import MultiObject, Rules
from difftrack_jax.tracking.session import load_tracker

CLIPS = flags.DEFINE_integer("clips", 4, "clips")
FRAMES = flags.DEFINE_integer("frames", 40, "frames a clip")
OBJECTS = flags.DEFINE_integer("objects", 20, "objects a clip")
SIZE = flags.DEFINE_integer("size", 320, "network pixels of the frame's longer side")
MODEL = flags.DEFINE_string("model", "mini", "bundled name or weight file")
OUT = flags.DEFINE_string("out", None, "JSON file for the results")

FRAME = (360, 480)  # height, width
SEED = 910_001


@jax.jit
def _scene(key, bank):
    scene = sample_scene(key, bank, objects=OBJECTS.value, texture_size=64)
    # Objects of a crowd: a twentieth to a seventh of the frame, layers one behind another.
    shrink = scene.motion.base.at[1:, 2].add(jnp.log(0.3))
    return scene._replace(motion=scene.motion._replace(base=shrink), present=jnp.ones_like(scene.present))


@jax.jit
def _draw(scene, times):
    clip = synthetic.render(scene, times, FRAME)
    return jnp.rint((clip.frames + 1) * 127.5).astype(jnp.uint8), clip.ids


def truth(ids, frames) -> list[dict[int, np.ndarray]]:
    """Boxes of what can be seen of every object, those of fewer than 30 pixels left out."""
    out = []
    for t in range(frames):
        boxes = {}
        for number in range(1, OBJECTS.value + 1):
            rows, columns = np.nonzero(ids[t] == number)
            if len(rows) >= 30:
                boxes[number] = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], float)
        out.append(boxes)
    return out


def detect(boxes, rng):
    """A detector's view of the truth."""
    missing, out = {}, []
    for frame in boxes:
        found, scores = [], []
        for number, box in frame.items():
            if missing.get(number, 0) > 0:
                missing[number] -= 1
                continue
            if rng.uniform() < 0.08:  # gaps of 1 to 4 frames: one detection in five or so is missing
                missing[number] = rng.integers(0, 4)
                continue
            size = np.tile(box[2:] - box[:2], 2)
            found.append(box + 0.06 * size * rng.standard_normal(4))
            scores.append(rng.uniform(0.55, 1.0))
        corner = rng.uniform(0, [FRAME[1] - 60, FRAME[0] - 60])
        found.append(np.concatenate([corner, corner + rng.uniform(20, 60, 2)]))
        scores.append(rng.uniform(0.3, 0.8))
        out.append((np.array(found), np.array(scores)))
    return out


def ours(tracker, images, detections):
    objects = MultiObject(tracker, Rules())
    crowd = objects.empty()
    for image, (boxes, scores) in zip(images, detections):
        crowd, prediction = objects.step(crowd, image, Detections(boxes, scores))
        yield dict(zip(prediction.id.tolist(), prediction.box))


def sort(max_age, detections):
    tracker = Sort(max_age=max_age)
    for boxes, scores in detections:
        yield tracker.step(boxes[scores >= 0.5])


def frames_of(found, boxes):
    """Predictions and truth as the metrics want them."""
    for got, real in zip(found, boxes):
        a, b = (np.array(list(d.values())).reshape(-1, 4) for d in (real, got))
        yield Frame(np.array(list(real)), np.array(list(got)), iou(a[:, None], b[None]))


def main(_):
    compilation.use_cache()
    bank = training_bank(77)
    tracker = load_tracker(MODEL.value, "fast", window="frame", size=SIZE.value)
    states = {"SORT": [], "SORT, max_age 30": [], "ours": []}
    for seed in tqdm(range(CLIPS.value), "clips"):
        times = jnp.asarray(1.0 + 0.012 * np.arange(FRAMES.value), jnp.float32)
        images, ids = map(np.asarray, _draw(_scene(jax.random.key(SEED + seed), bank), times))
        boxes = truth(ids, FRAMES.value)
        detections = detect(boxes, np.random.default_rng(seed))
        runs = {
            "SORT": sort(1, detections),
            "SORT, max_age 30": sort(30, detections),
            "ours": ours(tracker, images, detections),
        }
        for name, found in runs.items():
            states[name].append(mot.evaluate(list(frames_of(found, boxes))))
    rows = {name: mot.compute(mot.merge(parts)) for name, parts in states.items()}
    columns = ("HOTA", "AssA", "DetA", "IDF1", "MOTA", "IDSW")
    print("| tracker | " + " | ".join(columns) + " |\n" + "|---" * (len(columns) + 1) + "|")
    for name, row in rows.items():
        print(f"| {name} | " + " | ".join(f"{np.mean(row[c]):.3f}" for c in columns) + " |")
    if OUT.value:
        kept = {name: {c: float(np.mean(row[c])) for c in columns} for name, row in rows.items()}
        machine = {"platform": platform.platform(), "device": str(jax.devices()[0]), "jax": jax.__version__}
        pathlib.Path(OUT.value).write_text(json.dumps({"results": kept, "machine": machine}, indent=1))


if __name__ == "__main__":
    app.run(main)
