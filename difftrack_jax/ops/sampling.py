"""Reading images at real-valued positions, and spreading positions over grids.

A grid of h x w cells covers the rectangle [0, w] x [0, h]; cell (row i, column j) has its centre at (j + 0.5, i + 0.5).
The same rule holds for pixels, so cells and pixels differ by a factor only.
"""

import jax
import jax.numpy as jnp

from difftrack_jax.typing import Array, Bool, Float


def cell_centres(h: int, w: int) -> Float[Array, "{h}*{w} 2"]:
    """(x, y) centres of an h x w grid, row by row, in cells."""
    y, x = jnp.meshgrid(jnp.arange(h) + 0.5, jnp.arange(w) + 0.5, indexing="ij")
    return jnp.stack([x, y], axis=-1).reshape(h * w, 2).astype(jnp.float32)


def _corners(points: Float[Array, "p 2"], h: int, w: int):
    """The four cells around each point: flat indices [4, p] and weights [4, p]; outside, the border cell repeats."""
    p = points - 0.5
    low = jnp.floor(p)
    frac = p - low
    x0, y0 = low[:, 0].astype(jnp.int32), low[:, 1].astype(jnp.int32)
    xs = jnp.clip(jnp.stack([x0, x0 + 1]), 0, w - 1)
    ys = jnp.clip(jnp.stack([y0, y0 + 1]), 0, h - 1)
    wx = jnp.stack([1 - frac[:, 0], frac[:, 0]])
    wy = jnp.stack([1 - frac[:, 1], frac[:, 1]])
    index = (ys[:, None] * w + xs[None]).reshape(4, -1)
    return index, (wy[:, None] * wx[None]).reshape(4, -1)


def bilinear(image: Float[Array, "h w c"], points: Float[Array, "p 2"]) -> Float[Array, "p c"]:
    """Bilinear values of the image at (x, y) points; beyond the border the border value holds."""
    h, w, c = image.shape
    index, weight = _corners(points, h, w)
    return jnp.einsum("kp,kpc->pc", weight, image.reshape(h * w, c)[index])


def bilinear_one_hot(points: Float[Array, "p 2"], h: int, w: int) -> Float[Array, "p {h}*{w}"]:
    """Weights over the cells that bilinear interpolation at each point would read; rows sum to one."""
    index, weight = _corners(points, h, w)
    columns = jnp.arange(h * w)
    return sum((index[k][:, None] == columns[None]) * weight[k][:, None] for k in range(4))


def gaussian_kernel(points: Float[Array, "n 2"], sigma: float, h: int, w: int) -> Float[Array, "n {h}*{w}"]:
    """A Gaussian of `sigma` cells around each point (in cells), with peak value one."""
    square = jnp.sum((cell_centres(h, w)[None] - points[:, None]) ** 2, axis=-1)
    return jnp.exp(-0.5 * square / sigma**2)


def soft_arg_max(maps: Float[Array, "n h w"], radius: float = 2.5) -> Float[Array, "n 2"]:
    """Sub-cell peak: the centre of mass of each map inside a window of `radius` cells around its largest cell.

    A map that is one at a single cell gives that cell's centre. The mass is taken above the window's least value, so
    that a pedestal does not pull the answer to the window's centre.
    """
    n, h, w = maps.shape
    flat = maps.reshape(n, h * w)
    centres = cell_centres(h, w)
    peak = centres[jnp.argmax(flat, axis=-1)]
    near: Bool[Array, "n m"] = jnp.max(jnp.abs(centres[None] - peak[:, None]), axis=-1) <= radius
    floor = jnp.min(jnp.where(near, flat, jnp.inf), axis=-1, keepdims=True)
    mass = jnp.where(near, flat - floor, 0.0)
    total = jnp.sum(mass, axis=-1, keepdims=True)
    mean = jnp.einsum("nm,mc->nc", mass, centres) / jnp.maximum(total, 1e-12)
    return jnp.where(total > 1e-12, mean, peak)


def gaussian_blur(images: Float[Array, "b h w c"], sigma: Float[Array, "b"], taps: int = 7) -> Float[Array, "b h w c"]:
    """Separable Gaussian blur with its own width (in pixels, 0 is none) for every image; edges repeat."""
    offsets = jnp.arange(taps) - taps // 2
    weights = jnp.exp(-0.5 * (offsets[None] / jnp.maximum(sigma[:, None], 1e-3)) ** 2)
    weights = weights / jnp.sum(weights, axis=-1, keepdims=True)

    def along(x, axis):
        pad = [(0, 0)] * 4
        pad[axis] = (taps // 2, taps // 2)
        x = jnp.pad(x, pad, mode="edge")
        size = x.shape[axis] - taps + 1
        parts = [jax.lax.slice_in_dim(x, k, k + size, axis=axis) for k in range(taps)]
        return sum(part * weights[:, k, None, None, None] for k, part in enumerate(parts))

    return along(along(images, 1), 2)


def kth_largest(rows: Float[Array, "q m"], k: int) -> Float[Array, "q 1"]:
    """The k-th largest entry of each row, equal entries counted one by one.

    k sweeps for the next smaller value: for the small k of an attention row some hundred times faster on a CPU than
    `jax.lax.top_k`, which sorts.
    """

    def sweep(_, state):
        value, count = state
        below = jnp.max(jnp.where(rows < value, rows, -jnp.inf), axis=-1, keepdims=True)
        more = count < k
        equal = jnp.sum((rows == below).astype(jnp.float32), axis=-1, keepdims=True)  # sums of floats are faster
        return jnp.where(more, below, value), jnp.where(more, count + equal, count)

    start = jnp.full((rows.shape[0], 1), jnp.inf), jnp.zeros((rows.shape[0], 1))
    return jax.lax.fori_loop(0, k, sweep, start)[0]
