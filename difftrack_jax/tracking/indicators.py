"""The indications of a target, tau(L): point, box, segment, pose (text finds boxes first: text.py).

    kind       kernel m on the feature grid                         read out
    point      a Gaussian around (x, y)                             point, visible
    box        a bump over the box, lighter towards its border      box
    segment    the mask, averaged over each cell                    mask, box
    pose       a Gaussian around each of J joints                   J points, visible, held together (poses.py)

A user says what to follow with `Point`, `Box`, `Segment`, `Pose` (pixels of the given frame) or with text such as
"box:10,20,80,60; point:5,9@12"; `Targets` is the same as arrays, one slot a target, and one for each joint of a pose.
"""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from difftrack_jax.typing import Array, Bool, Float, Int

KINDS = ("point", "box", "segment", "pose")
POINT, BOX, SEGMENT, POSE = range(4)


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


@dataclasses.dataclass(frozen=True, eq=False)
class Pose:
    """Joints (x, y, visible) [j, 3] of one body, in pixels; those that are not visible are not followed."""

    joints: np.ndarray
    kind = "pose"


@dataclasses.dataclass(frozen=True)
class Text:
    """A phrase that names what to follow; the tracker finds boxes for it (text.py)."""

    phrase: str
    kind = "text"


Target = Point | Box | Segment | Pose | Text


class Targets(NamedTuple):
    """Slots of targets in pixels of the source; rows where `valid` is false hold nothing.

    identity: the target's number, the same for all joints of a pose. anchor: the point itself, or the centre of the
    box. size: width and height; of points, the side of the patch they stand for. mask: soft membership over
    `mask_window` on a square grid; a box's covers the box. score: confidence in [0, 1]. clear: of points, how far the
    last frame's matches told where they are, in [0, 1]; one for the rest.
    """

    kind: Int[Array, "n"]
    identity: Int[Array, "n"]
    valid: Bool[Array, "n"]
    anchor: Float[Array, "n 2"]
    size: Float[Array, "n 2"]
    mask: Float[Array, "n g g2"]
    mask_window: Float[Array, "n 4"]
    visible: Bool[Array, "n"]
    score: Float[Array, "n"]
    clear: Float[Array, "n"]


def describe(target: Target, patch: float) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """Kind, anchor and size of each of a target's slots; `patch` is the side, in pixels, that a point stands for."""
    if isinstance(target, Point):
        return [(POINT, np.array([target.x, target.y], np.float32), np.full(2, patch, np.float32))]
    if isinstance(target, Pose):
        return [(POSE, joint[:2].astype(np.float32), np.full(2, patch, np.float32)) for joint in target.joints]
    if isinstance(target, Box):
        box = np.array([target.x0, target.y0, target.x1, target.y1], np.float32)
        kind = BOX
    else:
        rows, columns = np.nonzero(target.mask)
        box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], np.float32)
        kind = SEGMENT
    return [(kind, (box[:2] + box[2:]) / 2, box[2:] - box[:2])]


def is_point(kind: Int[Array, "*n"]) -> Bool[Array, "*n"]:
    """Points, and joints of poses, which are read like points."""
    return (kind == POINT) | (kind == POSE)


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
    return jnp.where(is_point(kind)[:, None], point, jnp.where(kind[:, None] == BOX, box, segment))


def window_side(targets: Targets, context: float, point_side: float) -> Float[Array, ""]:
    """Side of the search window of the slots of one identity, in pixels.

    `context` times the target's size; `point_side` for points; for poses, the joints' extent with a margin.
    """
    side = context * jnp.sqrt(jnp.prod(targets.size, axis=-1))
    side = jnp.maximum(side, 1.2 * jnp.max(targets.size, axis=-1))
    side = jnp.where(is_point(targets.kind), point_side, side)
    low, high = extent(targets)
    spread = jnp.where(jnp.sum(targets.valid) > 1, (1 + context) / 2 * jnp.max(high - low), 0.0)
    return jnp.maximum(jnp.max(jnp.where(targets.valid, side, 0.0)), spread)


def extent(targets: Targets) -> tuple[Float[Array, "2"], Float[Array, "2"]]:
    """Least and largest anchor of the slots that hold something."""
    held = targets.valid[:, None]
    low = jnp.min(jnp.where(held, targets.anchor, jnp.inf), axis=0)
    high = jnp.max(jnp.where(held, targets.anchor, -jnp.inf), axis=0)
    none = ~jnp.any(held)
    return jnp.where(none, targets.anchor[0], low), jnp.where(none, targets.anchor[0], high)


def boxes(targets: Targets) -> Float[Array, "n 4"]:
    """x0, y0, x1, y1."""
    half = targets.size / 2
    return jnp.concatenate([targets.anchor - half, targets.anchor + half], axis=-1)
