"""Procedural clips with tracklets: coloured, striped shapes that move before a background, named in words.

    clip = draw(key, Style(frames=8, size=64))     # one clip; under vmap, a batch

An object is one of six shapes in one of eight colours, with stripes of its own that move along; its category is
"COLOUR SHAPE" and fills its box from side to side. The background is a shade of a colour that the caption names.
Boxes are shares of the frame, cut off at its border. Objects may leave and come back, and hide one another.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from difftrack_jax.typing import Array, Bool, Float, Int, Key

SHAPES = ("disc", "square", "triangle", "diamond", "ring", "cross")
COLOURS = {
    "red": (0.92, 0.13, 0.13),
    "green": (0.12, 0.72, 0.2),
    "blue": (0.17, 0.32, 0.95),
    "yellow": (0.97, 0.88, 0.12),
    "purple": (0.62, 0.18, 0.82),
    "orange": (0.97, 0.5, 0.06),
    "cyan": (0.12, 0.8, 0.86),
    "white": (0.96, 0.96, 0.96),
}
# Word 0 is no word, word 1 one that is not in the list.
WORDS = ("", "?", "on", "a", "background", *COLOURS, *SHAPES)
CAPTION = 8  # words, those missing at the end are word 0
_RGB = np.array(list(COLOURS.values()), np.float32)
_SHADE = 0.38  # of the background


class Style(NamedTuple):
    """frames of size x size pixels; slots: tracklets a clip, of which at most `objects` are there."""

    frames: int = 8
    size: int = 64
    slots: int = 8
    objects: int = 4


STYLE = Style()


class TrackletClip(NamedTuple):
    """frames in [-1, 1]; valid: 1 where the slot's object is in the frame; names and caption: numbers in `WORDS`."""

    frames: Float[Array, "t h w 3"]
    boxes: Float[Array, "t n 4"]
    valid: Float[Array, "t n"]
    names: Int[Array, "n 2"]
    caption: Int[Array, "s"]


class _Object(NamedTuple):
    """What one slot holds. path: centre and log size over time."""

    shape: Int[Array, ""]
    colour: Int[Array, ""]
    tint: Float[Array, "3"]
    stripes: Float[Array, "3"]
    path: Float[Array, "t 4"]
    shown: Float[Array, "t"]
    depth: Float[Array, ""]


def draw(key: Key[Array, ""], style: Style = STYLE) -> TrackletClip:
    """A random clip."""
    objects, filled, told = _layout(key, style)
    background = _background(jax.random.fold_in(key, 1), style.size, told.caption[2] - _word("red"))
    return told._replace(frames=_render(objects, filled, background, style) * 2 - 1)


def layout(key: Key[Array, ""], style: Style = STYLE) -> TrackletClip:
    """A random clip but for its frames, which are one black pixel each: what is where, at little cost."""
    return _layout(key, style)[2]


def _layout(key, style: Style) -> tuple["_Object", Bool[Array, "n"], TrackletClip]:
    k_objects, k_slots, k_count, k_back = jax.random.split(key, 4)
    objects = jax.vmap(lambda k: _object(k, style.frames))(jax.random.split(k_objects, style.slots))
    count = jax.random.randint(k_count, (), 1, style.objects + 1)
    filled = jax.random.permutation(k_slots, style.slots) < count
    boxes, valid = jax.vmap(_boxes)(objects)
    valid = valid * filled[:, None]
    shade = jax.random.randint(k_back, (), 0, len(COLOURS))
    names = jnp.stack([_word("red") + objects.colour, _word("disc") + objects.shape], axis=-1)
    caption = jnp.array([_word("on"), _word("a"), 0, _word("background"), *[0] * (CAPTION - 4)])
    boxes = jnp.swapaxes(boxes * valid[..., None], 0, 1)
    frames = -jnp.ones((style.frames, 1, 1, 3))
    names, caption = jnp.where(filled[:, None], names, 0), caption.at[2].set(_word("red") + shade)
    return objects, filled, TrackletClip(frames, boxes, valid.T, names, caption)


def _word(word: str) -> int:
    return WORDS.index(word)


