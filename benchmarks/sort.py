"""SORT (Bewley et al. 2016) as a baseline: filterpy's Kalman filter, constant velocity, Hungarian assignment by IoU."""

import numpy as np
from filterpy.kalman import KalmanFilter
from scipy.optimize import linear_sum_assignment

from difftrack_jax.ops.boxes import iou


def _measure(box):
    """Centre, area and aspect."""
    w, h = box[2:] - box[:2]
    return np.array([*(box[:2] + box[2:]) / 2, w * h, w / h])


class _Track:
    def __init__(self, number, box):
        f = KalmanFilter(dim_x=7, dim_z=4)
        f.F = np.eye(7) + np.eye(7, k=4)
        f.H = np.eye(4, 7)
        f.R[2:, 2:] *= 10.0
        f.P[4:, 4:] *= 1000.0
        f.P *= 10.0
        f.Q[-1, -1] *= 0.01
        f.Q[4:, 4:] *= 0.01
        f.x[:4, 0] = _measure(box)
        self.filter, self.number, self.hits, self.age = f, number, 1, 0

    def predict(self):
        if self.filter.x[6, 0] + self.filter.x[2, 0] <= 0:
            self.filter.x[6, 0] = 0.0
        self.filter.predict()
        self.age += 1
        return self.box()

    def update(self, box):
        self.filter.update(_measure(box)[:, None])
        self.hits, self.age = self.hits + 1, 0

    def box(self):
        x, y, area, aspect = self.filter.x[:4, 0]
        w = np.sqrt(max(area * aspect, 1e-6))
        h = max(area, 1e-6) / w
        return np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2])


class Sort:
    """max_age: frames a track outlives its last detection (published: 1); min_hits: detections before it is shown."""

    def __init__(self, max_age=1, min_hits=3, overlap=0.3):
        self.max_age, self.min_hits, self.overlap = max_age, min_hits, overlap
        self.tracks, self.frame, self.next = [], 0, 1

    def step(self, boxes) -> dict[int, np.ndarray]:
        """Boxes by id of one frame."""
        self.frame += 1
        predicted = np.array([track.predict() for track in self.tracks]).reshape(-1, 4)
        overlap = iou(predicted[:, None], np.asarray(boxes, float).reshape(-1, 4)[None])
        pairs = [(a, b) for a, b in zip(*linear_sum_assignment(-overlap)) if overlap[a, b] >= self.overlap]
        for a, b in pairs:
            self.tracks[a].update(boxes[b])
        for b in set(range(len(boxes))) - {b for _, b in pairs}:
            self.tracks.append(_Track(self.next, boxes[b]))
            self.next += 1
        self.tracks = [track for track in self.tracks if track.age <= self.max_age]
        shown = [t for t in self.tracks if t.age == 0 and (t.hits >= self.min_hits or self.frame <= self.min_hits)]
        return {track.number: track.box() for track in shown}
