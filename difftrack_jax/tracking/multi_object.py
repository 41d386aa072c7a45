"""Many objects from a detector, online: matched, born, kept through gaps, and let go.

    every frame   1  all targets are followed by the diffusion tracker, from what they looked like before
                  2  sure detections are assigned to targets by overlap, all at once (Hungarian)
                  3  doubtful detections are assigned to targets that are left (ByteTrack's second chance)
                  4  a matched target takes over part of its detection's box; any other goes where the tracker sees it
                  5  sure detections that overlap no target are born, and shown from their second frame on

    objects = MultiObject(load_tracker("mini", window="frame", size=512))
    crowd = objects.empty()
    crowd, prediction = objects.step(crowd, frame, detect(frame))          # detectors/base.py

Detections with masks begin segments and those with joints poses, which are shown as the detector saw them in the frames
in which it did. Classes are not asked about in matching, as detectors waver; a target keeps the one it was born with.

A target without a detection is shown as long as the tracker sees it, for at most `coast` frames; it is remembered for
`forget` frames, drifts with the median motion of the others meanwhile, and keeps its id when it is found again.
"""

import dataclasses
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from difftrack_jax.detectors.base import Detections
from difftrack_jax.ops.boxes import iou
from difftrack_jax.tracking import corrections
from difftrack_jax.tracking.indicators import Box, Pose, Segment
from difftrack_jax.tracking.session import Session, Tracker
from difftrack_jax.typing import Bool, Float, HostFrame, Int, Prediction


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
    joint: float = 0.3  # least confidence of a joint that is followed


class Crowd(NamedTuple):
    """Targets between frames, one row each: ids of the session, detections so far, frames since the last, boxes."""

    session: Session | None
    index: int
    id: Int[np.ndarray, "n"]
    hits: Int[np.ndarray, "n"]
    misses: Int[np.ndarray, "n"]
    box: Float[np.ndarray, "n 4"]
    label: np.ndarray  # text [n]


class _Now(NamedTuple):
    """Of each target, in this frame: the tracker sees it, its score, and its detection (-1 for none)."""

    seen: Bool[np.ndarray, "n"]
    score: Float[np.ndarray, "n"]
    match: Int[np.ndarray, "n"]

    def take(self, keep: np.ndarray) -> "_Now":
        return _Now(*(column[keep] for column in self))


class MultiObject:
    """A tracker with rules of birth and death. `window="frame"` follows all targets in one pass."""

    def __init__(self, tracker: Tracker, rules: Rules = Rules()):
        self.tracker, self.rules = tracker, rules

    def empty(self) -> Crowd:
        """Before the first frame."""
        none = np.zeros(0, np.int64)
        return Crowd(None, 0, none, none, none, np.zeros((0, 4)), np.zeros(0, "U1"))

    def step(self, crowd: Crowd, frame: HostFrame, detections: Detections) -> tuple[Crowd, Prediction]:
        """The next frame and what was detected in it. Raises UserError for detections whose fields do not agree.

        Boxes without an area in the frame are dropped, as detectors do make them.
        """
        found = corrections.usable(detections, frame.shape[:2], self.rules.joint)
        crowd, seen, own = self._follow(crowd, frame)
        match = self._assign(crowd.box, found.boxes, found.scores)
        crowd = self._update(crowd, match, found, own)
        born = (found.scores >= self.rules.sure) & ~np.isin(np.arange(found.count), match)
        born &= ~_covered(found.boxes, crowd.box, self.rules.doubtful_overlap)
        confidence = np.array([own[number].score for number in crowd.id.tolist()], float)
        score = np.where(match >= 0, found.scores[match] if found.count else 0.0, confidence)
        crowd, now = self._end(crowd, frame, _Now(seen, score, match))
        crowd, now = self._begin(crowd, frame, found, np.nonzero(born)[0], now)
        shown = crowd.hits >= self.rules.confirm
        shown &= (crowd.misses == 0) | (now.seen & (crowd.misses <= self.rules.coast))
        prediction = _prediction(crowd, now, found, own, np.nonzero(shown)[0])
        return crowd._replace(index=crowd.index + 1), prediction

    def _follow(self, crowd, frame):
        """Everything where the tracker sees it; what it does not see drifts with the rest."""
        if crowd.session is None:
            return crowd, np.zeros(0, bool), {}
        session, prediction = self.tracker.step(crowd.session, frame)
        own = {number: _Own(*row) for number, *row in _rows(prediction)}
        ids = crowd.id.tolist()
        seen = np.array([own[number].visible for number in ids], bool)
        found = np.array([own[number].box for number in ids], float).reshape(-1, 4)
        centre = lambda box: (box[:, :2] + box[:, 2:]) / 2
        moved = centre(found)[seen] - centre(crowd.box)[seen]
        drift = np.tile(np.median(moved, axis=0), 2) if len(moved) >= 4 else np.zeros(4)
        box = np.where(seen[:, None], found, crowd.box + drift)
        return crowd._replace(session=session, box=box), seen, own

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

    def _update(self, crowd, match, detections, own) -> Crowd:
        """Matched targets take over part of what was detected, and the tracker goes on from there."""
        found = match >= 0
        box, given = crowd.box.copy(), {}
        # A target found again after a gap is where the detection is.
        trust = np.where(crowd.misses > self.rules.coast, 1.0, self.rules.trust)
        for row in np.nonzero(found)[0].tolist():
            number, index, share = int(crowd.id[row]), int(match[row]), float(trust[row])
            box[row] = share * detections.boxes[index] + (1 - share) * box[row]
            target = corrections.target(detections, index)
            if isinstance(target, Box):
                target = Box(*box[row].tolist())
            elif isinstance(target, Pose) and own[number].pose is not None:
                target = Pose(_blended(target.joints, own[number].pose, share))
            given[number] = target
        session = crowd.session if not given else corrections.corrected(self.tracker, crowd.session, given)
        misses = np.where(found, 0, crowd.misses + 1)
        return crowd._replace(session=session, box=box, hits=crowd.hits + found, misses=misses)

    def _end(self, crowd, frame, now):
        """Without those forgotten, out of sight beyond the border, or never confirmed."""
        low, high = crowd.box[:, :2], crowd.box[:, 2:]
        outside = (high <= 0).any(1) | (low >= [frame.shape[1], frame.shape[0]]).any(1)
        stray = (crowd.hits < self.rules.confirm) & (crowd.misses > 0)
        keep = (crowd.misses <= self.rules.forget) & ~(outside & (crowd.misses > 0)) & ~stray
        session = crowd.session
        for number in crowd.id[~keep].tolist():
            session = self.tracker.remove(session, number)
        rows = (column[keep] for column in crowd[2:])
        return Crowd(session, crowd.index, *rows), now.take(keep)

    def _begin(self, crowd, frame, found, born, now):
        if not len(born):
            return crowd, now
        targets = [corrections.target(found, index) for index in born.tolist()]
        if crowd.session is None:
            session = self.tracker.init(frame, targets)
            numbers = np.arange(1, len(targets) + 1)
        else:
            session = crowd.session
            numbers = session.next_id + np.arange(len(targets))
            for target in targets:
                session = self.tracker.add(session, frame, target)
        # In the video's first frame nothing can be confirmed: all its targets count as known.
        hits = np.full(len(born), self.rules.confirm if crowd.index == 0 else 1)
        new = numbers, hits, np.zeros(len(born), np.int64), found.boxes[born], np.array(found.labels)[born]
        join = lambda old, new: tuple(np.concatenate(pair) for pair in zip(old, new))
        now = _Now(*join(now, (np.ones(len(born), bool), found.scores[born], born)))
        return Crowd(session, crowd.index, *join(crowd[2:], new)), now


