"""Targets that cannot be followed are refused in one line, before any work is done."""

import dataclasses

import numpy as np

from difftrack_jax.errors import UserError
from difftrack_jax.tracking.indicators import Point, Pose, Segment, Target, Text


def check(target: Target, width: int, height: int) -> None:
    """Raise UserError unless the target lies in a frame of the given size."""
    if isinstance(target, Segment):
        if target.mask.shape != (height, width):
            got = "x".join(map(str, target.mask.shape[::-1]))
            raise UserError(f"segment: its mask is {got} but the video is {width}x{height}")
        if not target.mask.any():
            raise UserError("segment: the mask is empty")
        return
    if isinstance(target, Text):
        if not target.phrase.strip():
            raise UserError("text: says nothing; name what to follow, as in text:a red car")
        return
    if isinstance(target, Pose):
        return _check_pose(target, width, height)
    values = dataclasses.astuple(target)
    if not np.all(np.isfinite(values)):
        raise UserError(f"{target.kind}: {values} is not finite")
    if isinstance(target, Point):
        if not (0 <= target.x < width and 0 <= target.y < height):
            raise UserError(f"point: ({target.x:g}, {target.y:g}) lies outside the video ({width}x{height})")
        return
    if target.x1 <= target.x0 or target.y1 <= target.y0:
        raise UserError(f"box: {values} needs x0 < x1 and y0 < y1 (corners, not width and height)")
    if target.x1 <= 0 or target.y1 <= 0 or target.x0 >= width or target.y0 >= height:
        raise UserError(f"box: {values} lies outside the video ({width}x{height})")


def _check_pose(pose, width, height):
    joints = np.asarray(pose.joints)
    if joints.ndim != 2 or joints.shape[1] != 3 or not len(joints):
        raise UserError(f"pose: needs rows of x, y, visible; its shape is {joints.shape}")
    if not np.isfinite(joints).all():
        raise UserError("pose: a joint is not finite")
    seen = joints[joints[:, 2] > 0]
    if not len(seen):
        raise UserError("pose: no joint is visible")
    outside = ~((seen[:, :2] >= 0) & (seen[:, :2] < [width, height])).all(1)
    if outside.any():
        x, y, _ = seen[outside][0]
        raise UserError(f"pose: a visible joint ({x:g}, {y:g}) lies outside the video ({width}x{height})")
