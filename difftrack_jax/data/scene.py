"""A procedural scene in continuous time: textured layers that move, bend and hide one another.

Every layer l has a texture over the unit square u and a pose at time s. A frame asks backwards, "which u is at x?":

    v = P_l(s)^-1 x                       an affine motion (translation, rotation, scale, shear), times the camera's
    u = v + d_l(v, s)                     a smooth non-rigid bend
    colour(x) = the front-most layer whose opacity at u is high

so a frame is a gather, and the dense correspondence between times a and b is exact up to a short fixed-point iteration:
solve v + d(v, a) = u for v, then x_a = P_l(a) v. Coordinates x run over [0, 1] x [0, 1] of the frame. Layer 0 is the
background.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from difftrack_jax.data.textures import Bank
from difftrack_jax.ops.sampling import bilinear
from difftrack_jax.typing import Array, Bool, Float, Int, Key, Scalar

_WAVES = 3  # sinusoids in a bend
_HARMONICS = 2  # sinusoids in a motion


class Motion(NamedTuple):
    """Pose parameters as base + sum of sinusoids in time: x, y, log scale, angle, log aspect, shear."""

    base: Float[Array, "*l 6"]
    amplitude: Float[Array, "*l 2 6"]
    rate: Float[Array, "*l 2 6"]
    phase: Float[Array, "*l 2 6"]


class Bend(NamedTuple):
    """A sum of travelling waves of displacement, in units of the layer's own square."""

    amplitude: Float[Array, "*l 3 2"]
    frequency: Float[Array, "*l 3 2"]
    phase: Float[Array, "*l 3"]
    rate: Float[Array, "*l 3"]


class Scene(NamedTuple):
    """Layers from back to front. textures: colour in [0, 1] and opacity."""

    textures: Float[Array, "l s s 4"]
    motion: Motion
    bend: Bend
    camera: Motion
    present: Bool[Array, "l"]
    lighting: Float[Array, "l 4"]


def sample_scene(
    key: Key[Array, ""], bank: Bank, objects: int = 4, texture_size: int = 128, motion: Scalar = 1.0
) -> Scene:
    """A random scene with up to `objects` objects before a background; `motion` scales how fast everything moves."""
    k_texture, k_motion, k_bend, k_camera, k_present, k_light, k_size, k_calm = jax.random.split(key, 8)
    layers = objects + 1
    # In two scenes of five everything is cut from one image in one tint: camouflage, which colour alone cannot solve.
    shared = jax.random.bernoulli(k_texture, 0.4)
    own = jax.random.split(k_texture, layers)
    looks = jax.vmap(lambda key: jnp.where(shared, jax.random.key_data(own[0]), jax.random.key_data(key)))(own)
    textures = jax.vmap(
        lambda key, look, back: _texture(key, jax.random.wrap_key_data(look), bank, texture_size, back)
    )(own, looks, jnp.arange(layers) == 0)
    # Sizes span small to frame-filling; the background covers the frame with room for the camera.
    size = jnp.exp(jax.random.uniform(k_size, (layers,), minval=jnp.log(0.14), maxval=jnp.log(1.0))).at[0].set(1.4)
    calm = jnp.exp(jax.random.uniform(k_calm, (layers,), minval=jnp.log(0.15), maxval=0.0)).at[0].set(0.25) * motion
    present = (jax.random.uniform(k_present, (layers,)) < 0.8).at[jnp.array([0, layers - 1])].set(True)
    return Scene(
        textures,
        _sample_motion(k_motion, size, calm),
        _sample_bend(k_bend, layers, motion),
        _sample_motion(k_camera, jnp.ones(1), jax.random.uniform(k_calm, (1,)) ** 2 * motion),
        present,
        jax.random.normal(k_light, (layers, 4)),
    )


