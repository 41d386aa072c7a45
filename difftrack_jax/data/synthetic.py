"""Procedural video with full ground truth, drawn on the device: frames, identities, boxes, points, correspondence.

    clip = render(scene, times, size)            # everything jitted; one clip or, under vmap, a batch
    x_a, seen = scene.correspond(scene, x_b, b, a)

`training_batch` draws what the tracker learns from: three moments of a scene at random gaps, the first of which is
the reference, with the true source of every grid cell of the other two, whole or through windows that follow an
object as the tracker's do. `data/demo.py` makes the smooth clip that `--config.video=synthetic:SEED` tracks.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from difftrack_jax.data.scene import (
    Scene,
    correspond,
    follow,
    frame_maps,
    front,
    read_textures,
    sample_scene,
    to_texture,
    visible,
)
from difftrack_jax.data.textures import Bank
from difftrack_jax.ops.masks import mask_box
from difftrack_jax.ops.sampling import cell_centres, gaussian_blur
from difftrack_jax.typing import Array, Bool, Float, Int, Key


class Clip(NamedTuple):
    """frames in [-1, 1]; ids: the front-most layer of every pixel (0 is the background)."""

    frames: Float[Array, "t h w 3"]
    ids: Int[Array, "t h w"]


class Pairs(NamedTuple):
    """Reference frames and, for each, r queries with the true sources of every query cell.

    source: (x, y) in cells, first in the reference frame, then in the query before this one (for the first query,
    the last); seen: that source is visible; object_: the cell is on an object.
    """

    reference: Float[Array, "b h w 3"]
    query: Float[Array, "b r h w 3"]
    source: Float[Array, "b r 2 m 2"]
    seen: Bool[Array, "b r 2 m"]
    object_: Bool[Array, "b r m"]


def render(
    scene: Scene, times: Float[Array, "t"], size: tuple[int, int], views: Float[Array, "t 3"] | None = None
) -> Clip:
    """Draw the scene at the given times; size is (height, width) in pixels. Lighting included, lens effects not.

    views: x, y of a corner and the longer side of the part that each frame shows; the whole where there are none.
    """
    h, w = size
    # The scene's unit is the longer side, so that wide frames show more and stretch nothing.
    x = cell_centres(h, w) / max(h, w)
    views = _whole(times.shape[0]) if views is None else views

    def draw(moment):
        s, view = moment
        rgba = read_textures(scene, to_texture(scene, _through(view, x), s))
        opacity = rgba[..., 3:]
        lit = rgba[..., :3] * _light(scene, s)[:, None]
        colour = jnp.sum(lit * opacity * _shield(opacity), axis=0)
        return jnp.clip(colour, 0, 1).reshape(h, w, 3) * 2 - 1, front(opacity[..., 0]).reshape(h, w)

    return Clip(*jax.lax.map(draw, (times, views)))


def _whole(t: int) -> Float[Array, "{t} 3"]:
    """Views of all there is."""
    return jnp.tile(jnp.array([0.0, 0.0, 1.0]), (t, 1))


def _through(view: Float[Array, "3"], x: Float[Array, "p 2"]) -> Float[Array, "p 2"]:
    """Where in the scene a place of a view is; both in units of their longer side."""
    return view[None, :2] + view[2] * x


def _shield(opacity):
    """Transmission of all layers in front of each, without dividing by a layer's own transparency."""
    after = jnp.concatenate([1 - opacity[1:], jnp.ones_like(opacity[:1])], axis=0)
    return jnp.cumprod(after[::-1], axis=0)[::-1]


def _light(scene: Scene, s: Float[Array, ""]) -> Float[Array, "l 3"]:
    """Slowly changing gain of each layer, common to all colours but for a slight cast."""
    swing = jnp.sin(scene.lighting[:, :1] * 3 * s + 6.3 * scene.lighting[:, 1:2])
    return 1 + 0.15 * swing * (1 + 0.2 * scene.lighting[:, 1:])


