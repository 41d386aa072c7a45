"""Textures for procedural video: families drawn on the device, and crops of photographs where there are any.

A procedural texture is a sum of random waves pushed through a random palette; what the waves are (plane waves, rings,
cells, checks, noise over several octaves) makes the family. Photographs come from the scikit-image package (extra
`train`), whose images are free to use; without it the bank is procedural too, so clips and tests need no download.
"""

import glob
import pathlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from difftrack_jax.errors import UserError
from difftrack_jax.typing import Array, Float, Key, UInt8

_PHOTOGRAPHS = (
    "astronaut", "brick", "camera", "chelsea", "coffee", "coins", "grass", "gravel", "hubble_deep_field",
    "immunohistochemistry", "moon", "page", "retina", "rocket", "text", "stereo_motorcycle",
)  # fmt: skip


class Bank(NamedTuple):
    """Square colour images in [0, 1]."""

    images: UInt8[Array, "k s s 3"]


def photograph_bank(seed: int = 0, crops: int = 96, size: int = 256, folder: str = "") -> Bank:
    """Random crops at random scales of the photographs that ship inside scikit-image (no download).

    folder: of more images (png, jpg; searched in depth), which the crops are taken from likewise. Raises ImportError
    where scikit-image is missing: `pip install difftrack_jax[train]`; UserError where the folder holds no image.
    """
    from skimage import data, transform

    rng = np.random.default_rng(seed)
    photographs = [_colour(_first(getattr(data, name)())) for name in _PHOTOGRAPHS] + _images_in(folder)
    bank = []
    for index in range(crops):
        image = photographs[index % len(photographs)].astype(np.float32) / 255.0
        side = int(min(image.shape[:2]) * rng.uniform(0.35, 1.0))
        y, x = (rng.integers(0, n - side + 1) for n in image.shape[:2])
        crop = transform.resize(image[y : y + side, x : x + side], (size, size), anti_aliasing=True)
        bank.append(np.rint(crop * 255).astype(np.uint8))
    return Bank(jnp.asarray(np.stack(bank)))


def _images_in(folder: str, least: int = 128, most: int = 1024) -> list[np.ndarray]:
    """The images of a folder of at least so many pixels a side; of those with twice the most, every n-th pixel."""
    if not folder:
        return []
    from skimage import io

    paths = glob.glob(str(pathlib.Path(folder) / "**"), recursive=True)  # it follows links, rglob does not
    paths = [path for path in sorted(paths) if path.lower().endswith((".png", ".jpg", ".jpeg"))]
    images = (_colour(_read(io.imread, path)) for path in paths)
    images = [image[:: (step := max(min(image.shape[:2]) // most, 1)), ::step] for image in images]
    images = [image for image in images if min(image.shape[:2]) >= least]
    if not images:
        raise UserError(f"{folder}: holds no png or jpg image of {least} pixels a side or more")
    return images


def _read(reader, path):
    try:
        return reader(path)
    except Exception as error:
        raise UserError(f"{path}: not a readable image ({error})") from error


def _first(image):
    """scikit-image's stereo pair is a tuple."""
    return image[0] if isinstance(image, tuple) else image


def _colour(image: np.ndarray) -> UInt8[np.ndarray, "h w 3"]:
    """Grey becomes colour; what is transparent, the mean of what is not."""
    from skimage import util

    image = util.img_as_ubyte(image)
    image = image[..., None] if image.ndim == 2 else image
    if image.shape[-1] in (1, 2):
        image = np.concatenate([np.repeat(image[..., :1], 3, -1), image[..., 1:]], axis=-1)
    if image.shape[-1] == 4:
        alpha = image[..., 3:] / 255.0
        mean = (image[..., :3] * alpha).sum((0, 1)) / max(alpha.sum(), 1.0)
        image = (image[..., :3] * alpha + mean * (1 - alpha)).astype(np.uint8)
    return image


def procedural_bank(seed: int = 0, count: int = 24, size: int = 256) -> Bank:
    """A bank drawn by `waves`, for clips that must not depend on any package's photographs."""
    keys = jax.random.split(jax.random.key(seed), count)
    draw = jax.jit(lambda keys: jax.lax.map(lambda key: jnp.rint(waves(key, size) * 255).astype(jnp.uint8), keys))
    return Bank(draw(keys))


def training_bank(seed: int = 0, folder: str = "") -> Bank:
    """Photographs and procedural textures, three to two; three times as many where there is a folder."""
    more = 3 if folder else 1
    photographs = photograph_bank(seed, crops=more * 288, folder=folder)
    return Bank(jnp.concatenate([photographs.images, procedural_bank(seed, count=more * 192).images]))


def waves(key: Key[Array, ""], size: int, terms: int = 10) -> Float[Array, "size size 3"]:
    """One random procedural texture in [0, 1]."""
    k_freq, k_phase, k_dir, k_kind, k_mix, k_palette, k_warp = jax.random.split(key, 7)
    axis = (jnp.arange(size) + 0.5) / size
    y, x = jnp.meshgrid(axis, axis, indexing="ij")
    bend = jax.random.uniform(k_warp, (2, 3), minval=-1.0, maxval=1.0) * jnp.array([[0.06, 2.5, 3.0]])
    x, y = (
        x + bend[0, 0] * jnp.sin(6.3 * (bend[0, 1] * y + bend[0, 2])),
        y + bend[1, 0] * jnp.sin(6.3 * (bend[1, 1] * x + bend[1, 2])),
    )
    frequency = 2.0 ** jax.random.uniform(k_freq, (terms,), minval=0.0, maxval=4.7)
    angle = jax.random.uniform(k_dir, (terms,), maxval=2 * jnp.pi)
    phase = jax.random.uniform(k_phase, (terms,), maxval=2 * jnp.pi)
    along = (
        x[..., None] * (frequency * jnp.cos(angle))[None, None]
        + y[..., None] * (frequency * jnp.sin(angle))[None, None]
    )
    plane = jnp.sin(2 * jnp.pi * along + phase[None, None])
    layers = _family(k_kind, plane, along, frequency)
    amplitude = frequency ** -jax.random.uniform(k_mix, minval=0.0, maxval=1.0)
    palette = jax.random.normal(k_palette, (terms, 3)) * amplitude[:, None]
    # A shared direction in colour space keeps most textures from being rainbows.
    common = jax.random.normal(jax.random.fold_in(k_palette, 1), (1, 3))
    grey = jax.random.uniform(jax.random.fold_in(k_palette, 2))
    palette = grey * palette.mean(axis=1, keepdims=True) * common * 1.7 + (1 - grey) * palette
    base = jax.random.normal(jax.random.fold_in(k_palette, 3), (3,)) * 1.2
    contrast = jax.random.uniform(jax.random.fold_in(k_palette, 4), minval=0.3, maxval=2.0)
    return jax.nn.sigmoid(base[None, None] + contrast * (layers @ palette) / jnp.linalg.norm(amplitude))


def _family(key, plane, along, frequency):
    """Plane waves, hard stripes, products of neighbours (checks, dots), cells, or sparse spots."""
    kind = jax.random.randint(key, (), 0, 5)
    rolled = jnp.roll(plane, 1, axis=-1)
    return jax.lax.switch(
        kind,
        [
            lambda: plane,
            lambda: jnp.tanh(6 * plane),
            lambda: jnp.tanh(4 * plane * rolled),
            lambda: jnp.abs(jnp.mod(along + 0.3 * rolled, 1.0) - 0.5) * 4 - 1,
            lambda: 3 * jax.nn.relu(plane * rolled - 0.45) - 0.3,
        ],
    )
