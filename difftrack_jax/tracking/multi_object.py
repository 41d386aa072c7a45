"""Many objects from a detector, online: matched, born, kept through gaps, and let go.

    every frame   1  all targets are followed by the diffusion tracker, from what they looked like before
                  2  sure detections are assigned to targets by overlap, all at once (Hungarian)
                  3  doubtful detections are assigned to targets that are left (ByteTrack's second chance)
                  4  a matched target takes over part of its detection's box; any other goes where the tracker sees it
                  5  sure detections that overlap no target are born, and shown from their second frame on

    objects = MultiObject(load_tracker("mini", window="frame", size=512))
    crowd = objects.empty()
    crowd, tracks = objects.step(crowd, frame, boxes, scores)

A target without a detection is shown as long as the tracker sees it, for at most `coast` frames; it is remembered for
`forget` frames, drifts with the median motion of the others meanwhile, and keeps its id when it is found again.
"""

import dataclasses
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from difftrack_jax.errors import UserError
from difftrack_jax.ops.boxes import iou
from difftrack_jax.tracking.indicators import Box
from difftrack_jax.tracking.session import Session, Tracker
from difftrack_jax.typing import Bool, Float, HostFrame, Int


@dataclasses.dataclass(frozen=True)
class Rules:
    """When a detection counts, and when a target begins and ends; scores are the detector's own."""

    sure: float = 0.5  # least score of a detection that may begin a target
    doubtful: float = 0.1  # and of one that may confirm a target
    overlap: float = 0.3  # least IoU of a match
    doubtful_overlap: float = 0.5
    trust: float = 0.7  # share of a matched detection in the target's new box
    confirm: int = 2  # detections before a target is shown; those of the first frame are shown at once
    coast: int = 10  # frames that a target is shown without a detection, where the tracker sees it
    forget: int = 30  # frames without a detection after which it is let go


class Crowd(NamedTuple):
    """Targets between frames, one row each: ids of the session, detections so far, frames since the last, boxes."""

    session: Session | None
    index: int
    id: Int[np.ndarray, "n"]
    hits: Int[np.ndarray, "n"]
    misses: Int[np.ndarray, "n"]
    box: Float[np.ndarray, "n 4"]


class Tracks(NamedTuple):
    """What is shown in one frame."""

    id: Int[np.ndarray, "n"]
    box: Float[np.ndarray, "n 4"]
    score: Float[np.ndarray, "n"]