def lens(key: Key[Array, ""], frames: Float[Array, "t h w 3"]) -> Float[Array, "t h w 3"]:
    """What a camera does to each frame on its own: exposure, colour cast, shake, defocus, noise."""
    k_gain, k_cast, k_blur, k_noise, k_level, k_shake = jax.random.split(key, 6)
    t = frames.shape[0]
    gain = jnp.exp(0.1 * jax.random.normal(k_gain, (t, 1, 1, 1)) + 0.03 * jax.random.normal(k_cast, (t, 1, 1, 3)))
    blur = 1.6 * jax.random.uniform(k_blur, (t,)) ** 2
    level = 0.08 * jax.random.uniform(k_level, (t, 1, 1, 1)) ** 2
    frames = gaussian_blur((frames + 1) * gain - 1, blur)
    frames = jax.vmap(_shake)(jax.random.split(k_shake, t), frames)
    return jnp.clip(frames + level * jax.random.normal(k_noise, frames.shape), -1, 1)


def _shake(key: Key[Array, ""], frame: Float[Array, "h w 3"], taps: int = 5) -> Float[Array, "h w 3"]:
    """In one frame of three, the mean along a short straight path: a camera that moved while the shutter was open."""
    k_often, k_angle, k_length = jax.random.split(key, 3)
    angle = jax.random.uniform(k_angle, maxval=jnp.pi)
    length = jnp.where(jax.random.bernoulli(k_often, 1 / 3), jax.random.uniform(k_length, maxval=0.07), 0.0)
    direction = length * max(frame.shape[:2]) * jnp.stack([jnp.sin(angle), jnp.cos(angle)])
    at = (jnp.arange(taps) - taps // 2) / (taps - 1)
    move = lambda share: jax.image.scale_and_translate(
        frame, frame.shape, (0, 1), jnp.ones(2), share * direction, method="linear", antialias=False
    )
    # What slides in from outside is black: the whole is renormalised by what a frame of ones would keep.
    ones = lambda share: jax.image.scale_and_translate(
        jnp.ones((*frame.shape[:2], 1)),
        (*frame.shape[:2], 1),
        (0, 1),
        jnp.ones(2),
        share * direction,
        method="linear",
        antialias=False,
    )
    return sum(move(a) for a in at) / jnp.maximum(sum(ones(a) for a in at), 1.0)


def shadows(key: Key[Array, ""], frames: Float[Array, "t h w 3"]) -> Float[Array, "t h w 3"]:
    """Soft-edged shade over part of every frame, another in each: what looks change by when things turn or move on."""
    k_field, k_depth = jax.random.split(key)
    t, h, w, _ = frames.shape
    field = jax.image.resize(jax.random.normal(k_field, (t, 4, 4, 1)), (t, h, w, 1), "cubic")
    depth = 0.8 * jax.random.uniform(k_depth, (t, 1, 1, 1)) ** 2
    return (frames + 1) * jnp.exp(-depth * jax.nn.sigmoid(5 * field)) - 1


def training_times(key: Key[Array, ""], queries: int) -> Float[Array, "{queries}+1"]:
    """A reference time and queries at gaps from one frame to most of a clip; a clip lasts one unit of time."""
    k_start, k_gap, k_sign = jax.random.split(key, 3)
    gaps = jnp.exp(jax.random.uniform(k_gap, (queries,), minval=jnp.log(0.02), maxval=jnp.log(0.8)))
    sign = jnp.where(jax.random.bernoulli(k_sign, shape=(queries,)), 1.0, -1.0)
    start = jax.random.uniform(k_start, (1,), maxval=4.0)
    return jnp.concatenate([start, start + sign * gaps])


def training_views(key: Key[Array, ""], scene: Scene, times: Float[Array, "t"]) -> Float[Array, "t 3"]:
    """What a tracker's windows show: some place on an object that it follows, not quite in the middle; or the whole.

    A window holds from a part of the object, as those around points do, to two and a half of it.
    """
    k_object, k_place, k_side, k_off, k_whole = jax.random.split(key, 5)
    index = jax.random.categorical(k_object, jnp.where(scene.present.at[0].set(False), 0.0, -jnp.inf))
    place = jax.random.uniform(k_place, (2,), minval=-0.3, maxval=0.3)

    def at(s):
        matrix, offset = frame_maps(scene, s)
        return matrix[index] @ place + offset[index]

    side = jnp.exp(scene.motion.base[index, 2] + jax.random.uniform(k_side, minval=jnp.log(0.3), maxval=jnp.log(2.5)))
    side = jnp.where(jax.random.bernoulli(k_whole, 0.25), 1.0, jnp.clip(side, 0.15, 1.0))
    middle = jax.vmap(at)(times) + 0.15 * side * jax.random.normal(k_off, (times.shape[0], 2))
    corner = jnp.clip(middle - side / 2, 0.0, 1.0 - side)
    return jnp.concatenate([corner, jnp.broadcast_to(side, (times.shape[0], 1))], axis=1)


@partial(jax.jit, static_argnames=("batch", "size", "grid", "queries", "objects", "windows"))
def training_batch(
    key: Key[Array, ""],
    bank: Bank,
    *,
    batch: int,
    size: int = 128,
    grid: int = 16,
    queries: int = 2,
    objects: int = 4,
    windows: bool = False,
) -> Pairs:
    """`batch` scenes, each as one reference and `queries` query frames of size x size with a grid x grid of sources.

    windows: show what a tracker's windows show (`training_views`), not always the whole frame.
    """

    def one(key):
        k_scene, k_time, k_lens, k_speed, k_shade, k_view = jax.random.split(key, 6)
        speed = jnp.exp(0.1 + 0.45 * jax.random.normal(k_speed))
        scene = sample_scene(k_scene, bank, objects, size, speed)
        times = training_times(k_time, queries)
        views = training_views(k_view, scene, times) if windows else _whole(queries + 1)
        frames = lens(k_lens, shadows(k_shade, render(scene, times, (size, size), views).frames))
        x = cell_centres(grid, grid) / grid
        first = jnp.zeros((queries,), jnp.int32)
        before = jnp.stack([first, jnp.roll(jnp.arange(queries), 1) + 1], axis=1)

        def source(query, known):
            x_a, seen = correspond(scene, _through(views[query], x), times[query], times[known])
            x_a = (x_a - views[known, None, :2]) / views[known, 2]
            return x_a, seen & jnp.all((x_a >= 0) & (x_a < 1), axis=-1)

        def on_object(query):
            u = to_texture(scene, _through(views[query], x), times[query])
            return front(read_textures(scene, u)[..., 3]) > 0

        query = jnp.arange(1, queries + 1)
        found, seen = jax.vmap(lambda q, pair: jax.vmap(lambda a: source(q, a))(pair))(query, before)
        return Pairs(frames[0], frames[1:], found * grid, seen, jax.vmap(on_object)(query))

    return jax.vmap(one)(jax.random.split(key, batch))


class Tracks(NamedTuple):
    """Ground truth of a clip in pixels, one row per object or point.

    boxes: of the visible part of each object, zero where it cannot be seen. visible: at least 20 of its pixels can.
    """

    masks: Bool[Array, "n t h w"]
    boxes: Float[Array, "n t 4"]
    visible: Bool[Array, "n t"]
    points: Float[Array, "p t 2"]
    point_visible: Bool[Array, "p t"]


def ground_truth(scene: Scene, clip: Clip, times: Float[Array, "t"], points: Float[Array, "p 2"]) -> Tracks:
    """Masks and boxes of every object, and the paths of `points` (pixels of the first frame)."""
    _, h, w = clip.ids.shape
    objects = jnp.arange(1, scene.textures.shape[0])
    masks = clip.ids[None] == objects[:, None, None, None]
    u = to_texture(scene, points / max(h, w), times[0])
    layer = front(read_textures(scene, u)[..., 3])
    u = jnp.take_along_axis(u, layer[None, :, None], axis=0)[0]
    x = jax.vmap(lambda s: follow(scene, u, layer, s))(times)
    limit = jnp.array([w, h]) / max(h, w)
    seen = jax.vmap(lambda x, s: visible(scene, x, layer, s) & jnp.all(x < limit[None], axis=-1))(x, times)
    boxes = jax.vmap(jax.vmap(mask_box))(masks)
    return Tracks(masks, boxes, masks.sum((-2, -1)) >= 20, jnp.swapaxes(x, 0, 1) * max(h, w), seen.T)
