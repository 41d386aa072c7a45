"""Accuracy on procedural clips that no training has drawn: where presets are chosen, and read-outs compared.

    python benchmarks/procedural_clips.py [--clips=12] [--frames=24] [--changes='{"size": 160}'] [--out=procedural.json]

Every clip (data/procedural_clips.py) follows one object as a box, as a segment, by four points on it, and by the same
points as the joints of one pose (phrases: procedural_phrases.py). Scores and peers are those of scoring.py; a box is
scored over the frames in which its object can be seen. `--only=hidden` follows points that other things hide for a
sixth to four fifths of the frames, on clips of their own, and is where visibility was calibrated.
"""

import json
import pathlib
import platform

import jax
import numpy as np
from absl import app, flags
from scoring import d_avg, flow_masks, flow_points, mean_j, ours, sight, success, table, template_boxes
from tqdm import tqdm

from difftrack_jax.data import procedural_clips
from difftrack_jax.runners import compilation
from difftrack_jax.tracking.indicators import Box, Point, Pose, Segment
from difftrack_jax.tracking.session import load_tracker

CLIPS = flags.DEFINE_integer("clips", 12, "clips")
FRAMES = flags.DEFINE_integer("frames", 24, "frames a clip")
MODEL = flags.DEFINE_string("model", "mini", "bundled name or weight file")
PRESET = flags.DEFINE_string("preset", "fast", "tracker preset")
CHANGES = flags.DEFINE_string("changes", "{}", "JSON of settings to change in the preset")
ONLY = flags.DEFINE_list("only", ["boxes", "masks", "points", "poses"], "parts to run; also: hidden")
OUT = flags.DEFINE_string("out", None, "JSON file for the results")


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
    found, called = [p.point for p in out], [p.visible for p in out]
    truth = range(len(out)), clip.points, clip.point_visible, procedural_clips.SIZE
    return {**_paths(clip, found, seconds), **sight(found, called, *truth)}


def poses(clip, tracker):
    joints = np.concatenate([clip.points[0], np.ones((len(clip.points[0]), 1))], axis=1)
    out, seconds = ours(tracker, clip.frames, [Pose(joints.astype(np.float32))])
    return _paths(clip, [p.pose[0][:, :2] for p in out], seconds)


def _paths(clip, found, seconds):
    truth = range(len(found)), clip.points, clip.point_visible, procedural_clips.SIZE
    return {
        "static": d_avg([clip.points[0]] * len(found), *truth),
        "Lucas-Kanade": d_avg(flow_points(clip.frames, clip.points[0]), *truth),
        "ours": d_avg(found, *truth),
        "seconds": seconds,
    }


PARTS = {
    "boxes": ("success AUC", boxes),
    "masks": ("mean J", masks),
    "points": ("d_avg", points),
    "poses": ("d_avg", poses),
    "hidden": ("d_avg", points),
}


def main(_):
    compilation.use_cache()
    tracker = load_tracker(MODEL.value, PRESET.value, **json.loads(CHANGES.value))
    results = {}
    for part in ONLY.value:
        metric, run = PARTS[part]
        draw = procedural_clips.hidden_clips if part == "hidden" else procedural_clips.clips
        clips = list(draw(CLIPS.value, FRAMES.value))
        results[part] = {f"{i:02d}": run(clip, tracker) for i, clip in enumerate(tqdm(clips, part))}
        print(table(part, metric, results[part]) + "\n", flush=True)
    if OUT.value:
        machine = {"platform": platform.platform(), "device": str(jax.devices()[0]), "jax": jax.__version__}
        settings = {"model": MODEL.value, "preset": PRESET.value, "changes": CHANGES.value}
        pathlib.Path(OUT.value).write_text(json.dumps({"results": results, **settings, "machine": machine}, indent=1))


if __name__ == "__main__":
    app.run(main)
