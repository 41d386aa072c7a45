"""A frame that smooth, translucent shapes can be painted on.

Every shape is a coverage: rasterised in grey at a multiple of the frame's size within a window around it,
shrunk, and used as the opacity of one colour. So edges are smooth, pixels outside the window never change,
and the cost follows the size of the shape. Coordinates are pixels of the frame; pixel i covers [i, i + 1).
"""

import functools
import itertools
import math
import statistics
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from difftrack_jax.typing import Bool, HostFrame

Colour = tuple[int, int, int]
Number = float | int
Point = tuple[Number, Number]
Window = tuple[Number, Number, Number, Number]
DARK = (16, 16, 20)


class Pen:
    """Draws coverage in frame coordinates into one magnified window."""

    def __init__(self, mask: Image.Image, left: int, top: int, scale: int):
        self._draw, self._left, self._top, self._scale = ImageDraw.Draw(mask), left, top, scale

    def _at(self, point: Point) -> Point:
        # PIL's coordinates name pixel centres.
        return (point[0] - self._left) * self._scale - 0.5, (point[1] - self._top) * self._scale - 0.5

    def _covered(self, box: Window) -> tuple[int, int, int, int]:
        """First and last magnified pixel of a box, both included as PIL wants them."""
        x0, y0, x1, y1 = (round((v - o) * self._scale) for v, o in zip(box, (self._left, self._top) * 2))
        return x0, y0, max(x0, x1 - 1), max(y0, y1 - 1)

    def line(self, start: Point, end: Point, width: float, value: float = 1.0) -> None:
        """A stroke with round ends."""
        ends, grey = [self._at(start), self._at(end)], round(255 * value)
        self._draw.line(ends, fill=grey, width=max(1, round(width * self._scale)))
        self.disc(start, width / 2, value)
        self.disc(end, width / 2, value)

    def disc(self, centre: Point, radius: float, value: float = 1.0) -> None:
        x, y = centre
        corners = self._covered((x - radius, y - radius, x + radius, y + radius))
        self._draw.ellipse(corners, fill=round(255 * value))

    def rectangle(self, box: Window, radius: float, width: float | None = None) -> None:
        """Round corners; filled, or an outline centred on the box."""
        grow = 0 if width is None else width / 2
        corners = self._covered((box[0] - grow, box[1] - grow, box[2] + grow, box[3] + grow))
        fill, outline = (255, None) if width is None else (None, 255)
        stroke = 0 if width is None else max(1, round(width * self._scale))
        rounding = max(0.0, (radius + grow) * self._scale)
        self._draw.rounded_rectangle(corners, rounding, fill, outline, stroke)


