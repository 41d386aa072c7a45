"""CLEAR as py-motmetrics counts it, which poseval and many MOT15 tables use; it differs from TrackEval's in `clear`.

A pair goes on as long as it can, however long it was lost in between, and before anything else is matched; the rest
of a frame is assigned by least distance. Beside the switches of targets it counts transfers (a prediction moves to
another target), ascends (a switch to a prediction never matched before) and migrations (a transfer to a target never
matched). MOTP is a mean distance. Tracked at least 80 % of its life is mostly tracked, less than 20 % mostly lost.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment

from difftrack_jax.metrics import base
from difftrack_jax.metrics.frames import Frame


class Pairs(NamedTuple):
    """One frame. distance: infinite where a pair cannot be."""

    gt: Int[np.ndarray, "g"]
    pred: Int[np.ndarray, "p"]
    distance: Float[np.ndarray, "g p"]


class State(NamedTuple):
    """Counts. distance: summed over matches, and all_distances over every event of the log, possible pairs too."""

    frames: int
    objects: int
    matches: int
    switches: int
    misses: int
    false: int
    transfers: int
    ascends: int
    migrations: int
    fragments: int
    mostly_tracked: int
    partly_tracked: int
    mostly_lost: int
    distance: float
    all_distances: float


def from_similarity(frames: Sequence[Frame], threshold: float = 0.5) -> tuple[Pairs, ...]:
    """Distances 1 - similarity; pairs less alike than the threshold cannot be."""
    far = lambda s: np.where(1 - s > 1 - threshold, np.inf, 1 - s)
    return tuple(Pairs(gt, pred, far(similarity)) for gt, pred, similarity in frames)


def evaluate(frames: Sequence[Pairs]) -> State:
    """One sequence."""
    log = _Log()
    for frame in frames:
        log.add(frame)
    ratio = np.array([np.mean(found) for found in log.found.values()])
    count = lambda kept: int(np.sum(kept))
    return State(
        frames=len(frames),
        objects=sum(map(len, log.found.values())),
        mostly_tracked=count(ratio >= 0.8),
        partly_tracked=count((ratio >= 0.2) & (ratio < 0.8)),
        mostly_lost=count(ratio < 0.2),
        fragments=sum(map(_fragments, log.found.values())),
        **log.count,
    )


merge = base.add


def compute(state: State) -> Mapping[str, float]:
    """py-motmetrics' names."""
    found = state.matches + state.switches
    quiet = lambda part, whole: part / whole if whole else float("nan")
    return {
        "mota": 1 - quiet(state.misses + state.switches + state.false, state.objects),
        "motp": quiet(state.distance, found),
        "recall": quiet(found, state.objects),
        "precision": quiet(found, found + state.false),
        "num_objects": state.objects,
        "num_detections": found,
        "num_misses": state.misses,
        "num_false_positives": state.false,
        "num_switches": state.switches,
        "num_fragmentations": state.fragments,
        "num_transfer": state.transfers,
        "num_ascend": state.ascends,
        "num_migrate": state.migrations,
        "mostly_tracked": state.mostly_tracked,
        "partially_tracked": state.partly_tracked,
        "mostly_lost": state.mostly_lost,
        "num_frames": state.frames,
    }


class _Log:
    """What has been matched so far. found: by target, whether it was, in each frame that has it."""

    def __init__(self):
        self.found: dict[int, list[bool]] = {}
        self.count = dict.fromkeys(("matches", "switches", "misses", "false", "transfers", "ascends", "migrations"), 0)
        self.count |= {"distance": 0.0, "all_distances": 0.0}
        self._partner: dict[int, int] = {}  # a target's last prediction
        self._owner: dict[int, int] = {}  # the target a prediction was last assigned to
        self._used: set[int] = set()  # predictions ever matched
        self._known: set[int] = set()  # targets ever matched

    def add(self, frame: Pairs) -> None:
        distance = frame.distance.copy()
        self.count["all_distances"] += float(distance[np.isfinite(distance)].sum())
        matched = set()
        for row, column in self._going_on(frame):
            self._match(int(frame.gt[row]), int(frame.pred[column]), float(frame.distance[row, column]), "matches")
            distance[row], distance[:, column] = np.inf, np.inf
            matched.add(row)
        for row, column in _least(distance):
            self._assign(int(frame.gt[row]), int(frame.pred[column]), float(distance[row, column]))
            matched.add(row)
        for row, target in enumerate(frame.gt.tolist()):
            self.found.setdefault(target, []).append(row in matched)
        self.count["misses"] += len(frame.gt) - len(matched)
        self.count["false"] += len(frame.pred) - len(matched)

    def _going_on(self, frame: Pairs):
        """Pairs of earlier frames that are possible in this one."""
        place = {identity: column for column, identity in enumerate(frame.pred.tolist())}
        for row, target in enumerate(frame.gt.tolist()):
            column = place.get(self._partner.get(target))
            if column is not None and np.isfinite(frame.distance[row, column]):
                del place[self._partner[target]]
                yield row, column

    def _assign(self, target: int, prediction: int, distance: float) -> None:
        """A pair that is new."""
        switch = target in self._partner and self._partner[target] != prediction
        transfer = prediction in self._owner and self._owner[prediction] != target
        events = {
            "ascends": switch and prediction not in self._used,
            "migrations": transfer and target not in self._known,
            "transfers": transfer,
        }
        for name, happened in events.items():
            self.count[name] += happened
            self.count["all_distances"] += distance * happened
        self._match(target, prediction, distance, "switches" if switch else "matches")
        self._partner[target], self._owner[prediction] = prediction, target

    def _match(self, target: int, prediction: int, distance: float, kind: str) -> None:
        self.count[kind] += 1
        self.count["distance"] += distance
        self.count["all_distances"] += distance
        self._used.add(prediction)
        self._known.add(target)


def _least(distance: Float[np.ndarray, "g p"]):
    """The assignment with most possible pairs, and among those the least distance."""
    possible = np.isfinite(distance)
    if not possible.any():
        return []
    # More than any number of possible pairs could cost.
    far = 2 * min(distance.shape) * (distance[possible].max() + 1) + 1
    rows, columns = linear_sum_assignment(np.where(possible, distance, far))
    return [(row, column) for row, column in zip(rows.tolist(), columns.tolist()) if possible[row, column]]


def _fragments(found: list[bool]) -> int:
    """Times a target was lost between its first and its last match."""
    hits = np.flatnonzero(found)
    return int((np.diff(hits) > 1).sum()) if len(hits) else 0