def _sample_motion(key, size, calm):
    k_base, k_amplitude, k_rate, k_phase = jax.random.split(key, 4)
    layers = size.shape[0]
    normal = jax.random.normal(k_base, (layers, 6))
    place = jax.random.uniform(jax.random.fold_in(k_base, 1), (layers, 2), minval=0.12, maxval=0.88)
    place = jnp.where((size > 1.1)[:, None] | (layers == 1), 0.5, place)
    turn = jnp.where(size > 1.1, 0.15, 1.0) * (layers > 1)
    base = jnp.concatenate(
        [
            place,
            jnp.log(size)[:, None],
            normal[:, 3:4] * turn[:, None],
            normal[:, 4:] * jnp.array([[0.25, 0.15]]) * turn[:, None],
        ],
        axis=1,
    )
    reach = jnp.array([0.28, 0.2, 0.25, 0.45, 0.12, 0.1])
    amplitude = jax.random.normal(k_amplitude, (layers, _HARMONICS, 6)) * reach[None, None] * calm[:, None, None]
    rate = (
        jax.random.uniform(k_rate, (layers, _HARMONICS, 6), minval=0.5, maxval=4.0)
        * jnp.array([1.0, 2.5])[None, :, None]
    )
    phase = jax.random.uniform(k_phase, (layers, _HARMONICS, 6), maxval=2 * jnp.pi)
    return Motion(base, amplitude * jnp.array([1.0, 0.4])[None, :, None], rate, phase)


def _sample_bend(key, layers, motion):
    k_amplitude, k_frequency, k_phase, k_rate, k_strength = jax.random.split(key, 5)
    strength = 0.05 * jax.random.uniform(k_strength, (layers, 1, 1)) ** 1.5 * jnp.minimum(motion, 1.0)
    strength = strength.at[0].multiply(0.4)
    frequency = jax.random.uniform(k_frequency, (layers, _WAVES, 2), minval=-1.3, maxval=1.3)
    phase = jax.random.uniform(k_phase, (layers, _WAVES), maxval=2 * jnp.pi)
    rate = jax.random.uniform(k_rate, (layers, _WAVES), maxval=8.0)
    amplitude = jax.random.normal(k_amplitude, (layers, _WAVES, 2)) * strength
    # Slopes that add up to less than one: no bend folds over itself, and `from_texture` converges everywhere.
    lengths = jnp.linalg.norm(amplitude, axis=-1), jnp.linalg.norm(frequency, axis=-1)
    slope = jnp.sum(2 * jnp.pi * lengths[0] * lengths[1], axis=-1)[:, None, None]
    return Bend(amplitude * 0.8 / jnp.maximum(slope, 0.8), frequency, phase, rate)


def _texture(key, look, bank, size, background):
    """A random view of an image of the bank, tinted and shaded; objects are cut out along an outline.

    look: the key of what makes layers look alike (image and tint); key: that of everything else.
    """
    k_view, k_shape, k_shade = jax.random.split(key, 3)
    k_pick, k_tint = jax.random.split(look)
    image = bank.images[jax.random.randint(k_pick, (), 0, bank.images.shape[0])]
    axis = (jnp.arange(size) + 0.5) / size - 0.5
    v = jnp.stack(jnp.meshgrid(axis, axis, indexing="xy"), axis=-1).reshape(-1, 2)
    colour = _tint(k_tint, _view(k_view, image, v, background).reshape(size, size, 3))
    shade = 0.55 + 0.9 * jax.random.uniform(k_shade, (3, 3, 1)) ** 0.5
    colour = colour * jax.image.resize(shade, (size, size, 1), "cubic")
    opacity = jnp.where(background, 1.0, _outline(k_shape, v).reshape(size, size, 1))
    return jnp.concatenate([jnp.clip(colour, 0, 1), opacity], axis=-1)


def _view(key, image, v, background):
    """The image through a random rotation, zoom and mirror: backgrounds upright and whole, objects a turned detail."""
    angle, zoom, mirror, *shift = jax.random.uniform(key, (5,))
    angle = jnp.where(background, 0.6 * (angle - 0.5), 2 * jnp.pi * angle)
    zoom = jnp.where(background, 0.55 + 0.4 * zoom, 0.2 + 0.5 * zoom)
    c, s = jnp.cos(angle) * zoom, jnp.sin(angle) * zoom
    turn = jnp.stack([jnp.stack([c, -s]) * jnp.where(mirror < 0.5, -1.0, 1.0), jnp.stack([s, c])])
    centre = 0.5 + (jnp.stack(shift) - 0.5) * jnp.maximum(1 - 1.3 * zoom, 0.0)
    side = image.shape[0]
    return bilinear(image.astype(jnp.float32) / 255.0, (v @ turn.T + centre[None]) * side)


