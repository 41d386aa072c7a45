"""Shapes and shared structs: the words every other file uses.

Letters mean the same thing everywhere: b batch, t time, n targets, h w pixels or grid cells, c channels,
q query cells, m reference cells, d width of a head, p points. Images are channel-last float32 in [-1, 1]
inside the library and uint8 [0, 255] at its borders; points are (x, y) and boxes (x0, y0, x1, y1), both in pixels,
where pixel i covers [i, i + 1) and so has its centre at i + 0.5.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key, UInt8

Params = Any
PyTree = Any
Image = Float[Array, "h w 3"]
Images = Float[Array, "b h w 3"]
HostFrame = UInt8[np.ndarray, "h w 3"]
Boxes = Float[Array, "*n 4"]
Points = Float[Array, "*n 2"]
Scalar = Float[Array, ""] | float

__all__ = [
    "Array",
    "Bool",
    "Boxes",
    "Float",
    "HostFrame",
    "Image",
    "Images",
    "Int",
    "Key",
    "Params",
    "Points",
    "Prediction",
    "PyTree",
    "Scalar",
    "UInt8",
]


class Prediction(NamedTuple):
    """Where the targets are in one frame of the source video, as numpy arrays, one row a target.

    id: identity, never reused within a video. kind: "point", "box", "segment", "pose" or "text".
    point: (x, y) pixels. box: x0, y0, x1, y1 pixels. segment: boolean masks, or None where the kind has none.
    pose: J (x, y, visible) rows, or None. visible: the target can be seen. score: in [0, 1], confidence that it can.
    label: class names by a detector, where there was one; else empty.
    """

    frame: int
    id: Int[np.ndarray, "n"]
    kind: tuple[str, ...]
    point: Float[np.ndarray, "n 2"]
    box: Float[np.ndarray, "n 4"]
    segment: tuple[Bool[np.ndarray, "h w"] | None, ...]
    pose: tuple[Float[np.ndarray, "j 3"] | None, ...]
    visible: Bool[np.ndarray, "n"]
    score: Float[np.ndarray, "n"]
    label: tuple[str, ...] = ()