class MultiObject:
    """A tracker with rules of birth and death. `window="frame"` follows all targets in one pass."""

    def __init__(self, tracker: Tracker, rules: Rules = Rules()):
        self.tracker, self.rules = tracker, rules

    def empty(self) -> Crowd:
        """Before the first frame."""
        none = np.zeros(0, np.int64)
        return Crowd(None, 0, none, none, none, np.zeros((0, 4)))

    def step(
        self, crowd: Crowd, frame: HostFrame, boxes: Float[np.ndarray, "d 4"], scores: Float[np.ndarray, "d"]
    ) -> tuple[Crowd, Tracks]:
        """The next frame and its detections, x0, y0, x1, y1 in pixels. Raises UserError for boxes that are none."""
        boxes, scores = self._usable(frame, boxes, scores)
        crowd, seen, confidence = self._follow(crowd, frame)
        match = self._assign(crowd.box, boxes, scores)
        crowd = self._update(crowd, match, boxes)
        born = (scores >= self.rules.sure) & ~np.isin(np.arange(len(boxes)), match)
        born &= ~_covered(boxes, crowd.box, self.rules.doubtful_overlap)
        score = np.where(match >= 0, scores[match] if len(scores) else 0.0, confidence)
        crowd, seen, score = self._end(crowd, frame, seen, score)
        crowd, seen, score = self._begin(crowd, frame, boxes[born], scores[born], seen, score)
        shown = crowd.hits >= self.rules.confirm
        shown &= (crowd.misses == 0) | (seen & (crowd.misses <= self.rules.coast))
        tracks = Tracks(crowd.id[shown], crowd.box[shown], score[shown])
        return crowd._replace(index=crowd.index + 1), tracks

    def _usable(self, frame, boxes, scores):
        """Finite boxes with an area inside the frame; others are dropped, as detectors do make them."""
        boxes, scores = np.asarray(boxes, float).reshape(-1, 4), np.asarray(scores, float).reshape(-1)
        if len(boxes) != len(scores):
            raise UserError(f"detections: {len(boxes)} boxes but {len(scores)} scores")
        good = np.isfinite(boxes).all(1) & np.isfinite(scores) & (boxes[:, 2:] > boxes[:, :2] + 1).all(1)
        good &= (boxes[:, 2:] > 1).all(1) & (boxes[:, :2] < [frame.shape[1] - 1, frame.shape[0] - 1]).all(1)
        return boxes[good], scores[good]

    def _follow(self, crowd, frame):
        """Everything where the tracker sees it; what it does not see drifts with the rest."""
        if crowd.session is None:
            return crowd, np.zeros(0, bool), np.zeros(0)
        session, prediction = self.tracker.step(crowd.session, frame)
        row = {number: k for k, number in enumerate(prediction.id.tolist())}
        order = np.array([row[number] for number in crowd.id.tolist()], int)
        seen, found = prediction.visible[order].astype(bool), prediction.box[order].astype(float)
        centre = lambda box: (box[:, :2] + box[:, 2:]) / 2
        moved = centre(found)[seen] - centre(crowd.box)[seen]
        drift = np.tile(np.median(moved, axis=0), 2) if len(moved) >= 4 else np.zeros(4)
        box = np.where(seen[:, None], found, crowd.box + drift)
        return crowd._replace(session=session, box=box), seen, prediction.score[order].astype(float)

    def _assign(self, targets, boxes, scores) -> Int[np.ndarray, "n"]:
        """The detection of each target, -1 for none."""
        match = np.full(len(targets), -1)
        rules = self.rules
        rounds = ((scores >= rules.sure, rules.overlap), (scores >= rules.doubtful, rules.doubtful_overlap))
        for enough, least in rounds:
            free = np.nonzero(match < 0)[0]
            left = np.nonzero(enough & ~np.isin(np.arange(len(boxes)), match))[0]
            if not len(free) or not len(left):
                continue
            overlap = iou(targets[free][:, None], boxes[left][None])
            for a, b in zip(*linear_sum_assignment(np.where(overlap >= least, -overlap, 0.0))):
                if overlap[a, b] >= least:
                    match[free[a]] = left[b]
        return match

    def _update(self, crowd, match, boxes) -> Crowd:
        found = match >= 0
        box = crowd.box.copy()
        # A target found again after a gap is where the detection is.
        trust = np.where(crowd.misses[found] > self.rules.coast, 1.0, self.rules.trust)[:, None]
        box[found] = trust * boxes[match[found]] + (1 - trust) * box[found]
        session = crowd.session
        if found.any():
            session = self.tracker.move(session, dict(zip(crowd.id[found].tolist(), box[found])))
        misses = np.where(found, 0, crowd.misses + 1)
        return crowd._replace(session=session, box=box, hits=crowd.hits + found, misses=misses)

    def _end(self, crowd, frame, seen, score):
        """Without those forgotten, out of sight beyond the border, or never confirmed."""
        low, high = crowd.box[:, :2], crowd.box[:, 2:]
        outside = (high <= 0).any(1) | (low >= [frame.shape[1], frame.shape[0]]).any(1)
        stray = (crowd.hits < self.rules.confirm) & (crowd.misses > 0)
        keep = (crowd.misses <= self.rules.forget) & ~(outside & (crowd.misses > 0)) & ~stray
        session = crowd.session
        for number in crowd.id[~keep].tolist():
            session = self.tracker.remove(session, number)
        rows = (column[keep] for column in crowd[2:])
        return Crowd(session, crowd.index, *rows), seen[keep], score[keep]

    def _begin(self, crowd, frame, boxes, scores, seen, score):
        if not len(boxes):
            return crowd, seen, score
        targets = [Box(*box.tolist()) for box in boxes]
        if crowd.session is None:
            session = self.tracker.init(frame, targets)
            numbers = np.arange(1, len(targets) + 1)
        else:
            session = crowd.session
            numbers = session.next_id + np.arange(len(targets))
            for target in targets:
                session = self.tracker.add(session, frame, target)
        # In the video's first frame nothing can be confirmed: all its targets count as known.
        hits = np.full(len(boxes), self.rules.confirm if crowd.index == 0 else 1)
        join = lambda old, new: np.concatenate([old, new])
        none = np.zeros(len(boxes), np.int64)
        crowd = Crowd(
            session,
            crowd.index,
            join(crowd.id, numbers),
            join(crowd.hits, hits),
            join(crowd.misses, none),
            join(crowd.box, boxes),
        )
        return crowd, join(seen, np.ones(len(boxes), bool)), join(score, scores)


def _covered(boxes: np.ndarray, targets: np.ndarray, least: float) -> Bool[np.ndarray, "d"]:
    """A target is there already."""
    if not len(boxes) or not len(targets):
        return np.zeros(len(boxes), bool)
    return iou(boxes[:, None], targets[None]).max(axis=1) > least
