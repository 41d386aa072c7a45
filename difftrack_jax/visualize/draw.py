"""Predictions drawn onto a frame: masks, boxes, points with a trail, poses, and a tag with the id.

A colour belongs to an id for good. What cannot be seen is dashed or hollow, and faint; what is not finite is
left out.
"""

import collections
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from difftrack_jax.typing import Bool, Float, HostFrame, Prediction
from difftrack_jax.visualize.canvas import DARK, Canvas, Colour, Pen, dashes

# The colours of Okabe and Ito, which every kind of colour vision tells apart, neighbours far from each other.
_HUES = (
    (86, 180, 233),
    (230, 159, 0),
    (0, 158, 115),
    (204, 121, 167),
    (240, 228, 66),
    (213, 94, 0),
    (0, 114, 178),
)
_BODY = (
    (5, 6),
    (5, 7),
    (7, 9),
    (6, 8),
    (8, 10),
    (5, 11),
    (6, 12),
    (11, 12),
    (11, 13),
    (13, 15),
    (12, 14),
    (14, 16),
)
# By number of joints: 17 as in COCO and PoseTrack21, 15 as in PoseTrack, which leaves out the ears.
LIMBS = {
    17: ((0, 1), (0, 2), *_BODY),
    15: ((0, 1), (0, 2), *((a - 2, b - 2) for a, b in _BODY)),
}
Limbs = tuple[tuple[int, int], ...]


def colour(target: int) -> Colour:
    """The colour of an id: seven hues, then the same lighter, then darker, then from the start."""
    hue = np.array(_HUES[(target - 1) % 7], np.float64)
    shade = (target - 1) // 7 % 3
    mixed = (hue, hue + 0.5 * (255 - hue), 0.6 * hue)[shade]
    red, green, blue = (round(channel) for channel in mixed.tolist())
    return red, green, blue


class Trails:
    """The last points of each target.

    trails = Trails(length=24)
    picture = draw(frame, prediction, trails.update(prediction))
    """

    def __init__(self, length: int = 24):
        self._length, self._points = length, {}

    def update(self, prediction: Prediction) -> "Trails":
        """Adds one frame, and forgets targets that are no longer tracked."""
        points = {}
        for target, point, seen in zip(prediction.id.tolist(), prediction.point, prediction.visible):
            points[target] = self._points.get(target) or collections.deque(maxlen=self._length)
            points[target].append(point if seen else np.full(2, np.nan))
        self._points = points
        return self

    def __getitem__(self, target: int) -> Float[np.ndarray, "k 2"]:
        """Oldest first; NaN, a gap in the trail, where the target could not be seen."""
        return np.array(list(self._points.get(target, ())), np.float64).reshape(-1, 2)


class _Look(NamedTuple):
    """One target as it will be drawn; shapes it does not have are None."""

    colour: Colour
    label: str
    seen: bool
    point: Float[np.ndarray, "2"] | None
    box: Float[np.ndarray, "4"] | None
    segment: Bool[np.ndarray, "h w"] | None
    pose: Float[np.ndarray, "j 3"] | None
    trail: Float[np.ndarray, "k 2"] | None

    @property
    def opacity(self) -> float:
        return 1.0 if self.seen else 0.45


def draw(
    frame: HostFrame,
    prediction: Prediction,
    trails: Trails | None = None,
    labels: Mapping[int, str] | None = None,
    limbs: Limbs | None = None,
) -> HostFrame:
    """A copy of the frame with the targets on it; labels replace ids, limbs are pairs of joint indices."""
    canvas = Canvas(frame)
    looks = [_look(prediction, row, trails, labels or {}) for row in range(len(prediction.id))]
    for look in looks:
        if look.segment is not None:
            canvas.segment(look.segment, look.colour, 0.42 if look.seen else 0.12, look.opacity)
    for look in looks:
        if look.trail is not None:
            _draw_trail(canvas, look)
    for look in looks:
        _draw_shape(canvas, look, limbs)
    for look in looks:
        _draw_tag(canvas, look)
    return canvas.array()


def _look(prediction: Prediction, row: int, trails: Trails | None, labels: Mapping[int, str]) -> _Look:
    target, kind = int(prediction.id[row]), prediction.kind[row]
    point, box, segment, pose = (getattr(prediction, k)[row] for k in ("point", "box", "segment", "pose"))
    segment = segment if segment is not None and segment.any() else None
    pose = pose if pose is not None and np.isfinite(pose).all(1).any() else None
    boxed = kind != "point" and segment is None and pose is None and np.isfinite(box).all()
    pointed = not boxed and segment is None and pose is None and np.isfinite(point).all()
    return _Look(
        colour=colour(target),
        label=labels.get(target, str(target)),
        seen=bool(prediction.visible[row]),
        point=np.asarray(point, np.float64) if pointed else None,
        box=np.asarray(box, np.float64) if boxed else None,
        segment=segment,
        pose=None if pose is None else np.asarray(pose, np.float64),
        trail=None if trails is None else trails[target],
    )


