"""Accuracy on procedural clips that no training has drawn: where presets are chosen, and read-outs compared.

    python benchmarks/procedural_clips.py [--clips=12] [--frames=24] [--changes='{"size": 160}'] [--out=procedural.json]

Every clip follows one object as a box, as a segment, and by four points on it. The scenes come from seeds of their own,
move from half to twice the pace of `synthetic:SEED`, and are seen through a shaking, noisy camera. Scores and peers
are those of scoring.py; a box is scored over the frames in which its object can be seen.
"""

import json
import pathlib
import platform
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags
from scipy import ndimage
from scoring import d_avg, flow_masks, flow_points, mean_j, ours, success, table, template_boxes
from tqdm import tqdm

from difftrack_jax.data import synthetic
from difftrack_jax.data.scene import sample_scene
from difftrack_jax.data.textures import training_bank
from difftrack_jax.runners import compilation
from difftrack_jax.tracking.indicators import Box, Point, Segment
from difftrack_jax.tracking.session import load_tracker

CLIPS = flags.DEFINE_integer("clips", 12, "clips")
FRAMES = flags.DEFINE_integer("frames", 24, "frames a clip")
MODEL = flags.DEFINE_string("model", "mini", "bundled name or weight file")
PRESET = flags.DEFINE_string("preset", "fast", "tracker preset")
CHANGES = flags.DEFINE_string("changes", "{}", "JSON of settings to change in the preset")
ONLY = flags.DEFINE_list("only", ["boxes", "masks", "points"], "parts to run")
OUT = flags.DEFINE_string("out", None, "JSON file for the results")

SIZE = (240, 320)
SEED = 900_001  # training folds its seeds from 0 and 1
BANK_SEED = 77


class Clip(NamedTuple):
    frames: np.ndarray
    masks: np.ndarray
    boxes: np.ndarray
    visible: np.ndarray
    points: np.ndarray
    point_visible: np.ndarray


@jax.jit
def _draw(key, bank, times):
    """Scene, frames as the camera sees them, and the truth of all objects."""
    k_scene, k_lens = jax.random.split(key)
    scene = sample_scene(k_scene, bank, objects=4, texture_size=256)
    clip = synthetic.render(scene, times, SIZE)
    # Half of the lens's changes from frame to frame: neighbours of a video are alike.
    frames = (clip.frames + synthetic.lens(k_lens, clip.frames)) / 2
    frames = jnp.rint((frames + 1) * 127.5).astype(jnp.uint8)
    return scene, clip, frames, synthetic.ground_truth(scene, clip, times, jnp.zeros((1, 2)))


_truth = jax.jit(synthetic.ground_truth)


def make_clip(seed: int, bank, frames: int) -> Clip | None:
    """One clip and its object, or None where no object is of a fair size and mostly in sight."""
    rng = np.random.default_rng(seed)
    times = jnp.asarray(1.0 + 0.014 * 2.0 ** rng.uniform(-1, 1) * np.arange(frames), jnp.float32)
    scene, drawn, images, truth = _draw(jax.random.key(SEED + seed), bank, times)
    masks, visible = np.asarray(truth.masks), np.asarray(truth.visible)
    share = masks[:, 0].mean((-2, -1))
    good = np.nonzero((share > 0.01) & (share < 0.25) & (visible.mean(1) > 0.7) & visible[:, 0])[0]
    if not len(good):
        return None
    target = int(rng.choice(good))
    inside = np.argwhere(ndimage.binary_erosion(masks[target, 0], iterations=2))
    if len(inside) < 4:
        return None
    points = inside[rng.choice(len(inside), 4, replace=False)][:, ::-1] + 0.5
    tracks = _truth(scene, drawn, times, jnp.asarray(points, jnp.float32))
    return Clip(
        np.asarray(images),
        masks[target],
        np.asarray(truth.boxes)[target],
        visible[target],
        np.swapaxes(np.asarray(tracks.points), 0, 1),
        np.asarray(tracks.point_visible).T,
    )


def boxes(clip, tracker):
    first, seen = clip.boxes[0], clip.visible
    out, seconds = ours(tracker, clip.frames, [Box(*map(float, first))])
    score = lambda found: success(np.asarray(found, float)[seen], clip.boxes[seen])
    template = score(template_boxes(clip.frames, first))
    return {
        "static": score([first] * len(seen)),
        "template": template,
        "ours": score(np.stack([p.box[0] for p in out])),
        "seconds": seconds,
    }


def masks(clip, tracker):
    first = clip.masks[0]
    out, seconds = ours(tracker, clip.frames, [Segment(first)])
    found = [np.zeros_like(first) if p.segment[0] is None else p.segment[0] for p in out]
    score = lambda found: mean_j(found, clip.masks)
    return {
        "static": score([first] * len(out)),
        "DIS flow": score(flow_masks(clip.frames, first)),
        "ours": score(found),
        "seconds": seconds,
    }


def points(clip, tracker):
    out, seconds = ours(tracker, clip.frames, [Point(*map(float, p)) for p in clip.points[0]])
    truth = range(len(out)), clip.points, clip.point_visible, SIZE
    return {
        "static": d_avg([clip.points[0]] * len(out), *truth),
        "Lucas-Kanade": d_avg(flow_points(clip.frames, clip.points[0]), *truth),
        "ours": d_avg([p.point for p in out], *truth),
        "seconds": seconds,
    }


PARTS = {"boxes": ("success AUC", boxes), "masks": ("mean J", masks), "points": ("d_avg", points)}


def main(_):
    compilation.use_cache()
    bank = training_bank(BANK_SEED)
    made = (make_clip(seed, bank, FRAMES.value) for seed in range(4 * CLIPS.value))
    clips = [clip for clip in made if clip is not None][: CLIPS.value]
    tracker = load_tracker(MODEL.value, PRESET.value, **json.loads(CHANGES.value))
    results = {}
    for part in ONLY.value:
        metric, run = PARTS[part]
        results[part] = {f"{i:02d}": run(clip, tracker) for i, clip in enumerate(tqdm(clips, part))}
        print(table(part, metric, results[part]) + "\n", flush=True)
    if OUT.value:
        machine = {"platform": platform.platform(), "device": str(jax.devices()[0]), "jax": jax.__version__}
        settings = {"model": MODEL.value, "preset": PRESET.value, "changes": CHANGES.value}
        pathlib.Path(OUT.value).write_text(json.dumps({"results": results, **settings, "machine": machine}, indent=1))


if __name__ == "__main__":
    app.run(main)
