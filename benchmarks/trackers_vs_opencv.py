"""Our tracker against OpenCV's on one procedural clip: accuracy, and frames a second of CPU.

    python benchmarks/trackers_vs_opencv.py [--frames=40] [--seed=5] [--out=benchmarks/results/trackers_vs_opencv]

Boxes: CSRT where this OpenCV has it (opencv-contrib), MIL, template matching; success AUC. Points: pyramidal
Lucas-Kanade; share within 1, 2, 4, 8 and 16 pixels at 256 x 256, mean, of points that can be seen. One core for all.
One clip shows cost, and says little about accuracy: for that see procedural_clips.py and real_clips.py.
"""

# ruff: noqa: E402, a process keeps the number of cores that it had when its libraries were imported
import time

import report

report.one_core()

import cv2
import numpy as np
from absl import app, flags
from scoring import d_avg, flow_points, success, template_boxes

from difftrack_jax import Box, Point, load_tracker
from difftrack_jax.data import demo
from difftrack_jax.runners import compilation

FRAMES = flags.DEFINE_integer("frames", 40, "length of the clip")
SEED = flags.DEFINE_integer("seed", 5, "which clip")
OUT = flags.DEFINE_string("out", "benchmarks/results/trackers_vs_opencv", "OUT.json, OUT.md, OUT.png")


def main(_):
    compilation.use_cache()
    clip = demo.demo_clip(f"synthetic:{SEED.value}:{FRAMES.value}")
    frames = list(clip.source)
    box = next(target["args"] for target in clip.targets if target["kind"] == "box")
    rng = np.random.default_rng(0)
    points = np.stack([rng.uniform(box[0] + 8, box[2] - 8, 4), rng.uniform(box[1] + 8, box[3] - 8, 4)], 1)
    truth = clip.truth(range(len(frames)), points.tolist())
    rows = boxes(frames, box, truth) + dots(frames, points, truth)
    head = ("what", "score", "frames a cpu second")
    figure = report.bars(rows, ("frames a cpu second",), "what", "frames a second of CPU")
    report.write(OUT.value, rows, report.table(head, [[row[name] for name in head] for row in rows]), figure)


def ours(frames, targets):
    """Predictions, and CPU seconds a frame after the first step, which compiles."""
    tracker = load_tracker("mini")
    session = tracker.init(frames[0], targets)
    found = [tracker.predict(session)]
    for frame in frames[1:]:
        begun = time.process_time() if len(found) == 2 else begun if len(found) > 2 else 0.0
        session, prediction = tracker.step(session, frame)
        found.append(prediction)
    return found, (time.process_time() - begun) / (len(frames) - 2)


def boxes(frames, box, truth):
    seen = np.asarray(truth.boxes)[best(truth, box)]
    kinds = {name: getattr(cv2, f"Tracker{name}_create", None) for name in ("CSRT", "MIL")}
    rows = []
    for name, make in kinds.items():
        if make is None:
            print(f"this OpenCV has no {name} (opencv-contrib has it)")
            continue
        rows.append(timed(f"box: OpenCV {name}", lambda make=make: opencv(make(), frames, box), frames, seen))
    rows.append(timed("box: template matching", lambda: template_boxes(frames, box), frames, seen))
    found, cost = ours(frames, [Box(*box)])
    return [*rows, row("box: ours", success([p.box[0] for p in found], seen), cost)]


def best(truth, box):
    """The object that the box is of."""
    first = np.asarray(truth.boxes)[:, 0]
    return int(np.abs(first - np.asarray(box)).sum(1).argmin())


def timed(name, run, frames, seen):
    begun = time.process_time()
    found = run()
    return row(name, success(found, seen), (time.process_time() - begun) / (len(frames) - 1))


def opencv(tracker, frames, box):
    x0, y0, x1, y1 = (round(float(v)) for v in box)
    tracker.init(frames[0][..., ::-1].copy(), (x0, y0, x1 - x0, y1 - y0))
    found = [(x0, y0, x1, y1)]
    for frame in frames[1:]:
        ok, (x, y, w, h) = tracker.update(frame[..., ::-1].copy())
        found.append((x, y, x + w, y + h) if ok else found[-1])
    return found


def dots(frames, points, truth):
    paths, visible = (np.asarray(value).swapaxes(0, 1) for value in (truth.points, truth.point_visible))
    index, size = range(len(frames)), frames[0].shape[:2]
    score = lambda found: d_avg(found, index, paths, visible, size)
    begun = time.process_time()
    found = flow_points(frames, points)
    rows = [row("4 points: Lucas-Kanade", score(found), (time.process_time() - begun) / (len(frames) - 1))]
    found, cost = ours(frames, [Point(*point) for point in points])
    return [*rows, row("4 points: ours", score([p.point for p in found]), cost)]


def row(name, score, cost):
    return {"what": name, "score": score, "frames a cpu second": 1 / max(cost, 1e-9)}


if __name__ == "__main__":
    app.run(main)