class _Own(NamedTuple):
    """What the tracker itself says of a target."""

    box: Float[np.ndarray, "4"]
    segment: Bool[np.ndarray, "h w"] | None
    pose: Float[np.ndarray, "j 3"] | None
    visible: bool | np.bool_
    score: float | np.floating


def _rows(prediction: Prediction):
    fields = prediction.id.tolist(), prediction.box, prediction.segment, prediction.pose
    return zip(*fields, prediction.visible, prediction.score)


def _prediction(crowd, now, found, own, rows) -> Prediction:
    """The targets of these rows: as detected where they were, else as the tracker sees them."""
    targets = [_shown(crowd, now, found, own, row) for row in rows]
    segment = tuple(one.mask if isinstance(one, Segment) else None for one in targets)
    pose = tuple(one.joints if isinstance(one, Pose) else None for one in targets)
    box = crowd.box[rows]
    return Prediction(
        frame=crowd.index, id=crowd.id[rows], kind=tuple(one.kind for one in targets),
        point=(box[:, :2] + box[:, 2:]) / 2, box=box, segment=segment, pose=pose,
        visible=np.ones(len(rows), bool), score=now.score[rows],
        label=tuple(crowd.label[rows].tolist()) if crowd.label.any() else (),
    )  # fmt: skip


def _shown(crowd, now, found, own, row):
    if now.match[row] >= 0:
        return corrections.target(found, int(now.match[row]))
    seen = own[int(crowd.id[row])]
    if seen.segment is not None:
        return Segment(seen.segment)
    return Box(*crowd.box[row].tolist()) if seen.pose is None else Pose(seen.pose)


def _blended(joints: np.ndarray, own: np.ndarray, share: float) -> np.ndarray:
    """Detected joints, moved towards the tracker's where both are seen."""
    both = (joints[:, 2] > 0) & (np.nan_to_num(own[:, 2]) > 0)
    place = np.where(both[:, None], share * joints[:, :2] + (1 - share) * np.nan_to_num(own[:, :2]), joints[:, :2])
    return np.concatenate([place, joints[:, 2:]], axis=1).astype(np.float32)


def _covered(boxes: np.ndarray, targets: np.ndarray, least: float) -> Bool[np.ndarray, "d"]:
    """A target is there already."""
    if not len(boxes) or not len(targets):
        return np.zeros(len(boxes), bool)
    return iou(boxes[:, None], targets[None]).max(axis=1) > least
