"""Track AP of YouTube-VIS (Yang et al., ICCV 2019): COCO's average precision with whole tracks for boxes.

Two tracks overlap by the intersection over union of their tubes, sums over all frames of the video; a frame in which
only one of them exists adds to the union. Everything else is COCO's, and done by pycocotools: IoU thresholds
.50:.05:.95, 101 points of recall, at most 1, 10 or 100 results a video, mean over categories, crowds left out. Areas
are means over the track's frames: small up to 128^2, large from 256^2 pixels on.

The official script knows masks only (its path for boxes is broken); for boxes TrackEval's TrackMAP says the same as
this. What a table calls AP is `AP`; -1 in the official script, nothing to score, is NaN here.
"""

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from pycocotools import mask as coco
from pycocotools.cocoeval import COCOeval

KINDS = ("mask", "box")
AREAS = {"all": (0, 1e10), "small": (0, 128**2), "medium": (128**2, 256**2), "large": (256**2, 1e10)}
MAX_RESULTS = (1, 10, 100)
Tube = Sequence[Any]  # one RLE or box (x, y, w, h) a frame, None where there is none


class Track(NamedTuple):
    """An object or a result; score and crowd matter on one side each."""

    category: int
    tube: Tube
    score: float = 1.0
    crowd: bool = False


class Pairs(NamedTuple):
    """Results (by falling score, 100 at most) and objects of one category in one video."""

    video: int
    category: int
    score: Float[np.ndarray, "p"]
    area: Float[np.ndarray, "p"]
    gt_area: Float[np.ndarray, "g"]
    gt_crowd: Bool[np.ndarray, "g"]
    iou: Float[np.ndarray, "p g"]


class State(NamedTuple):
    """Everything that has been compared."""

    pairs: tuple[Pairs, ...]


def evaluate(video: int, gt: Sequence[Track], pred: Sequence[Track], kind: str = "mask") -> State:
    """One video. video: its id, by whose order equal scores are ranked. kind: what tubes are made of."""
    overlap = {"mask": _mask_overlap, "box": _box_overlap}[kind]
    pairs = []
    for category in sorted({track.category for track in (*gt, *pred)}):
        objects = [track for track in gt if track.category == category]
        results = [track for track in pred if track.category == category]
        order = np.argsort([-track.score for track in results], kind="stable")[: MAX_RESULTS[-1]]
        results = [results[i] for i in order]
        iou, area, gt_area = overlap([track.tube for track in results], [track.tube for track in objects])
        crowd, score = np.array([t.crowd for t in objects], bool), np.array([t.score for t in results], np.float64)
        pairs.append(Pairs(video, category, score, area, gt_area, crowd, iou))
    return State(tuple(pairs))


def merge(states: Sequence[State]) -> State:
    """All pairs, by video, so that their order does not decide between equal scores."""
    return State(tuple(sorted((p for state in states for p in state.pairs), key=lambda p: (p.video, p.category))))


def compute(state: State) -> Mapping[str, float]:
    """The twelve numbers of the official summary."""
    run = _Evaluation(state)
    ap = lambda select, area="all": _mean(run.precision[select, :, :, list(AREAS).index(area), -1])
    ar = lambda most, area="all": _mean(run.recall[:, :, list(AREAS).index(area), most])
    sizes = ("small", "medium", "large")
    return {
        "AP": ap(slice(None)),
        "AP50": ap(0),
        "AP75": ap(5),
        **{f"AP_{size}": ap(slice(None), size) for size in sizes},
        **{f"AR{most}": ar(i) for i, most in enumerate(MAX_RESULTS)},
        **{f"AR_{size}": ar(-1, size) for size in sizes},
    }


def curves(state: State) -> Mapping[str, Float[np.ndarray, "n"]]:
    """For each IoU threshold AP and AR (of 100 results), by area."""
    run = _Evaluation(state)
    out = {}
    for index, area in enumerate(AREAS):
        suffix = "" if area == "all" else f"_{area}"
        out[f"AP{suffix}"] = np.array([_mean(p[..., index, -1]) for p in run.precision])
        out[f"AR{suffix}"] = np.array([_mean(r[..., index, -1]) for r in run.recall])
    return out


def per_category(state: State) -> Mapping[int, float]:
    """AP of each category."""
    run = _Evaluation(state)
    return {category: _mean(run.precision[:, :, k, 0, -1]) for k, category in enumerate(run.categories)}


