"""Scenes of one to five plain figures before a background, in which everything a phrase may say is known.

    scene = sample(key)                                # what is where, and how it looks and moves
    picture = draw(scene, bank, (240, 320))            # a frame of that shape with boxes of what can be seen
    told = tell(scene, picture)                        # which words are true of which object

Objects share looks with one another on purpose, so that a phrase has to be read to its end. A share of the pairs of
colour and shape (`held_out`) is left out of scenes for training: phrases that name them have never been seen.
Lengths are shares of the frame's longer side; y points down.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from difftrack_jax.data import phrases
from difftrack_jax.data.figures import TURN, inside, pattern
from difftrack_jax.data.textures import Bank
from difftrack_jax.ops.masks import mask_box
from difftrack_jax.ops.sampling import bilinear, cell_centres, gaussian_blur
from difftrack_jax.typing import Array, Bool, Float, Int, Key, Scalar

OBJECTS = 5
SMALL, BIG = (0.11, 0.19), (0.27, 0.46)  # widths of what is called small and big; between them it is neither
# Hue, saturation and value, from and to, of what each colour's name may stand for.
_HSV = {
    "red": ((-0.02, 0.85, 0.65), (0.015, 1.0, 1.0)), "orange": ((0.065, 0.85, 0.85), (0.095, 1.0, 1.0)),
    "yellow": ((0.145, 0.7, 0.85), (0.17, 1.0, 1.0)), "green": ((0.28, 0.6, 0.4), (0.4, 1.0, 0.9)),
    "cyan": ((0.48, 0.6, 0.7), (0.52, 1.0, 1.0)), "blue": ((0.59, 0.7, 0.55), (0.66, 1.0, 1.0)),
    "purple": ((0.74, 0.55, 0.45), (0.79, 0.95, 0.85)), "pink": ((0.88, 0.35, 0.9), (0.94, 0.65, 1.0)),
    "brown": ((0.05, 0.55, 0.3), (0.08, 0.8, 0.48)), "white": ((0.0, 0.0, 0.92), (1.0, 0.05, 1.0)),
    "grey": ((0.0, 0.0, 0.42), (1.0, 0.08, 0.62)), "black": ((0.0, 0.0, 0.02), (1.0, 0.3, 0.12)),
}  # fmt: skip
_LOW, _HIGH = (np.array([_HSV[name][end] for name in phrases.COLOURS], np.float32) for end in (0, 1))


class Things(NamedTuple):
    """Objects from back to front. width: of the square they fill; grain: angle, period and phase of the texture."""

    there: Bool[Array, "n"]
    colour: Int[Array, "n"]
    shape: Int[Array, "n"]
    texture: Int[Array, "n"]
    paint: Float[Array, "n 2 3"]
    centre: Float[Array, "n 2"]
    width: Float[Array, "n"]
    turn: Float[Array, "n"]
    grain: Float[Array, "n 3"]
    velocity: Float[Array, "n 2"]


class Scene(NamedTuple):
    """extent: width and height, the longer of which is 1. back: two colours; view: angle, zoom, place and strength of
    the background's texture, or of its gradient. look: a key of what the camera does.
    """

    things: Things
    extent: Float[Array, "2"]
    back: Float[Array, "2 3"]
    ground: Int[Array, ""]
    view: Float[Array, "5"]
    look: Key[Array, ""]


class Picture(NamedTuple):
    """frame in [-1, 1], zero outside the scene. boxes: pixels, of what can be seen; seen: that share of each object."""

    frame: Float[Array, "h w 3"]
    boxes: Float[Array, "n 4"]
    seen: Float[Array, "n"]


class Told(NamedTuple):
    """true: 1 where a concept holds of an object, 0 where not, .5 where one may disagree (phrases.CONCEPTS).

    rank: how far each object goes in the direction of a concept that compares. there: any of it can be seen; clear:
    enough of it.
    """

    true: Float[Array, "n c"]
    rank: Float[Array, "n c"]
    there: Bool[Array, "n"]
    clear: Bool[Array, "n"]


def held_out(colour, shape):
    """Whether pairs of a colour and a shape are; numpy or jax arrays. Every shape but the first with two colours."""
    return ((colour + 2 * shape) % 6 == 0) & (shape > 0)


def sample(key: Key[Array, ""], training: bool = True, size: tuple[int, int] | None = None) -> Scene:
    """A random scene for frames of size (height, width), or at most 16:9, lying or standing; training: no pair that is
    held out.
    """
    k_looks, k_place, k_extent, k_square, k_back, k_view, k_camera, k_move = jax.random.split(key, 8)
    ratio = jax.random.uniform(k_extent, minval=-1.0, maxval=1.0) * np.log(16 / 9)
    ratio = jnp.where(jax.random.bernoulli(k_square, 0.3), 0.0, ratio)
    extent = jnp.exp(jnp.stack([jnp.minimum(ratio, 0.0), jnp.minimum(-ratio, 0.0)]))
    extent = extent if size is None else jnp.array([size[1] / max(size), size[0] / max(size)])
    colour, shape, texture = _looks(k_looks, training)
    k_size, k_turn, k_grain, k_paint, k_count, k_where = jax.random.split(k_place, 6)
    width = _widths(k_size) * jnp.sqrt(jnp.prod(extent))
    reach = jnp.asarray([TURN[name] for name in phrases.SHAPES], jnp.float32)[shape]
    angle, period, phase = jax.random.uniform(k_grain, (3, OBJECTS))
    # No texture is finer than the network's pixels.
    period = jnp.maximum(0.42 + 0.25 * period, 0.08 / width)
    paint = _paint(k_paint, colour)
    things = Things(
        there=jnp.arange(OBJECTS) < jax.random.randint(k_count, (), 1, OBJECTS + 1),
        colour=colour,
        shape=shape,
        texture=texture,
        paint=paint,
        centre=_places(k_where, width, extent),
        width=width,
        turn=reach * jax.random.uniform(k_turn, (OBJECTS,), minval=-1.0, maxval=1.0),
        grain=jnp.stack([angle * jnp.pi, period, phase], axis=-1),
        velocity=0.3 * jax.random.normal(k_move, (OBJECTS, 2)),
    )
    k_view, k_ground = jax.random.split(k_view)
    ground, view = jax.random.randint(k_ground, (), 0, 3), jax.random.uniform(k_view, (5,))
    return Scene(things, extent, _grounds(k_back, things), ground, view, k_camera)


def _looks(key, training):
    """Colour, shape and texture; each is that of the object before in two cases of five."""
    k_own, k_same = jax.random.split(key)
    counts = jnp.array([len(phrases.COLOURS), len(phrases.SHAPES), len(phrases.TEXTURES)])
    own = jnp.floor(jax.random.uniform(k_own, (OBJECTS, 3)) * counts[None]).astype(jnp.int32)
    # Plain ones are as frequent as all textures together.
    plain = jax.random.bernoulli(jax.random.fold_in(k_own, 1), 0.33, (OBJECTS,))
    own = own.at[:, 2].set(jnp.where(plain, 0, own[:, 2]))
    same = jax.random.bernoulli(k_same, 0.4, (OBJECTS, 3))
    _, looks = jax.lax.scan(lambda last, x: (jnp.where(x[1], last, x[0]),) * 2, own[0], (own, same))
    colour, shape, texture = looks.T
    if training:
        # The shape after one that is held out never is.
        shape = jnp.where(held_out(colour, shape), (shape + 1) % len(phrases.SHAPES), shape)
    return colour, shape, texture


def _widths(key):
    k_kind, k_size = jax.random.split(key)
    low = jnp.array([SMALL[0], SMALL[1], BIG[0]])
    high = jnp.array([SMALL[1], BIG[0], BIG[1]])
    kind = jax.random.choice(k_kind, 3, (OBJECTS,), p=jnp.array([0.4, 0.2, 0.4]))
    share = jax.random.uniform(k_size, (OBJECTS,))
    return low[kind] + share * (high - low)[kind]


def _places(key, width, extent, tries: int = 12):
    """Centres, one after the other: the first of some tries that keeps enough distance, or the one that keeps most."""
    k_tries, k_apart = jax.random.split(key)
    room = jax.random.uniform(k_tries, (OBJECTS, tries, 2), minval=0.1, maxval=0.9) * extent[None, None]
    enough = jax.random.uniform(k_apart, (OBJECTS,), minval=0.65, maxval=1.1)
    centres = jnp.full((OBJECTS, 2), 99.0)
    for i in range(OBJECTS):
        gap = jnp.linalg.norm(room[i][:, None] - centres[None], axis=-1) / ((width + width[i]) / 2)[None]
        best = jnp.argmax(jnp.minimum(gap.min(axis=1), enough[i]))
        centres = centres.at[i].set(room[i, best])
    return centres


def _grounds(key, things):
    """Of several colours the one that objects stand out from best, and a shade of it."""
    k_first, k_second = jax.random.split(key)
    some = _rgb(jax.random.uniform(k_first, (6, 3)) * jnp.array([[1.0, 0.75, 0.95]]))
    apart = jnp.linalg.norm(some[:, None] - things.paint[None, :, 0], axis=-1)
    first = some[jnp.argmax(jnp.min(jnp.where(things.there[None], apart, 9.0), axis=1))]
    return jnp.stack([first, first + 0.18 * jax.random.normal(k_second, (3,))])


def _rgb(hsv: Float[Array, "n 3"]) -> Float[Array, "n 3"]:
    k = jnp.mod(jnp.array([[5.0, 3.0, 1.0]]) + 6 * hsv[:, :1], 6.0)
    return hsv[:, 2:] * (1 - hsv[:, 1:2] * jnp.clip(jnp.minimum(k, 4 - k), 0, 1))


def _paint(key, colour):
    """The named colour, and a second one that is black, white, or the first in shade."""
    k_first, k_second, k_share = jax.random.split(key, 3)
    spread = jax.random.uniform(k_first, (OBJECTS, 3))
    first = _rgb(jnp.asarray(_LOW)[colour] + spread * jnp.asarray(_HIGH - _LOW)[colour])
    bright = first.mean(axis=1) + 0.25 * jax.random.normal(k_second, (OBJECTS,))
    bright = jnp.where(first.max(axis=1) < 0.3, 0.0, jnp.where(first.min(axis=1) > 0.7, 1.0, bright))
    other = jnp.where(bright > 0.5, 0.03, 0.97)[:, None]
    share = jax.random.uniform(k_share, (OBJECTS, 1), minval=0.6, maxval=1.0)
    return jnp.stack([first, first + share * (other - first)], axis=1)


def draw(scene: Scene, bank: Bank, size: tuple[int, int], time: Scalar = 0.0, boxed: bool = False) -> Picture:
    """The scene at a moment, as a frame of size (height, width). boxed: in the middle of a square frame of that size,
    the way networks get it; otherwise the frame must have the scene's proportions.
    """
    height, width = size
    pixel = 1.0 / max(height, width)
    origin = (1 - scene.extent) / 2 if boxed else jnp.zeros(2)
    x = cell_centres(height, width) * pixel - origin[None]
    within = jnp.all((x >= 0) & (x < scene.extent[None]), axis=-1)
    k_light, k_lens = jax.random.split(scene.look)

    def place(carry, thing):
        colour, front, number = carry
        moved = thing.centre + thing.velocity * time
        half = thing.width / 2
        c, s = jnp.cos(thing.turn), jnp.sin(thing.turn)
        v = (x - moved[None]) @ jnp.array([[c, -s], [s, c]]) / half
        cover = jnp.clip(inside(thing.shape, v) * half / pixel + 0.5, 0, 1) * (within & thing.there)
        second = pattern(thing.texture, v, *thing.grain, half / pixel)[:, None]
        own = thing.paint[:1] * (1 - second) + thing.paint[1:] * second
        front = jnp.where(cover > 0.5, number, front)
        return (colour + cover[:, None] * (own - colour), front, number + 1), jnp.sum(cover > 0.5)

    start = _background(scene, bank, x), jnp.zeros(len(x), jnp.int32), jnp.int32(1)
    (colour, front, _), whole = jax.lax.scan(place, start, scene.things)
    colour = colour * _light(k_light, x)
    frame = _lens(k_lens, colour.reshape(height, width, 3))
    masks = front.reshape(1, height, width) == jnp.arange(1, OBJECTS + 1)[:, None, None]
    seen = masks.sum((1, 2)) / jnp.maximum(whole, 1)
    frame = jnp.where(within.reshape(height, width, 1), frame * 2 - 1, 0.0)
    return Picture(frame, jax.vmap(mask_box)(masks), jnp.where(masks.sum((1, 2)) >= 12, seen, 0.0))


def _background(scene, bank, x):
    """One colour, a gradient between two, or a tinted texture."""
    angle, zoom, *place, strength = scene.view
    c, s = jnp.cos(6.3 * angle), jnp.sin(6.3 * angle)
    image = bank.images[jnp.floor(place[0] * bank.images.shape[0]).astype(jnp.int32)]
    at = 0.5 + (x - 0.5) @ jnp.array([[c, -s], [s, c]]) * (0.25 + 0.4 * zoom)

    def plain():
        return jnp.broadcast_to(scene.back[:1], (len(x), 3))

    def gradient():
        share = jnp.clip(0.5 + (x - 0.5) @ jnp.stack([c, s])[:, None], 0, 1)
        return scene.back[:1] * (1 - share) + scene.back[1:] * share

    def textured():
        read = bilinear(image.astype(jnp.float32) / 255, at * image.shape[0])
        # Tinted towards the ground's colour, more or less.
        tint = 0.7 * place[1]
        read = (1 - tint) * read + tint * (scene.back[:1] + read - read.mean(axis=0, keepdims=True))
        return read.mean(axis=0, keepdims=True) + (0.35 + 0.65 * strength) * (read - read.mean(axis=0, keepdims=True))

    return jnp.clip(jax.lax.switch(scene.ground, [plain, gradient, textured]), 0, 1)


def _light(key, x):
    """Exposure, a slight cast, and a light that falls from one side."""
    k_gain, k_cast, k_side = jax.random.split(key, 3)
    gain = jnp.exp(0.1 * jax.random.normal(k_gain) + 0.03 * jax.random.normal(k_cast, (1, 3)))
    return gain * (1 + (x - 0.5) @ (0.15 * jax.random.normal(k_side, (2, 1))))


def _lens(key, frame):
    """Blur and noise."""
    k_blur, k_noise, k_level = jax.random.split(key, 3)
    size = max(frame.shape[:2]) / 128
    frame = gaussian_blur(frame[None], size * 1.1 * jax.random.uniform(k_blur, (1,)) ** 2)[0]
    level = 0.05 * jax.random.uniform(k_level) ** 2
    return jnp.clip(frame + level * jax.random.normal(k_noise, frame.shape), 0, 1)


def tell(scene: Scene, picture: Picture, corner: Float[Array, "2"], pixels: int) -> Told:
    """What is true of each object. corner: of the scene in the picture; pixels: of its longer side."""
    things, boxes = scene.things, picture.boxes
    middle = ((boxes[:, :2] + boxes[:, 2:]) / 2 - corner[None]) / (pixels * scene.extent)[None]
    width = things.width / jnp.sqrt(jnp.prod(scene.extent))
    one_hot = lambda value, kind: jax.nn.one_hot(value, len(phrases.KINDS[kind]))
    u, v = middle.T
    off = jnp.max(jnp.abs(middle - 0.5), axis=-1)
    # Rises from "no" to "yes", and in between nobody can say.
    sure = lambda value, no, yes: jnp.where(value >= yes, 1.0, jnp.where(value <= no, 0.0, 0.5))
    places = [sure(z, -0.56, -0.44) for z in (-u, u - 1, -v, v - 1)] + [sure(-off, -0.27, -0.17)]
    sizes = [sure(-width, -BIG[0], -SMALL[1]), sure(width, SMALL[1], BIG[0])]
    ones, none = jnp.ones_like(width), jnp.zeros_like(width)
    true = jnp.concatenate(
        [
            one_hot(things.colour, "colour"),
            one_hot(things.shape, "shape"),
            one_hot(things.texture, "texture"),
            jnp.stack([*sizes, *places, ones, ones, ones], axis=-1),
        ],
        axis=-1,
    )
    looks = true.shape[-1] - 10
    extent = 0.5 * jnp.log(width)
    rank = jnp.stack([none, none, -u, u, -v, v, -off, -extent, extent, none], axis=-1)
    rank = jnp.concatenate([jnp.zeros((OBJECTS, looks)), rank], axis=-1)
    return Told(true, rank, things.there & (picture.seen > 0.1), things.there & (picture.seen > 0.55))
