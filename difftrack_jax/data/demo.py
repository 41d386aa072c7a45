"""A clip that needs no file: `synthetic:SEED[:FRAMES]`, drawn from procedural textures while it is read.

clip = demo_clip("synthetic:5")
clip.source                 # frames, as of any other video
clip.targets                # what to follow in it: plain dicts {"kind", "args"}
clip.truth(range(0, 60))    # masks, boxes and the paths of points
"""

import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from difftrack_jax.data import synthetic
from difftrack_jax.data.scene import Scene, sample_scene
from difftrack_jax.data.synthetic import Tracks
from difftrack_jax.data.textures import Bank, procedural_bank
from difftrack_jax.data.video import Source
from difftrack_jax.errors import UserError
from difftrack_jax.ops.sampling import gaussian_blur
from difftrack_jax.typing import Array, Float, HostFrame, UInt8

PREFIX = "synthetic:"
SIZE = (240, 320)  # height, width
FPS, FRAMES = 25.0, 60
_CHUNK = 4  # frames drawn at once
_PACE = 0.014  # scene time a frame: motion of a few pixels
_START = 0.5


class DemoClip(NamedTuple):
    """A procedural clip, its scene, and default targets in its first frame."""

    source: Source
    scene: Scene
    targets: tuple[dict[str, Any], ...]

    def truth(self, indices: Sequence[int], points: Sequence[Sequence[float]] = ()) -> Tracks:
        """Ground truth at some frames, in numpy; `points` are pixels of the first of them."""
        return _truth(self.scene, indices, points)


def demo_clip(spec: str) -> DemoClip:
    """The clip of `synthetic:SEED` (60 frames) or `synthetic:SEED:FRAMES`."""
    parts = spec.removeprefix(PREFIX).split(":")
    if not all(part.isdecimal() for part in parts) or len(parts) > 2 or not all(len(p) < 10 for p in parts):
        raise UserError(f"{spec}: needs a seed, as in synthetic:5 (synthetic:5:200 has 200 frames)")
    seed, frames = int(parts[0]), int(parts[1]) if len(parts) == 2 else FRAMES
    if frames < 1:
        raise UserError(f"{spec}: has no frames")
    scene = _scene(jax.random.key(seed), procedural_bank(seed))
    read = functools.partial(_read, scene, jax.random.key(seed), frames)
    source = Source(spec, SIZE[1], SIZE[0], FPS, frames, read)
    return DemoClip(source, scene, default_targets(scene))


def default_targets(scene: Scene) -> tuple[dict[str, Any], ...]:
    """A box, a point and a segment on up to three objects: in front, of a fair size, always in sight."""
    truth = _truth(scene, (0, 15, 30, 45, FRAMES - 1))
    share = truth.masks.mean((-2, -1))
    good = (share[:, 0] < 0.25) & (share.min(axis=1) > 0.012)
    rank = sorted(range(len(share)), key=lambda n: (good[n], n if good[n] else share[n].min()), reverse=True)
    rank = [n for n in rank if truth.visible[n, 0]]
    if not rank:
        return ({"kind": "point", "args": [SIZE[1] / 2, SIZE[0] / 2]},)
    return tuple(make(truth.masks[n, 0], truth.boxes[n, 0]) for make, n in zip((_box, _point, _segment), rank))


def _box(mask, box):
    return {"kind": "box", "args": [float(side) for side in box]}


def _point(mask, box):
    """The pixel deepest inside the mask."""
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(depth.argmax(), depth.shape)
    return {"kind": "point", "args": [float(x) + 0.5, float(y) + 0.5]}


def _segment(mask, box):
    return {"kind": "segment", "args": mask}


@jax.jit
def _scene(key: Array, bank: Bank) -> Scene:
    return sample_scene(key, bank, objects=4, texture_size=256)


def _times(indices) -> Float[Array, "t"]:
    return _START + _PACE * jnp.asarray(indices, jnp.float32)


def _read(scene: Scene, key: Array, frames: int, start: int) -> Iterator[HostFrame]:
    """Frames from `start` on. Chunks begin at multiples of their length: no frame depends on the start."""
    for first in range(start - start % _CHUNK, frames, _CHUNK):
        chunk = np.asarray(_draw(scene, key, jnp.arange(first, first + _CHUNK)))
        yield from chunk[max(start - first, 0) : frames - first]


@jax.jit
def _draw(scene: Scene, key: Array, indices: Array) -> UInt8[Array, "t h w 3"]:
    """The frames as a fair camera sees them: a touch of blur, and fresh noise in each."""
    frames = synthetic.render(scene, _times(indices), SIZE).frames
    frames = gaussian_blur(frames, jnp.full(indices.shape, 0.5))
    noise = jax.vmap(lambda i: jax.random.normal(jax.random.fold_in(key, i), frames.shape[1:]))(indices)
    return jnp.rint(jnp.clip((frames + 0.015 * noise + 1) * 127.5, 0, 255)).astype(jnp.uint8)


def _truth(scene: Scene, indices: Sequence[int], points: Sequence[Sequence[float]] = ()) -> Tracks:
    times, start = _times(np.asarray(indices)), jnp.asarray(points, jnp.float32).reshape(-1, 2)
    return jax.tree.map(np.asarray, _follow(scene, times, start))


@jax.jit
def _follow(scene: Scene, times: Array, points: Array) -> Tracks:
    return synthetic.ground_truth(scene, synthetic.render(scene, times, SIZE), times, points)