class Canvas:
    """A copy of a frame; `unit` is the length in pixels that line widths and letters are multiples of."""

    def __init__(self, frame: HostFrame):
        self.image = Image.fromarray(frame)
        self.height, self.width = frame.shape[:2]
        self.unit = max(0.5, math.sqrt(self.height * self.width) / 480)

    def array(self) -> HostFrame:
        return np.array(self.image)

    def paint(self, shape: Callable[[Pen], None], window: Window, colour: Colour, opacity: float = 1.0) -> None:
        """Colours what `shape` covers within the window."""
        left, top = max(0, math.floor(window[0])), max(0, math.floor(window[1]))
        width = min(self.width, math.ceil(window[2])) - left
        height = min(self.height, math.ceil(window[3])) - top
        if width <= 0 or height <= 0:
            return
        scale = 4 if width * height < 200_000 else 2
        mask = Image.new("L", (width * scale, height * scale))
        shape(Pen(mask, left, top, scale))
        self._cover(mask.reduce(scale), left, top, colour, opacity)

    def _cover(self, mask: Image.Image, left: int, top: int, colour: Colour, opacity: float) -> None:
        if opacity < 1:
            mask = mask.point([round(value * opacity) for value in range(256)])
        self.image.paste(colour, (left, top), mask)

    def strokes(self, lines: Sequence[tuple[Point, Point]], width: float, colour: Colour, opacity: float = 1.0) -> None:
        """Lines over a dark halo that keeps them visible on any ground."""
        if not lines:
            return
        points = np.array(lines).reshape(-1, 2)
        halo = width + 1.5 * self.unit
        window = (*(points.min(0) - halo), *(points.max(0) + halo))
        for stroke, tone, strength in ((halo, DARK, 0.5 * opacity), (width, colour, opacity)):

            def shape(pen: Pen, stroke: float = stroke) -> None:
                for start, end in lines:
                    pen.line(start, end, stroke)

            self.paint(shape, window, tone, strength)

    def disc(self, centre: Point, radius: float, colour: Colour, opacity: float = 1.0) -> None:
        window = (centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius)
        self.paint(lambda pen: pen.disc(centre, radius), window, colour, opacity)

    def outline(self, box: Window, width: float, colour: Colour, opacity: float = 1.0) -> None:
        """The border of a box over a dark halo."""
        halo, radius = width + 1.5 * self.unit, 1.5 * self.unit
        for stroke, tone, strength in ((halo, DARK, 0.5 * opacity), (width, colour, opacity)):
            shape = functools.partial(Pen.rectangle, box=box, radius=radius, width=stroke)
            for window in _border(box, radius + stroke):
                self.paint(shape, window, tone, strength)

    def segment(self, mask: Bool[np.ndarray, "h w"], colour: Colour, fill: float, opacity: float) -> None:
        """A tinted area within a contour, its pixel stairs smoothed."""
        sigma, width = 0.9 * self.unit, 1.3 * self.unit
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        margin = math.ceil(4 * sigma) + 1
        left, top = max(0, int(columns[0]) - margin), max(0, int(rows[0]) - margin)
        window = mask[top : int(rows[-1]) + margin + 1, left : int(columns[-1]) + margin + 1]
        blurred = Image.fromarray(window.astype(np.uint8) * 255).filter(ImageFilter.GaussianBlur(sigma))
        depth = _depths(sigma)
        for coverage, tone, strength in (
            (depth + 0.5, colour, fill),
            (width / 2 + 1.0 - np.abs(depth + 0.5 * width), DARK, 0.35 * opacity),
            (width / 2 + 0.5 - np.abs(depth), colour, opacity),
        ):
            table = (255 * np.clip(coverage, 0, 1)).round().astype(int).tolist()
            self._cover(blurred.point(table), left, top, tone, strength)

    def tag(self, text: str, corner: Point, colour: Colour, opacity: float = 1.0) -> None:
        """A small filled label whose lower left corner is here, moved to lie within the frame."""
        letters = font(max(9, round(5 + 5.5 * self.unit)))
        x0, y0, x1, y1 = letters.getbbox(text, anchor="ls")
        pad = max(2.0, 2.2 * self.unit)
        rise = -letters.getbbox("0", anchor="ls")[1]  # All tags are as high as a digit.
        width, height = max(x1 - x0, rise) + 2 * pad, max(rise, -y0) + 2 * pad + max(0, y1)
        left = round(min(max(corner[0], 0), max(0, self.width - width)))
        top = round(min(max(corner[1] - height, 0), max(0, self.height - height)))
        box = (left, top, left + width, top + height)
        self.paint(lambda pen: pen.rectangle(box, 1.5 * self.unit), box, colour, opacity)
        ink = DARK if luminance(colour) > 0.24 else (255, 255, 255)
        place = (left + (width - x1 - x0) / 2, top + height - pad - max(0, y1))
        canvas = Image.new("L", (math.ceil(width), math.ceil(height)))
        ImageDraw.Draw(canvas).text((place[0] - left, place[1] - top), text, 255, letters, anchor="ls")
        self._cover(canvas, left, top, ink, opacity)


def _border(box: Window, margin: float) -> Iterable[Window]:
    """Four windows that tile the border of a box without overlapping; one where the box is too small."""
    x0, y0, x1, y1 = box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin
    # On whole pixels, so that neighbouring windows share none.
    left, top = round(box[0] + margin), round(box[1] + margin)
    right, bottom = round(box[2] - margin), round(box[3] - margin)
    if right <= left or bottom <= top:
        return [(x0, y0, x1, y1)]
    return [(x0, y0, x1, top), (x0, bottom, x1, y1), (x0, top, left, bottom), (right, top, x1, bottom)]


@functools.cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


@functools.cache
def _depths(sigma: float) -> np.ndarray:
    """Signed distance to a straight edge for each grey of a mask blurred by sigma, positive inside."""
    normal = statistics.NormalDist(0, sigma)
    return np.array([normal.inv_cdf(min(max(grey / 255, 1e-4), 1 - 1e-4)) for grey in range(256)])


def luminance(colour: Colour) -> float:
    """Relative luminance as contrast standards define it, in [0, 1]."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def dashes(points: Sequence[Point], length: float) -> list[tuple[Point, Point]]:
    """A polyline cut into dashes with gaps as long as they are."""
    pieces = []
    for start, end in itertools.pairwise(np.array(points, np.float64)):
        span = float(np.hypot(*(end - start)))
        count = max(1, round((span / length + 1) / 2))
        # A dash at both ends, so that corners stay closed.
        step = span / (2 * count - 1)
        direction = (end - start) / max(span, 1e-9)
        for index in range(count):
            low, high = start + direction * 2 * index * step, start + direction * (2 * index + 1) * step
            pieces.append((tuple(low.tolist()), tuple(high.tolist())))
    return pieces
