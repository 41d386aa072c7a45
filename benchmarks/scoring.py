"""What the accuracy benchmarks share: scores, our tracker over a clip, classical peers, and the table.

success AUC: mean over 21 thresholds of the share of frames with IoU above it, first frame counted. mean J: IoU of masks
over the frames between the first and the last. d_avg: share of visible points within 1, 2, 4, 8 and 16 pixels at
256 x 256, mean. AJ: TAP-Vid's Jaccard, to which a point called visible that is hidden or too far is an error. OA: share
of moments in which visible and hidden are told right. PCK: share within 0.2 sqrt(area of the animal), BADJA's measure.
Peers: the target that never moves (static), normalised correlation with the first frame's box (template), DIS optical
flow for masks and pyramidal Lucas-Kanade for points, both from frame to frame.
"""

import itertools
import time

import cv2
import numpy as np

from difftrack_jax.metrics import tapvid
from difftrack_jax.ops.boxes import iou


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
    """found [t][p, 2] at the annotated frames `index`; joints [a, p, 2] and visible [a, p] there; size (h, w)."""
    hits = []
    for a in range(1, len(index)):
        error = np.linalg.norm((found[index[a]] - joints[a]) * [256 / size[1], 256 / size[0]], axis=1)[visible[a]]
        hits.append(np.stack([error < t for t in (1, 2, 4, 8, 16)], axis=-1))
    return float(np.concatenate(hits).mean())


def sight(found, called, index, points, visible, size) -> dict[str, float]:
    """The same, and which points were called visible [t][p]: AJ, OA, and how often seen and hidden ones are told."""
    by_point = lambda rows: np.swapaxes(np.asarray(rows), 0, 1)
    called = by_point([called[i] for i in index])
    seen, raster = by_point(visible).astype(bool), np.array([256 / size[1], 256 / size[0]])
    tracks = by_point([found[i] for i in index]) * raster
    queries = np.zeros((len(seen), 3))
    scores = tapvid.compute(tapvid.evaluate(queries, ~seen, by_point(points) * raster, ~called, tracks, "first"))
    called, seen = called[:, 1:], seen[:, 1:]
    share = lambda right: float(right.mean()) if right.size else float("nan")
    return {
        "AJ": scores["average_jaccard"],
        "OA": scores["occlusion_accuracy"],
        "seen called visible": share(called[seen]),
        "hidden called hidden": share(~called[~seen]),
    }


def pck(found, index, joints, visible, area) -> float:
    """The same, and area [a], in pixels, of what the points are on."""
    hits = []
    for a in range(1, len(index)):
        hits.append(np.linalg.norm(found[index[a]] - joints[a], axis=1)[visible[a]] < 0.2 * area[a] ** 0.5)
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


def table(part: str, metric: str, rows: dict) -> str:
    """Markdown: one line a clip, then the mean."""
    names = list(next(iter(rows.values())))
    mean = {name: float(np.nanmean([row[name] for row in rows.values()])) for name in names}
    lines = [f"| {part}, {metric} | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for clip, row in {**rows, "**mean**": mean}.items():
        lines.append(f"| {clip} | {' | '.join(f'{row[name]:.3f}' for name in names)} |")
    return "\n".join(lines)
