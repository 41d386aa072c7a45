"""Accuracy on real clips with ground truth, beside classical peers, in one run.

    python benchmarks/real_clips.py --data=FOLDER [--model=mini] [--only=boxes,masks,points] [--out=real_clips.json]

FOLDER holds `otb/NAME/{img,groundtruth_rect.txt}`, `vot/NAME/{color,groundtruth.txt}`, `davis/...` (480p) and
`badja/{joint_annotations,bear.mp4}` in their official layouts. Scores and peers are those of scoring.py. One preset
for all clips, nothing per clip. `--only=poses` follows the joints of `points` again, as one pose in one window: coarser
cells unless `--changes='{"size": 320}'`, and a fraction of the time.
"""

import json
import pathlib
import platform

import jax
import numpy as np
from absl import app, flags
from PIL import Image
from scipy.spatial import ConvexHull
from scoring import d_avg, flow_masks, flow_points, mean_j, ours, pck, sight, success, table, template_boxes

from difftrack_jax.data.video import open_source
from difftrack_jax.runners import compilation
from difftrack_jax.tracking.indicators import Box, Point, Pose, Segment
from difftrack_jax.tracking.session import load_tracker

DATA = flags.DEFINE_string("data", None, "folder of the clips", required=True)
MODEL = flags.DEFINE_string("model", "mini", "bundled name or weight file")
PRESET = flags.DEFINE_string("preset", "fast", "tracker preset")
CHANGES = flags.DEFINE_string("changes", "{}", "JSON of settings to change in the preset")
ONLY = flags.DEFINE_list("only", ["boxes", "masks", "points"], "parts to run; also: poses")
OUT = flags.DEFINE_string("out", None, "JSON file for the results")

BOX_CLIPS = ("otb/Crossing", "otb/Couple", "otb/DragonBaby", "vot/bag")
MASK_CLIPS = ("blackswan", "dog", "horsejump-high", "kite-surf")
POINT_CLIPS = ("dog", "horsejump-high", "bear")


def box_clip(root: pathlib.Path, name: str):
    """Frames, and ground truth as 0-based x0, y0, x1, y1 [t, 4]."""
    folder = root / name
    if name.startswith("vot"):
        corners = np.loadtxt(folder / "groundtruth.txt", delimiter=",").reshape(-1, 4, 2) - 1
        boxes = np.concatenate([corners.min(1), corners.max(1)], axis=1)
        frames = list(open_source(str(folder / "color")))
    else:
        text = (folder / "groundtruth_rect.txt").read_text().replace(",", " ").split()
        rows = np.array(text, np.float64).reshape(-1, 4)
        boxes = np.concatenate([rows[:, :2] - 1, rows[:, :2] - 1 + rows[:, 2:]], axis=1)
        frames = list(open_source(str(folder / "img")))
    n = min(len(frames), len(boxes))
    return frames[:n], boxes[:n]


def mask_clip(root: pathlib.Path, name: str):
    """Frames and boolean masks [t, h, w] of the foreground."""
    frames = list(open_source(str(root / "davis/JPEGImages/480p" / name)))
    paths = sorted((root / "davis/Annotations_2016/480p" / name).glob("*.png"))
    masks = [np.asarray(Image.open(path)) for path in paths]
    return frames, [m.reshape(*m.shape[:2], -1).any(-1) for m in masks]


def point_clip(root: pathlib.Path, name: str):
    """Frames from the first annotated one on, the annotated indices, joints [a, j, 2], visibility [a, j], area [a].

    The area is that of DAVIS's mask; for a film without masks, that of the hull of the joints in sight: a smaller one.
    """
    notes = json.loads((root / f"badja/joint_annotations/{name}.json").read_text())
    index = [int(pathlib.Path(note["image_path"]).stem) for note in notes]
    images, film = root / "davis/JPEGImages/480p" / name, root / f"badja/{name}.mp4"
    frames = list(open_source(str(film if film.exists() else images)))[index[0] :]
    h, w = frames[0].shape[:2]
    joints = np.array([note["joints"] for note in notes], float)[..., ::-1] * [w / 1920, h / 1080]
    visible = np.array([note["visibility"] for note in notes]).astype(bool)
    if film.exists():
        area = [ConvexHull(at[seen]).volume for at, seen in zip(joints, visible)]
    else:
        masks = mask_clip(root, name)[1]
        area = [masks[i].sum() for i in index]
    used = np.nonzero(visible[0])[0]
    return frames, [i - index[0] for i in index], joints[:, used], visible[:, used], area


