"""The indications of a target, tau(L): point, box, segment (pose and text enter by the same door).

    kind       kernel m on the feature grid                         read out
    point      a Gaussian around (x, y)                             point, visible
    box        a bump over the box, lighter towards its border      box
    segment    the mask, averaged over each cell                    mask, box

A user says what to follow with `Point`, `Box`, `Segment` (pixels of the given frame) or with text such as
"box:10,20,80,60; point:5,9@12"; `Targets` is the same as arrays, one slot a target.
"""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from difftrack_jax.typing import Array, Bool, Float, Int

KINDS = ("point", "box", "segment")
POINT, BOX, SEGMENT = range(3)


@dataclasses.dataclass(frozen=True)
class Point:
    """A point (x, y) in pixels."""

    x: float | int
    y: float | int
    kind = "point"


@dataclasses.dataclass(frozen=True)
class Box:
    """A box x0, y0, x1, y1 in pixels."""

    x0: float | int
    y0: float | int
    x1: float | int
    y1: float | int
    kind = "box"


@dataclasses.dataclass(frozen=True, eq=False)
class Segment:
    """A boolean mask [h, w] of the frame's size."""

    mask: np.ndarray
    kind = "segment"


Target = Point | Box | Segment


class Targets(NamedTuple):
    """Slots of targets in pixels of the source; rows where `valid` is false hold nothing.

    anchor: the point itself, or the centre of the box. size: width and height; of points, the side of the patch they
    stand for. mask: soft membership over `mask_window` on a square grid; a box's covers the box. score: confidence in
    [0, 1].
    """

    kind: Int[Array, "n"]
    valid: Bool[Array, "n"]
    anchor: Float[Array, "n 2"]
    size: Float[Array, "n 2"]
    mask: Float[Array, "n g g2"]
    mask_window: Float[Array, "n 4"]
    visible: Bool[Array, "n"]
    score: Float[Array, "n"]


def describe(target: Target, patch: float) -> tuple[int, np.ndarray, np.ndarray]:
    """Kind, anchor and size of one target; `patch` is the side, in pixels, that a point stands for."""
    if isinstance(target, Point):
        return POINT, np.array([target.x, target.y], np.float32), np.full(2, patch, np.float32)
    if isinstance(target, Box):
        box = np.array([target.x0, target.y0, target.x1, target.y1], np.float32)
        kind = BOX
    else:
        rows, columns = np.nonzero(target.mask)
        box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], np.float32)
        kind = SEGMENT
    return kind, (box[:2] + box[2:]) / 2, box[2:] - box[:2]


def kernels(
    kind: Int[Array, "n"],
    offsets: Float[Array, "n q 2"],
    cell: Float[Array, ""],
    segment: Float[Array, "n q"],
    sigma: float = 1.0,
    spread: float = 0.25,
) -> Float[Array, "n q"]:
    """m_n at q cells. offsets: of each cell from the anchor, in pixels for points and in box sizes for the rest.

    cell: pixels a cell. segment: the target's mask averaged over each cell (of a box: which cells are its object).
    sigma: of points, in cells. spread: of boxes, in box sizes; a box's corners are mostly background, so its kernel
    is a bump cut off at the border rather than a plateau.
    """
    square = jnp.sum(offsets**2, axis=-1)
    point = jnp.exp(-0.5 * square / (sigma * cell) ** 2)
    box = jnp.exp(-0.5 * square / spread**2) * (jnp.max(jnp.abs(offsets), axis=-1) < 0.5) * segment
    return jnp.where(kind[:, None] == POINT, point, jnp.where(kind[:, None] == BOX, box, segment))


def window_side(targets: Targets, context: float, point_side: float) -> Float[Array, "n"]:
    """Side of the search window in pixels: `context` times the target's size, or `point_side` for points."""
    side = context * jnp.sqrt(jnp.prod(targets.size, axis=-1))
    side = jnp.maximum(side, 1.2 * jnp.max(targets.size, axis=-1))
    return jnp.where(targets.kind == POINT, point_side, side)


def boxes(targets: Targets) -> Float[Array, "n 4"]:
    """x0, y0, x1, y1."""
    half = targets.size / 2
    return jnp.concatenate([targets.anchor - half, targets.anchor + half], axis=-1)
