"""How a benchmark's targets come to be known: the queries of a clip, by the rule of `config.births`.

first         ground truth of the first labelled frame that shows any (what SOT and semi-supervised VOS hand out)
appearance    ground truth of each target's own first frame: an oracle for benchmarks that expect detections
detections    public detections, or those of `config.detections` or `config.detector`, in the first frame that has any
online        detections of every frame, matched to what is tracked: targets are born and end (runners/crowds.py)
text          the clip's sentence, or one a target
points        TAP-Vid: `config.queries` says first or strided
"""

from collections.abc import Callable, Mapping

import numpy as np

from difftrack_jax.data.formats import rle
from difftrack_jax.data.records import WHOLE_CLIP, Clip, Rows
from difftrack_jax.errors import UserError
from difftrack_jax.metrics import tapvid
from difftrack_jax.runners.following import Query
from difftrack_jax.tracking import indicators
from difftrack_jax.tracking.indicators import Box, Point, Pose, Segment

ONLINE, DETECTIONS = "online", "detections"


def first(clip: Clip, shape: str) -> list[Query]:
    """All targets of the first frame that has any."""
    known = _known(clip)
    return _shaped(clip, known.in_frame(known.frame.min()), shape)


def appearance(clip: Clip, shape: str) -> list[Query]:
    """Every target where it is first seen."""
    known = _known(clip).ordered()
    _, index = np.unique(known.id, return_index=True)
    return _shaped(clip, known.take(np.sort(index)), shape)


def detections(clip: Clip, shape: str) -> list[Query]:
    """What a detector found in the first frame in which it found anything; identities are 1, 2, ..."""
    found = clip.detections
    sized = np.isfinite(found.box).all(axis=1) & (found.box[:, 2:] > found.box[:, :2]).all(axis=1)
    found = found.take(sized & _inside(found.box, clip))
    if not found.count:
        raise UserError(f"{clip.name}: has no detections; give --config.detections=DIR or --config.births=first")
    found = found.in_frame(found.frame.min())
    if not {"box": True, "segment": all(found.segment), "pose": found.keypoints.shape[1]}[shape]:
        raise UserError(f"{clip.name}: its detections are no {shape}s; give a detector that finds them")
    ones = np.ones(found.count, np.int32)
    return _shaped(clip, found._replace(id=np.arange(1, found.count + 1), category=ones), shape)


def text(clip: Clip, shape: str) -> list[Query]:
    """The sentences of the clip. Targets are numbered 1, 2, ... and begin in the first frame."""
    kind = getattr(indicators, "Text", None)
    if kind is None:
        raise UserError("births: this tracker has no text indication; use --config.births=first")
    whole = [sentence for target, sentence in clip.captions if target == WHOLE_CLIP]
    sentences = whole or list(dict.fromkeys(sentence for _, sentence in clip.captions))
    if not sentences:
        raise UserError(f"{clip.name}: has no sentence to begin from")
    return [Query(0, kind(sentence), number) for number, sentence in enumerate(sentences, 1)]


RULES: Mapping[str, Callable[[Clip, str], list[Query]]] = {
    "first": first,
    "appearance": appearance,
    DETECTIONS: detections,
    "text": text,
}


def points(clip: Clip, mode: str, size: tuple[int, int]) -> tuple[list[Query], tapvid.Queries]:
    """TAP-Vid's queries in pixels of frames of (width, height), and as it samples them; ids are their order."""
    if mode not in tapvid.MODES:
        raise UserError(f"queries {mode!r}: known are {', '.join(tapvid.MODES)}")
    from difftrack_jax.data.formats.tapvid import from_rows

    tracks = from_rows(clip.rows, (clip.width, clip.height), len(clip.frames))
    sampled = getattr(tapvid, f"sample_{mode}")(tracks.points, tracks.occluded)
    queries = []
    for number, (t, y, x) in enumerate(sampled.points.tolist()):
        place = np.clip([x * size[0], y * size[1]], 0, np.array(size) - 1e-3)  # on the border is inside
        queries.append(Query(int(t), Point(*place.tolist()), number, both=mode == "strided"))
    return queries, sampled


def _known(clip: Clip) -> Rows:
    """Ground truth that is to be tracked, in frames that are labelled."""
    rows = clip.rows
    rows = rows.take(rows.visible & ~rows.ignore & clip.labelled[rows.frame])
    if not rows.count:
        raise UserError(f"{clip.name}: has no ground truth to begin from; choose another --config.split, or detections")
    return rows


def _shaped(clip: Clip, rows: Rows, shape: str) -> list[Query]:
    """Rows as the indications that a benchmark is about: box, segment or pose."""
    size = (clip.height, clip.width)
    make = {
        "box": lambda row: Box(*rows.box[row].tolist()),
        "segment": lambda row: Segment(rle.decode(rows.segment[row], size)),
        "pose": lambda row: _pose(clip, rows.keypoints[row]),
    }[shape]
    named = zip(rows.frame.tolist(), rows.id.tolist(), rows.category.tolist())
    asked = [Query(frame, make(row), target, kind) for row, (frame, target, kind) in enumerate(named)]
    return [query for query in asked if not isinstance(query.target, Pose) or query.target.joints[:, 2].any()]


def _pose(clip: Clip, keypoints: np.ndarray) -> Pose:
    """Joints that were annotated within the frame; the others are not followed."""
    x, y, seen = keypoints.T
    given = (seen > 0) & (x > 0) & (x < clip.width) & (y > 0) & (y < clip.height)
    return Pose(np.where(given[:, None], np.stack([x, y, given], axis=1), 0.0).astype(np.float32))


def _inside(box: np.ndarray, clip: Clip) -> np.ndarray:
    """The box overlaps the frame."""
    return (box[:, 2:] > 0).all(axis=1) & (box[:, :2] < [clip.width, clip.height]).all(axis=1)
