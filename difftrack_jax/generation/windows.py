"""Any number of frames from a network that knows a few: overlapping windows, joined at every step of the sampler.

    prediction(frame) = sum_w share_w(frame) net(window w)(frame),    sum_w share_w(frame) = 1

A window's share falls off towards its ends, so that one hands over to the next without a seam (after MultiDiffusion,
Bar-Tal et al. 2023, along time). All windows have the same length, so the network compiles once.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from difftrack_jax.typing import Array, Float, Int, PyTree


class Windows(NamedTuple):
    """starts: first frame of each; shares: of each of its frames."""

    starts: Int[np.ndarray, "k"]
    shares: Float[np.ndarray, "k f"]


def plan(frames: int, size: int, overlap: int) -> Windows:
    """Windows of at most `size` frames, each sharing at least `overlap` with the next, that cover all frames."""
    if frames <= size:
        return Windows(np.zeros(1, np.int32), np.ones((1, frames), np.float32))
    if not 0 <= overlap < size:
        raise ValueError(f"an overlap of {overlap} in windows of {size} frames")
    count = -(-(frames - overlap) // (size - overlap))
    starts = np.round(np.linspace(0, frames - size, count)).astype(np.int32)
    slope = np.minimum(np.arange(1, size + 1), np.arange(size, 0, -1)).astype(np.float32)
    total = np.zeros(frames, np.float32)
    for start in starts:
        total[start : start + size] += slope
    return Windows(starts, np.stack([slope / total[start : start + size] for start in starts]))


def cut(windows: Windows, clip: PyTree) -> PyTree:
    """Leaves [b, t, ...] -> [k, b, f, ...]."""
    size = windows.shares.shape[1]
    take = lambda leaf: jnp.stack([leaf[:, start : start + size] for start in windows.starts.tolist()])
    return jax.tree.map(take, clip)


def join(windows: Windows, parts: Float[Array, "k b f *z"]) -> Float[Array, "b t *z"]:
    """The mean of the windows by their shares."""
    size, frames = windows.shares.shape[1], int(windows.starts[-1]) + windows.shares.shape[1]
    out = jnp.zeros((parts.shape[1], frames, *parts.shape[3:]), parts.dtype)
    for part, start, share in zip(parts, windows.starts.tolist(), windows.shares):
        share = jnp.asarray(share, parts.dtype).reshape(1, size, *[1] * (parts.ndim - 3))
        out = out.at[:, start : start + size].add(part * share)
    return out