def _object(key, frames: int) -> _Object:
    k_kind, k_tint, k_stripes, k_start, k_path, k_size, k_shown = jax.random.split(key, 7)
    shape = jax.random.randint(k_kind, (), 0, len(SHAPES))
    colour = jax.random.randint(jax.random.fold_in(k_kind, 1), (), 0, len(COLOURS))
    angle, rate, phase = jax.random.uniform(k_stripes, (3,)) * jnp.array([jnp.pi, 5.0, 6.3]) + jnp.array([0, 4.0, 0])
    s = jnp.linspace(-0.5, 0.5, frames)[:, None]
    start = jax.random.uniform(k_start, (1, 2), minval=0.15, maxval=0.85)
    velocity, swing, turn = jax.random.normal(k_path, (3, 1, 2)) * jnp.array([0.35, 0.08, 2.0]).reshape(3, 1, 1)
    centre = start + velocity * s + swing * jnp.sin(6.3 * s + turn)
    size, growth = jax.random.uniform(k_size, (2, 1, 2), minval=-1.0, maxval=1.0)
    # A third of the frame, give or take; both sides grow alike.
    log_size = jnp.log(0.33) + 0.3 * size + 0.4 * growth[:, :1] * s
    # One in five comes late or leaves early.
    edge = jax.random.uniform(k_shown, (), minval=-0.3, maxval=0.3)
    kind = jax.random.randint(jax.random.fold_in(k_shown, 1), (), 0, 10)
    shown = jnp.where(kind == 0, s[:, 0] > edge, jnp.where(kind == 1, s[:, 0] < edge, True))
    tint = 0.04 * jax.random.normal(k_tint, (3,))
    depth = jax.random.uniform(jax.random.fold_in(k_kind, 2))
    path = jnp.concatenate([centre, log_size], axis=-1)
    return _Object(shape, colour, tint, jnp.stack([angle, rate, phase]), path, shown.astype(jnp.float32), depth)


def _boxes(one: _Object) -> tuple[Float[Array, "t 4"], Float[Array, "t"]]:
    """Boxes cut off at the border, and whether at least two fifths of them are left."""
    centre, size = one.path[:, :2], jnp.exp(one.path[:, 2:])
    low, high = jnp.clip(centre - size / 2, 0, 1), jnp.clip(centre + size / 2, 0, 1)
    left = jnp.prod(high - low, axis=-1) / jnp.prod(size, axis=-1)
    return jnp.concatenate([low, high], axis=-1), one.shown * (left >= 0.4)


def _background(key, size: int, colour):
    """A smooth field between two shades of one colour."""
    k_field, k_tint = jax.random.split(key)
    field = jax.image.resize(jax.random.uniform(k_field, (3, 3, 1)), (size, size, 1), "cubic")
    rgb = jnp.asarray(_RGB)[colour] * _SHADE + 0.03 * jax.random.normal(k_tint, (3,))
    return jnp.clip(rgb.reshape(1, 1, 3) * (0.65 + 0.7 * field), 0, 1)


def _render(objects: _Object, filled, background, style: Style) -> Float[Array, "t h w 3"]:
    axis = (jnp.arange(style.size) + 0.5) / style.size
    x, y = jnp.meshgrid(axis, axis, indexing="xy")
    order = jnp.argsort(objects.depth)
    objects = jax.tree.map(lambda leaf: leaf[order], objects)
    there = objects.shown * filled[order][:, None]

    def frame(path, there):
        def paint(picture, item):
            one, place, alpha = item
            colour, opacity = _paint(one, place, x, y, style.size)
            opacity = (opacity * alpha)[..., None]
            return picture * (1 - opacity) + colour * opacity, None

        return jax.lax.scan(paint, background, (objects, path, there))[0]

    return jnp.clip(jax.vmap(frame)(jnp.swapaxes(objects.path, 0, 1), there.T), 0, 1)


def _paint(one: _Object, place, x, y, size: int):
    """Colour and opacity of one object on the pixels; p and q run over [-1, 1] across its box."""
    width, height = jnp.exp(place[2]), jnp.exp(place[3])
    p, q = 2 * (x - place[0]) / width, 2 * (y - place[1]) / height
    a, b = jnp.abs(p), jnp.abs(q)
    r = jnp.sqrt(p * p + q * q + 1e-9)
    far, near = jnp.maximum(a, b), jnp.minimum(a, b)
    inside = jnp.stack(
        [1 - r, 1 - far, jnp.minimum(1 - q, (q + 1) / 2 - a), 1 - a - b, jnp.minimum(1 - r, r - 0.5),
         jnp.minimum(1 - far, 0.35 - near)]
    )[one.shape]  # fmt: skip
    opacity = jnp.clip(inside * jnp.minimum(width, height) * size / 2 + 0.5, 0, 1)
    angle, rate, phase = one.stripes
    wave = jnp.sin(rate * (jnp.cos(angle) * p + jnp.sin(angle) * q) + phase)
    colour = jnp.asarray(_RGB)[one.colour] + one.tint
    return jnp.clip(colour.reshape(1, 1, 3) * (0.78 + 0.22 * wave)[..., None], 0, 1), opacity