def _tint(key, colour):
    k_gain, k_power, k_swap, k_flat = jax.random.split(key, 4)
    gain = jnp.exp(0.3 * jax.random.normal(k_gain, (3,)))
    power = jnp.exp(0.35 * jax.random.normal(k_power))
    swap = jnp.where(jax.random.bernoulli(k_flat, 0.6), jnp.eye(3), jax.random.permutation(k_swap, jnp.eye(3)))
    flat = jax.random.uniform(k_flat) ** 3  # some layers have almost no texture
    colour = (1 - flat) * colour + flat * colour.mean(axis=(0, 1), keepdims=True)
    return jnp.clip((colour @ swap) ** power * gain[None, None], 0, 1)


def _outline(key, v):
    """Opacity of a blob, a rounded box, a bar, or a blob with a bite, over v in [-0.5, 0.5]^2; soft edges."""
    k_kind, k_lobes, k_phase, k_shape = jax.random.split(key, 4)
    p = v * 2
    radius = jnp.linalg.norm(p + 1e-6, axis=-1)
    angle = jnp.arctan2(p[:, 1], p[:, 0])
    order = jnp.arange(1, 7)
    lobes = 0.28 * jax.random.normal(k_lobes, (6,)) / order**0.8
    phase = jax.random.uniform(k_phase, (6,), maxval=2 * jnp.pi)
    wobble = jnp.sum(lobes[None] * jnp.cos(order[None] * angle[:, None] + phase[None]), axis=-1)
    a, b, c, d = jax.random.uniform(k_shape, (4,))
    blob = 0.62 * jnp.exp(wobble) - radius
    box_power = 2 + 6 * c
    stretch = jnp.stack([0.45 + 0.5 * a, 0.45 + 0.5 * b])
    box = 0.95 - (jnp.sum((jnp.abs(p) / stretch[None]) ** box_power, axis=-1) + 1e-9) ** (1 / box_power)
    bar = jnp.minimum(0.1 + 0.2 * a - jnp.abs(p[:, 1] + 0.25 * wobble), 0.9 - jnp.abs(p[:, 0]))
    bite = jnp.minimum(blob, jnp.linalg.norm(p - (jnp.stack([c, d]) - 0.5)[None] * 1.2, axis=-1) - 0.12 - 0.2 * a)
    kinds = jnp.stack([blob, box, bar, bite])
    kind = jax.random.choice(k_kind, 4, p=jnp.array([0.4, 0.25, 0.15, 0.2]))
    inside = jnp.minimum(kinds[kind], 0.97 - jnp.max(jnp.abs(p), axis=-1))
    return jax.nn.sigmoid(inside * 60)


def pose(motion: Motion, s: Float[Array, ""]) -> tuple[Float[Array, "*l 2 2"], Float[Array, "*l 2"]]:
    """The affine map v -> x at time s: matrix and offset."""
    swing = jnp.sum(motion.amplitude * jnp.sin(motion.rate * s + motion.phase), axis=-2)
    x, y, log_size, angle, log_aspect, shear = jnp.moveaxis(motion.base + swing, -1, 0)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    turn = jnp.stack([jnp.stack([cos, -sin], -1), jnp.stack([sin, cos], -1)], -2)
    size = jnp.exp(log_size)
    zero = jnp.zeros_like(x)
    stretch = jnp.stack(
        [
            jnp.stack([size * jnp.exp(log_aspect), size * shear], -1),
            jnp.stack([zero, size * jnp.exp(-log_aspect)], -1),
        ],
        -2,
    )
    return turn @ stretch, jnp.stack([x, y], -1)


def frame_maps(scene: Scene, s: Float[Array, ""]) -> tuple[Float[Array, "l 2 2"], Float[Array, "l 2"]]:
    """v -> x of every layer at time s, the camera's own motion included. v runs over [-0.5, 0.5]^2."""
    matrix, offset = pose(scene.motion, s)
    camera, shift = pose(scene.camera, s)
    return camera @ matrix, jnp.einsum("oij,lj->li", camera, offset - 0.5) + shift


