"""Words of motion: which of the things that a phrase may mean moves as it says.

    d_i = (c_i(T) - c_i(0) - b) / sqrt(w_i h_i)     way of candidate i in T frames beyond the background's, in its sizes

    moving, still           |d| above MOVES, below it
    left, right, up, down   moving, within 45 degrees of that way, or of between two
    fast, slow              the fastest of them, the slowest of those that move

Candidates are followed by the tracker itself; b is the median way of patches all over the frame that have texture,
aligned from frame to frame (ops/alignment.py), so that a camera that pans sets nothing in motion. Before a plain
ground, where few patches have any, b is zero.
"""

import itertools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from difftrack_jax.data.phrases import WAYS
from difftrack_jax.ops.alignment import align
from difftrack_jax.ops.sampling import bilinear, cell_centres, gaussian_blur
from difftrack_jax.typing import Array, Float, HostFrame

Ways = Callable[[Float[np.ndarray, "n 4"]], Float[np.ndarray, "n 2"]]  # of boxes in a frame, as `ways` says them

MOVES = 0.12  # least way of what moves, in its own sizes
_CONE = 2**-0.5  # cosine of how far a way may be from the one that is said
# The background is read from frames made _LONGEST pixels long, in rows and columns of _PATCHES patches of _SIDE pixels.
_LONGEST, _PATCHES, _SIDE = 96, 8, 12
_TEXTURE, _ENOUGH = 0.04, 0.25  # least deviation of a patch with texture (grey in [-1, 1]), and share of such patches


def fitting(ways: Float[np.ndarray, "n 2"], said: Sequence[str]) -> list[int]:
    """The candidates that move as is said, in their order, or in that of their speed where speed is said."""
    speed = np.linalg.norm(ways, axis=-1)
    moves, asked = speed >= MOVES, [word for word in said if word != "still"]
    fits = (moves | (not asked)) & (~moves | ("still" not in said))
    if course := [WAYS[word] for word in said if word in WAYS]:
        way = np.sum(course, axis=0)
        fits &= ways @ way >= _CONE * speed * np.linalg.norm(way)
    order = {"fast": np.argsort(-speed, kind="stable"), "slow": np.argsort(speed, kind="stable")}
    first = next((order[word] for word in said if word in order), np.arange(len(ways)))
    return [int(i) for i in first if fits[i]]


def ways(
    start: Float[np.ndarray, "n 4"], end: Float[np.ndarray, "n 4"], frames: Sequence[HostFrame]
) -> Float[np.ndarray, "n 2"]:
    """How far each box went beyond the background from the first of the frames to the last, in its own sizes."""
    centre = lambda box: (box[:, :2] + box[:, 2:]) / 2
    size = np.sqrt(np.prod(start[:, 2:] - start[:, :2], axis=-1, keepdims=True))
    return (centre(end) - centre(start) - background(frames)) / np.maximum(size, 1.0)


def background(frames: Sequence[HostFrame]) -> Float[np.ndarray, "2"]:
    """The way (x, y) of the background from the first frame to the last, in pixels: translation alone."""
    scale = max(frames[0].shape[:2]) / _LONGEST
    size = tuple(max(2 * _SIDE, round(side / scale)) for side in frames[0].shape[:2])
    small = [_shrink(jnp.asarray(frame), size) for frame in frames]
    steps = [np.asarray(_step(*pair)) for pair in itertools.pairwise(small)]
    return np.sum(steps, axis=0) * np.array(frames[0].shape[1::-1]) / np.array(size[::-1])


def _shrink(frame, size):
    return jax.image.resize(frame.mean(axis=-1) / 127.5 - 1.0, size, "linear")


@jax.jit
def _step(before: Float[Array, "h w"], after: Float[Array, "h w"]) -> Float[Array, "2"]:
    """Median way of the patches with texture, begun where half-sized frames found them; zero where there are few."""
    h, w = before.shape
    at = cell_centres(_PATCHES, _PATCHES) * jnp.array([[w, h]]) / _PATCHES
    known = _deviation(before, at) > _TEXTURE
    common = lambda found: jnp.nanmedian(jnp.where(known[:, None], found - at, jnp.nan), axis=0)
    half = lambda image: jax.image.resize(image, (h // 2, w // 2), "linear")
    rough, _ = align(half(after), half(before), at / 2, at / 2, side=_SIDE, iterations=8)
    fine, _ = align(after, before, at, at + common(2 * rough)[None], side=_SIDE, iterations=8)
    return jnp.where(jnp.mean(known) >= _ENOUGH, common(fine), 0.0)


def _deviation(image, at):
    """Standard deviation of grey around each place."""
    blur = lambda z: gaussian_blur(z[None, :, :, None], jnp.full(1, _SIDE / 4), taps=_SIDE + 1)[0]
    moments = bilinear(jnp.concatenate([blur(image), blur(image**2)], axis=-1), at)
    return jnp.sqrt(jnp.maximum(moments[:, 1] - moments[:, 0] ** 2, 0.0))