def run_boxes(root, tracker):
    rows = {}
    for name in BOX_CLIPS:
        frames, truth = box_clip(root, name)
        out, seconds = ours(tracker, frames, [Box(*truth[0])])
        rows[name] = {
            "static": success([truth[0]] * len(truth), truth),
            "template": success(template_boxes(frames, truth[0]), truth),
            "ours": success(np.stack([p.box[0] for p in out]), truth),
            "seconds": seconds,
        }
    return rows


def run_masks(root, tracker):
    rows = {}
    for name in MASK_CLIPS:
        frames, truth = mask_clip(root, name)
        out, seconds = ours(tracker, frames, [Segment(truth[0])])
        empty = np.zeros_like(truth[0])
        found = [empty if p.segment[0] is None else p.segment[0] for p in out]
        rows[name] = {
            "static": mean_j([truth[0]] * len(truth), truth),
            "DIS flow": mean_j(flow_masks(frames, truth[0]), truth),
            "ours": mean_j(found, truth),
            "seconds": seconds,
        }
    return rows


def run_points(root, tracker):
    return _run_joints(root, tracker, lambda joints: [Point(*p) for p in joints], lambda p: (p.point, p.visible))


def run_poses(root, tracker):
    whole = lambda joints: [Pose(np.concatenate([joints, np.ones((len(joints), 1))], axis=1).astype(np.float32))]
    return _run_joints(root, tracker, whole, lambda p: (p.pose[0][:, :2], p.pose[0][:, 2] > 0))


def _run_joints(root, tracker, targets, read):
    """BADJA's joints as `targets` makes targets of them [j, 2]; `read` finds places and visibility in a prediction."""
    rows = {}
    for name in POINT_CLIPS:
        frames, index, joints, visible, area = point_clip(root, name)
        size = frames[0].shape[:2]
        out, seconds = ours(tracker, frames, targets(joints[0]))
        found, called = zip(*map(read, out))
        paths = {
            "static": [joints[0]] * len(frames),
            "Lucas-Kanade": flow_points(frames, joints[0]),
            "ours": found,
        }
        truth = (index, joints, visible)
        rows[name] = {who: d_avg(path, *truth, size) for who, path in paths.items()}
        rows[name] |= {f"{who}, PCK": pck(path, *truth, area) for who, path in paths.items()}
        rows[name] |= sight(found, called, *truth, size)
        rows[name]["seconds"] = seconds
    return rows


PARTS = {
    "boxes": ("success AUC", run_boxes),
    "masks": ("mean J", run_masks),
    "points": ("d_avg", run_points),
    "poses": ("d_avg", run_poses),
}


def main(_):
    compilation.use_cache()
    tracker = load_tracker(MODEL.value, PRESET.value, **json.loads(CHANGES.value))
    results = {}
    for part in ONLY.value:
        metric, run = PARTS[part]
        results[part] = run(pathlib.Path(DATA.value), tracker)
        print(table(part, metric, results[part]) + "\n", flush=True)
    if OUT.value:
        machine = {"platform": platform.platform(), "device": str(jax.devices()[0]), "jax": jax.__version__}
        settings = {"model": MODEL.value, "preset": PRESET.value, "changes": CHANGES.value}
        pathlib.Path(OUT.value).write_text(json.dumps({"results": results, **settings, "machine": machine}, indent=1))


if __name__ == "__main__":
    app.run(main)