def _draw_trail(canvas: Canvas, look: _Look) -> None:
    """A line that grows fainter and thinner into the past."""
    trail, width = look.trail, 2.0 * canvas.unit
    ages = np.arange(1, len(trail)) / max(1, len(trail) - 1)
    lines = [
        (tuple(start.tolist()), tuple(end.tolist()), age)
        for start, end, age in zip(trail[:-1], trail[1:], ages.tolist())
        if np.isfinite(start).all() and np.isfinite(end).all()
    ]
    if not lines or np.nanmax(np.nanmax(trail, 0) - np.nanmin(trail, 0)) < canvas.unit:
        return

    def shape(pen: Pen) -> None:
        for start, end, age in lines:
            pen.line(start, end, width * (0.35 + 0.65 * age), age)

    window = (*(np.nanmin(trail, 0) - width), *(np.nanmax(trail, 0) + width))
    canvas.paint(shape, tuple(float(side) for side in window), look.colour, 0.85 * look.opacity)


def _draw_shape(canvas: Canvas, look: _Look, limbs: Limbs | None) -> None:
    if look.pose is not None:
        _draw_pose(canvas, look, LIMBS.get(len(look.pose), ()) if limbs is None else limbs)
    elif look.box is not None:
        x0, y0, x1, y1 = _clipped(canvas, look.box)
        width = max(1.3, 1.7 * canvas.unit)
        if look.seen:
            canvas.outline((x0, y0, x1, y1), width, look.colour)
        else:
            corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)]
            canvas.strokes(dashes(corners, 5 * canvas.unit), width, look.colour, 0.75)
    elif look.point is not None:
        _draw_dot(canvas, tuple(look.point.tolist()), 3.0 * canvas.unit, look.colour, look.seen, look.opacity)


def _clipped(canvas: Canvas, box: Float[np.ndarray, "4"]) -> tuple[float, float, float, float]:
    """The box with its corners in order, and no further outside than hides its border."""
    far = 40 * canvas.unit
    x = np.sort(np.clip(box[0::2], -far, canvas.width + far)).tolist()
    y = np.sort(np.clip(box[1::2], -far, canvas.height + far)).tolist()
    return x[0], y[0], x[1], y[1]


def _draw_dot(
    canvas: Canvas, centre: tuple[float, float], radius: float, tone: Colour, seen: bool, opacity: float
) -> None:
    """A disc in a white rim; a hollow ring for what is hidden."""
    rim = radius + 1.1 * canvas.unit
    canvas.disc(centre, rim + 0.8 * canvas.unit, DARK, 0.45 * opacity)
    if seen:
        canvas.disc(centre, rim, (255, 255, 255), opacity)
        canvas.disc(centre, radius, tone, opacity)
        return
    window = (centre[0] - rim, centre[1] - rim, centre[0] + rim, centre[1] + rim)

    def ring(pen: Pen) -> None:
        pen.disc(centre, rim)
        pen.disc(centre, rim - 1.5 * canvas.unit, 0.0)

    canvas.paint(ring, window, tone, min(1.0, 1.6 * opacity))


def _draw_pose(canvas: Canvas, look: _Look, limbs: Limbs) -> None:
    place = [tuple(joint) for joint in look.pose[:, :2].tolist()]
    known = np.isfinite(look.pose).all(1)
    clear = known & (look.pose[:, 2] > 0)
    size = np.ptp(look.pose[known, :2], 0).max() / 60  # Thin lines for people far away.
    unit = min(max(canvas.unit, 0.5), max(0.6, size))
    pairs = [(a, b) for a, b in limbs if max(a, b) < len(place)]
    lines = [(place[a], place[b]) for a, b in pairs if clear[a] and clear[b]]
    canvas.strokes(lines, 2.2 * unit, look.colour, look.opacity)
    for centre, joint_clear in zip(place, clear):
        if joint_clear:
            canvas.disc(centre, 2.9 * unit, DARK, 0.6 * look.opacity)
            canvas.disc(centre, 2.2 * unit, (255, 255, 255), look.opacity)
            canvas.disc(centre, 1.4 * unit, look.colour, look.opacity)


def _draw_tag(canvas: Canvas, look: _Look) -> None:
    """Above a box or a person, on top of a mask, beside a point."""
    unit = canvas.unit
    if look.segment is not None:
        top = int(np.flatnonzero(look.segment.any(1))[0])
        corner = (float(np.flatnonzero(look.segment[top]).mean()) - 5 * unit, top - 3 * unit)
    elif look.pose is not None:
        joints = look.pose[np.isfinite(look.pose).all(1) & (look.pose[:, 2] > 0), :2]
        if not len(joints):
            return
        corner = (float(joints[joints[:, 1].argmin(), 0]) - 5 * unit, float(joints[:, 1].min()) - 6 * unit)
    elif look.box is not None:
        corner = (float(look.box[0]) - 0.85 * unit, float(look.box[1]) - 0.85 * unit)
    elif look.point is not None:
        corner = (float(look.point[0]) + 6 * unit, float(look.point[1]) - 4 * unit)
    else:
        return
    canvas.tag(look.label, corner, look.colour, 1.0 if look.seen else 0.55)
