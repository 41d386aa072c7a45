"""Accuracy on real clips with ground truth, beside classical peers, in one run.

    python benchmarks/real_clips.py --data=FOLDER [--model=mini] [--only=boxes,masks,points] [--out=real_clips.json]

FOLDER holds `otb/NAME/{img,groundtruth_rect.txt}`, `vot/NAME/{color,groundtruth.txt}`, `davis/...` (480p) and
`badja/joint_annotations` in their official layouts. Scores: boxes, success AUC (mean over 21 thresholds of the share of
frames with IoU above it, first frame counted); masks, mean J of the frames between the first and the last; points, the
share of visible joints within 1, 2, 4, 8 and 16 pixels at 256 x 256, mean. One preset for all clips, nothing per clip.
"""

import itertools
import json
import pathlib
import platform
import time

import cv2
import jax
import numpy as np
from absl import app, flags
from PIL import Image

from difftrack_jax.data.video import open_source
from difftrack_jax.ops.boxes import iou
from difftrack_jax.runners import compilation
from difftrack_jax.tracking.indicators import Box, Point, Segment
from difftrack_jax.tracking.session import load_tracker

DATA = flags.DEFINE_string("data", None, "folder of the clips", required=True)
MODEL = flags.DEFINE_string("model", "mini", "bundled name or weight file")
PRESET = flags.DEFINE_string("preset", "fast", "tracker preset")
CHANGES = flags.DEFINE_string("changes", "{}", "JSON of settings to change in the preset")
ONLY = flags.DEFINE_list("only", ["boxes", "masks", "points"], "parts to run")
OUT = flags.DEFINE_string("out", None, "JSON file for the results")

BOX_CLIPS = ("otb/Crossing", "otb/Couple", "otb/DragonBaby", "vot/bag")
MASK_CLIPS = ("blackswan", "dog", "horsejump-high", "kite-surf")
POINT_CLIPS = ("dog", "horsejump-high")


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
    """Frames from the first annotated one on, the annotated indices, joints [a, j, 2] and visibility [a, j]."""
    notes = json.loads((root / f"badja/joint_annotations/{name}.json").read_text())
    index = [int(pathlib.Path(note["image_path"]).stem) for note in notes]
    frames = list(open_source(str(root / "davis/JPEGImages/480p" / name)))[index[0] :]
    h, w = frames[0].shape[:2]
    joints = np.array([note["joints"] for note in notes], float)[..., ::-1] * [w / 1920, h / 1080]
    visible = np.array([note["visibility"] for note in notes]).astype(bool)
    used = np.nonzero(visible[0])[0]
    return frames, [i - index[0] for i in index], joints[:, used], visible[:, used]


def success(found, truth) -> float:
    overlap = iou(np.asarray(found, float), np.asarray(truth, float))
    return float(np.mean([(overlap > t).mean() for t in np.linspace(0, 1, 21)]))


def mean_j(found, truth) -> float:
    scores = []
    for mask, true in list(zip(found, truth))[1:-1]:
        union = (mask | true).sum()
        scores.append((mask & true).sum() / union if union else 1.0)
    return float(np.mean(scores))


def d_avg(found, index, joints, visible, size) -> float:
    hits = []
    for a in range(1, len(index)):
        error = np.linalg.norm((found[index[a]] - joints[a]) * [256 / size[1], 256 / size[0]], axis=1)[visible[a]]
        hits.append(np.stack([error < t for t in (1, 2, 4, 8, 16)], axis=-1))
    return float(np.concatenate(hits).mean())


def ours(tracker, frames, targets):
    """Predictions of every frame, and seconds a frame after the two that compile."""
    session = tracker.init(frames[0], targets)
    out = [tracker.predict(session)]
    session, prediction = tracker.step(session, frames[1])
    out.append(prediction)
    begun = time.perf_counter()
    for frame in frames[2:]:
        session, prediction = tracker.step(session, frame)
        out.append(prediction)
    return out, (time.perf_counter() - begun) / max(len(frames) - 2, 1)


def template_boxes(frames, box):
    """Best normalised correlation of the first frame's box, over the whole frame."""
    x0, y0, x1, y1 = (round(v) for v in box)
    patch = frames[0][max(y0, 0) : y1, max(x0, 0) : x1]
    found = [box]
    for frame in frames[1:]:
        _, _, _, (x, y) = cv2.minMaxLoc(cv2.matchTemplate(frame, patch, cv2.TM_CCOEFF_NORMED))
        found.append((x, y, x + patch.shape[1], y + patch.shape[0]))
    return found


def flow_masks(frames, mask):
    """The first mask warped from frame to frame by DIS optical flow."""
    flow, grey = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM), [_grey(f) for f in frames]
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]].astype(np.float32)
    found, soft = [mask], mask.astype(np.float32)
    for before, after in itertools.pairwise(grey):
        back = flow.calc(after, before, None)
        soft = cv2.remap(soft, x + back[..., 0], y + back[..., 1], cv2.INTER_LINEAR)
        found.append(soft > 0.5)
    return found


def flow_points(frames, points):
    """Pyramidal Lucas-Kanade from frame to frame."""
    grey, at = [_grey(f) for f in frames], np.asarray(points, np.float32)
    found = [at]
    for before, after in itertools.pairwise(grey):
        at = cv2.calcOpticalFlowPyrLK(before, after, at[:, None], None, winSize=(21, 21), maxLevel=3)[0][:, 0]
        found.append(at)
    return found


def _grey(frame):
    return cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)


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
    rows = {}
    for name in POINT_CLIPS:
        frames, index, joints, visible = point_clip(root, name)
        size = frames[0].shape[:2]
        out, seconds = ours(tracker, frames, [Point(*p) for p in joints[0]])
        truth = (index, joints, visible, size)
        rows[name] = {
            "static": d_avg([joints[0]] * len(frames), *truth),
            "Lucas-Kanade": d_avg(flow_points(frames, joints[0]), *truth),
            "ours": d_avg([p.point for p in out], *truth),
            "seconds": seconds,
        }
    return rows


PARTS = {
    "boxes": ("success AUC", run_boxes),
    "masks": ("mean J", run_masks),
    "points": ("d_avg", run_points),
}


def table(part: str, metric: str, rows: dict) -> str:
    """Markdown: one line a clip, then the mean."""
    names = list(next(iter(rows.values())))
    mean = {name: float(np.mean([row[name] for row in rows.values()])) for name in names}
    lines = [f"| {part}, {metric} | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for clip, row in {**rows, "**mean**": mean}.items():
        lines.append(f"| {clip} | {' | '.join(f'{row[name]:.3f}' for name in names)} |")
    return "\n".join(lines)


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
