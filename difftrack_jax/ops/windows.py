"""Search windows: cut a rectangle out of a frame at the network's resolution, and map coordinates both ways.

A window is a box in pixels of the source frame, of any size and place; what lies outside the frame is mid-grey (zero).
"""

import jax
import jax.numpy as jnp

from difftrack_jax.ops.boxes import centre_size, from_centre_size
from difftrack_jax.typing import Array, Float


def crop(image: Float[Array, "h w c"], window: Float[Array, "4"], size: tuple[int, int]) -> Float[Array, "h2 w2 c"]:
    """The window's content at `size` (height, width), bilinear, anti-aliased where it shrinks."""
    height, width = size
    scale = jnp.array([height, width]) / jnp.stack([window[3] - window[1], window[2] - window[0]])
    translation = -window[1::-1] * scale
    return jax.image.scale_and_translate(
        image, (height, width, image.shape[-1]), (0, 1), scale, translation, method="linear", antialias=True
    )


def to_window(
    points: Float[Array, "*p 2"], window: Float[Array, "4"], size: tuple[float | int, float | int]
) -> Float[Array, "*p 2"]:
    """Source pixels to window coordinates, where the window spans [0, width] x [0, height] for size (height, width)."""
    scale = jnp.array([size[1], size[0]]) / (window[2:] - window[:2])
    spread = (1,) * (points.ndim - 1) + (2,)
    return (points - window[:2].reshape(spread)) * scale.reshape(spread)


def from_window(
    points: Float[Array, "*p 2"], window: Float[Array, "4"], size: tuple[float | int, float | int]
) -> Float[Array, "*p 2"]:
    """The inverse of `to_window`."""
    scale = (window[2:] - window[:2]) / jnp.array([size[1], size[0]])
    spread = (1,) * (points.ndim - 1) + (2,)
    return points * scale.reshape(spread) + window[:2].reshape(spread)


def around(centre: Float[Array, "2"], side: Float[Array, ""], frame: tuple[int, int]) -> Float[Array, "4"]:
    """A square window of `side` pixels around a centre, pushed inside a frame (height, width) where it fits."""
    limit = jnp.array([frame[1], frame[0]], jnp.float32)
    half = side / 2
    # Where the window is wider than the frame it is centred on the frame instead.
    low, high = jnp.minimum(half, limit / 2), jnp.maximum(limit - half, limit / 2)
    return from_centre_size(jnp.clip(centre, low, high), jnp.stack([side, side]))


def resample(
    grid: Float[Array, "h w c"], window: Float[Array, "4"], new: Float[Array, "4"], size: tuple[int, int]
) -> Float[Array, "h2 w2 c"]:
    """A grid that covers `window`, read over the window `new` at `size`; zero outside."""
    h, w = grid.shape[:2]
    corner = to_window(new.reshape(2, 2), window, (h, w)).reshape(4)
    return crop(grid, corner, size)


def grown(window: Float[Array, "4"], factor: Float[Array, ""]) -> Float[Array, "4"]:
    """The window scaled about its centre."""
    centre, size = centre_size(window)
    return from_centre_size(centre, size * factor)