def bend(parameters: Bend, v: Float[Array, "l p 2"], s: Float[Array, ""]) -> Float[Array, "l p 2"]:
    """Displacement d(v, s) of each layer."""
    fx, fy = jnp.moveaxis(2 * jnp.pi * parameters.frequency, -1, 0)
    angle = v[..., :1] * fx[:, None] + v[..., 1:] * fy[:, None]
    wave = jnp.sin(angle + (parameters.phase + parameters.rate * s)[:, None])
    return jnp.sum(wave[..., None] * parameters.amplitude[:, None], axis=2)


def to_texture(scene: Scene, x: Float[Array, "p 2"], s: Float[Array, ""]) -> Float[Array, "l p 2"]:
    """u of every layer at the frame points x."""
    matrix, offset = frame_maps(scene, s)
    v = jnp.einsum("lij,lpj->lpi", jnp.linalg.inv(matrix), x[None] - offset[:, None])
    return v + bend(scene.bend, v, s)


def from_texture(
    scene: Scene, u: Float[Array, "l p 2"], s: Float[Array, ""], iterations: int = 20
) -> Float[Array, "l p 2"]:
    """The frame points x of texture points u: the inverse of `to_texture`, by fixed-point iteration on v = u - d(v)."""
    v = jax.lax.fori_loop(0, iterations, lambda _, v: u - bend(scene.bend, v, s), u)
    matrix, offset = frame_maps(scene, s)
    return jnp.einsum("lij,lpj->lpi", matrix, v) + offset[:, None]


def read_textures(scene: Scene, u: Float[Array, "l p 2"]) -> Float[Array, "l p 4"]:
    """Colour and opacity at u; an object is nothing outside its square, the background repeats by reflection."""
    size = scene.textures.shape[1]
    folded = jnp.abs(jnp.mod(u + 0.5, 2.0) - 1.0)  # a triangle wave: reflection at both borders
    rgba = jax.vmap(bilinear)(scene.textures, (1.0 - folded) * size)
    inside = jnp.max(jnp.abs(u), axis=-1) < 0.5
    inside = (inside | (jnp.arange(u.shape[0]) == 0)[:, None]) & scene.present[:, None]
    return jnp.concatenate([rgba[..., :3], rgba[..., 3:] * inside[..., None]], axis=-1)


def front(opacity: Float[Array, "l p"]) -> Int[Array, "p"]:
    """The front-most layer that is more opaque than not."""
    order = jnp.arange(opacity.shape[0])[:, None]
    return jnp.max(jnp.where(opacity > 0.5, order, 0), axis=0)


def correspond(
    scene: Scene, x: Float[Array, "p 2"], b: Float[Array, ""], a: Float[Array, ""]
) -> tuple[Float[Array, "p 2"], Bool[Array, "p"]]:
    """Where the surface seen at x in frame b is in frame a, and whether it can be seen there (inside, and in front)."""
    u = to_texture(scene, x, b)
    layer = front(read_textures(scene, u)[..., 3])
    x_a = follow(scene, jnp.take_along_axis(u, layer[None, :, None], axis=0)[0], layer, a)
    return x_a, visible(scene, x_a, layer, a)


def follow(scene: Scene, u: Float[Array, "p 2"], layer: Int[Array, "p"], s: Float[Array, ""]) -> Float[Array, "p 2"]:
    """Frame points at time s of texture points u on the given layers."""
    every = from_texture(scene, jnp.broadcast_to(u[None], (scene.textures.shape[0], *u.shape)), s)
    return jnp.take_along_axis(every, layer[None, :, None], axis=0)[0]


def visible(scene: Scene, x: Float[Array, "p 2"], layer: Int[Array, "p"], s: Float[Array, ""]) -> Bool[Array, "p"]:
    """x lies inside the frame and `layer` is the front-most there."""
    inside = jnp.all((x >= 0) & (x < 1), axis=-1)
    return inside & (front(read_textures(scene, to_texture(scene, x, s))[..., 3]) == layer)
