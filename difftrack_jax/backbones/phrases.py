"""The bundled word encoder (models/grounding.py) as a backbone carries it: phrases in, boxes in pixels out."""

import functools
import pathlib

import jax
import jax.numpy as jnp

from difftrack_jax.backbones.base import Phrases
from difftrack_jax.checkpoints import bundled
from difftrack_jax.data import phrases
from difftrack_jax.errors import UserError
from difftrack_jax.models import variants
from difftrack_jax.models.grounding import Grounding
from difftrack_jax.ops import windows
from difftrack_jax.typing import Array, Float, Int, Params


def read_phrases(source: str) -> Phrases:
    """From a bundled name or a weight file of configs/train/mini_words.py; its words and size are in its header."""
    path = pathlib.Path(source)
    path = path if path.is_file() else bundled.bundled(source)
    variant, params = bundled.load(path)
    if variant not in variants.GROUNDING:
        raise UserError(f"weights {source}: of a {variant!r}; those of configs/train/mini_words.py find phrases")
    notes = bundled.notes(path)
    words = ("", *notes["words"].split())
    net = Grounding(len(words), **variants.GROUNDING[variant])
    read = functools.partial(phrases.read, words=words)
    return Phrases(params, phrases.ABOUT, read, functools.partial(_locate, net, int(notes["size"])))


def _locate(
    net: Grounding, size: int, params: Params, frame: Float[Array, "h w 3"], numbers: Int[Array, "n s"]
) -> tuple[Float[Array, "q 4"], Float[Array, "n q"], Float[Array, "n q"]]:
    """The frame is seen whole, letterboxed to a square of `size`."""
    height, width = frame.shape[:2]
    longest = max(height, width)
    sides = jnp.array([width, height], jnp.float32)
    window = jnp.concatenate([(sides - longest) / 2, (sides + longest) / 2])
    seen = windows.crop(frame, window, (size, size))
    cells = net.apply({"params": params}, seen[None], sides[None] / longest)
    found = net.apply({"params": params}, cells, numbers[None], method=net.find)
    corners = windows.from_window(cells.box[0].reshape(-1, 2), window, (size, size))
    boxes = jnp.clip(corners, 0.0, sides[None]).reshape(-1, 4)
    return boxes, found.heat[0], jax.nn.sigmoid(found.fits[0]) * cells.inside