class _Evaluation(COCOeval):
    """pycocotools' matching and accumulation, given overlaps that are known already. precision: [threshold, recall,
    category, area, most], recall: [threshold, category, area, most]; -1 where nothing is to be scored.
    """

    def __init__(self, state: State):
        super().__init__(iouType="segm")
        pairs = {(p.video, p.category): p for p in state.pairs}
        self.categories = sorted({category for _, category in pairs})
        videos = sorted({video for video, _ in pairs})
        self.params.imgIds, self.params.catIds = videos, self.categories
        self.params.maxDets, self.params.areaRng = list(MAX_RESULTS), [list(limits) for limits in AREAS.values()]
        self.params.areaRngLbl = list(AREAS)
        self._paramsEval = self.params
        for key in ((video, category) for video in videos for category in self.categories):
            self._take(key, pairs.get(key))
        most = MAX_RESULTS[-1]
        self.evalImgs = [
            self.evaluateImg(video, category, limits, most)
            for category in self.categories
            for limits in self.params.areaRng
            for video in videos
        ]
        with contextlib.redirect_stdout(io.StringIO()):  # it talks
            self.accumulate()
        self.precision, self.recall = self.eval["precision"], self.eval["recall"]

    def _take(self, key: tuple[int, int], pairs: Pairs | None) -> None:
        if pairs is None:
            self._gts[key], self._dts[key], self.ious[key] = [], [], []
            return
        self.ious[key] = pairs.iou
        # Identities count from 1: COCOeval takes 0 for nobody.
        self._gts[key] = [
            {"id": i, "area": area, "iscrowd": int(crowd), "ignore": int(crowd)}
            for i, (area, crowd) in enumerate(zip(pairs.gt_area.tolist(), pairs.gt_crowd.tolist()), 1)
        ]
        self._dts[key] = [
            {"id": i, "area": area, "score": score}
            for i, (area, score) in enumerate(zip(pairs.area.tolist(), pairs.score.tolist()), 1)
        ]


def _mean(values) -> float:
    defined = values[values > -1]
    return float(defined.mean()) if defined.size else float("nan")


def _mask_overlap(pred: Sequence[Tube], gt: Sequence[Tube]):
    """IoU of tubes [p, g], and mean areas on both sides."""
    inner, union = np.zeros((2, len(pred), len(gt)))
    areas = [[], []]
    for time in range(max((len(tube) for tube in (*pred, *gt)), default=0)):
        masks = [[tube[time] if time < len(tube) else None for tube in side] for side in (pred, gt)]
        sizes = [np.array([float(coco.area(mask)) if mask else 0.0 for mask in side]) for side in masks]
        for side, size in zip(areas, sizes):
            side.append(size)
        rows, columns = (np.flatnonzero([mask is not None for mask in side]) for side in masks)
        total = sizes[0][:, None] + sizes[1][None]
        both = np.zeros_like(total)
        if len(rows) and len(columns):
            iou = coco.iou([masks[0][i] for i in rows], [masks[1][i] for i in columns], [False] * len(columns))
            # Pixels are whole, so they come back from the ratio without error.
            both[np.ix_(rows, columns)] = np.rint(iou * total[np.ix_(rows, columns)] / (1 + iou))
        inner += both
        union += total - both
    return _ratio(inner, union), *(_mean_area(side, n) for side, n in zip(areas, (len(pred), len(gt))))


def _box_overlap(pred: Sequence[Tube], gt: Sequence[Tube]):
    """The same for boxes x, y, w, h."""
    length = max((len(tube) for tube in (*pred, *gt)), default=0)
    stack = lambda side: np.array(
        [[box if box is not None else (0.0,) * 4 for box in [*tube, *[None] * (length - len(tube))]] for tube in side],
        np.float64,
    ).reshape(len(side), length, 4)
    a, b = stack(pred), stack(gt)
    area_a, area_b = a[..., 2] * a[..., 3], b[..., 2] * b[..., 3]
    a, b = a[:, None], b[None]
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    both = np.prod(np.maximum(high - low, 0), axis=-1)
    union = (area_a[:, None] + area_b[None] - both).sum(axis=-1)
    return _ratio(both.sum(axis=-1), union), _mean_area(area_a.T, len(pred)), _mean_area(area_b.T, len(gt))


def _ratio(inner, union):
    return np.divide(inner, union, out=np.zeros_like(union), where=union > 0)


def _mean_area(by_frame, count):
    """Mean over the frames in which a track is there."""
    areas = np.array(by_frame, np.float64).reshape(len(by_frame), count)
    return areas.sum(axis=0) / np.maximum((areas > 0).sum(axis=0), 1)
