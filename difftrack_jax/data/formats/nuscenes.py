"""nuScenes' boxes in space as boxes in a camera's image, as its devkit exports them (export_2d_annotations_as_json.py).

The corners in front of the camera are projected; the box is what the image shows of their convex hull. It is wider
than the object, and says nothing of what stands before it: `visibility` is the share of the object that any of the
six cameras sees.
"""

from collections.abc import Sequence

import numpy as np
from scipy.spatial import ConvexHull, QhullError

from difftrack_jax.typing import Float


def rotation(quaternion: Sequence[float | int]) -> Float[np.ndarray, "3 3"]:
    """The matrix of a unit quaternion w, x, y, z."""
    w, x, y, z = np.asarray(quaternion, np.float64) / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def corners(
    centre: Sequence[float | int], size: Sequence[float | int], quaternion: Sequence[float | int]
) -> Float[np.ndarray, "8 3"]:
    """Corners of a box in metres; size: width (across), length (along its own x) and height."""
    width, length, height = size
    signs = np.stack(np.meshgrid([-1, 1], [-1, 1], [-1, 1], indexing="ij"), axis=-1).reshape(8, 3)
    return signs * np.array([length, width, height]) / 2 @ rotation(quaternion).T + np.asarray(centre)


def into_frame(points: Float[np.ndarray, "n 3"], translation, quaternion) -> Float[np.ndarray, "n 3"]:
    """World points as a body sees them that stands at `translation`, turned by `quaternion`."""
    return (points - np.asarray(translation)) @ rotation(quaternion)


def image_box(
    points: Float[np.ndarray, "n 3"], intrinsic: Sequence[Sequence[float | int]], size: tuple[int, int]
) -> Float[np.ndarray, "4"] | None:
    """x0, y0, x1, y1 of what an image of (width, height) shows of a box; None when that is nothing.

    points: its corners as the camera sees them, z forward.
    """
    front = points[points[:, 2] > 0]
    if len(front) < 3:
        return None
    flat = front @ np.asarray(intrinsic, np.float64).T
    flat = flat[:, :2] / flat[:, 2:]
    try:
        hull = flat[ConvexHull(flat).vertices]
    except QhullError:  # the corners lie on a line
        return None
    for axis in (0, 1):
        hull = _clip(hull, axis, 0.0, 1.0)
        hull = _clip(hull, axis, float(size[axis]), -1.0)
    return None if len(hull) < 3 else np.concatenate([hull.min(axis=0), hull.max(axis=0)])


def _clip(polygon: Float[np.ndarray, "n 2"], axis: int, edge: float, side: float) -> Float[np.ndarray, "m 2"]:
    """The part of a convex polygon where side * (p[axis] - edge) >= 0 (Sutherland and Hodgman)."""
    kept = []
    for a, b in zip(polygon, np.roll(polygon, -1, axis=0)):
        inside_a, inside_b = side * (a[axis] - edge), side * (b[axis] - edge)
        if inside_a >= 0:
            kept.append(a)
        if (inside_a >= 0) != (inside_b >= 0):
            kept.append(a + (b - a) * (inside_a / (inside_a - inside_b)))
    return np.array(kept).reshape(-1, 2)
