"""Words as an indication (DINTR, app. D): attention to a phrase in one frame becomes boxes, which are then tracked.

    a      = A_X(cell, the phrase's words) - A_X(cell, the same places of the empty prompt), above zero
    A*     = A_S^beta a                                                    beta = 4 (Alg. D.5)
    boxes  = extents of the connected parts where A* is over half its largest value, strongest first           [D]

The frame is noised to several levels (backbones/choices.py) and all phrases are read in one pass, the empty prompt
beside them: what its null tokens attend to is the image's doing and not the words'. From then on the phrases stay in
the network's cross-attention: contexts of several phrases are joined token after token, each encoded alone, so that
none is cut off at the text encoder's length.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from difftrack_jax.backbones import Backbone
from difftrack_jax.errors import UserError
from difftrack_jax.ops import windows
from difftrack_jax.tracking import attention_maps
from difftrack_jax.tracking.indicators import Box
from difftrack_jax.tracking.motion import Ways
from difftrack_jax.tracking.settings import Settings
from difftrack_jax.typing import Array, Float, Int, Key, Params

BETA = 4  # of the paper; phrases are searched over the whole frame, where a map without it is full of holes
FINE = 4  # maps are made so many times finer before they are cut at a level
SMALLEST = 0.25  # parts with less of the map than this share of the strongest's are noise


class Finder:
    """`find(frame, phrases)`: compiled once for a frame size and number of phrases."""

    def __init__(self, backbone: Backbone, settings: Settings, seed: int):
        self._backbone, self._settings, self._key = backbone, settings, jax.random.key(seed)
        self._heat = jax.jit(functools.partial(heat, backbone, settings))
        self._embed = jax.jit(backbone.words.embed)

    def looks_ahead(self, phrases: Sequence[str]) -> bool:
        """Never: the text encoder reads all words, and one frame is what it is asked about."""
        return False

    def find(
        self, frame: Float[Array, "h w 3"], phrases: Sequence[str], ways: Ways | None = None
    ) -> tuple[list[list[Box]], Float[Array, "1 s d"]]:
        """Boxes of each phrase, in pixels, at most `text_boxes`; and the context of all. Raises UserError for a phrase
        that is too long.
        """
        tokens = [self._backbone.words.tokenize(phrase) for phrase in phrases]
        for phrase, (_, words) in zip(phrases, tokens):
            if not words.any():
                raise UserError(f"text: {phrase!r} has no words")
        ids, words = (jnp.asarray(np.stack(parts)) for parts in zip(*tokens))
        params = self._backbone.params
        maps = np.asarray(self._heat(params, frame, ids, words.astype(jnp.float32), self._key))
        scale = np.array([frame.shape[1] / maps.shape[2], frame.shape[0] / maps.shape[1]] * 2)
        places = [proposals(one, self._settings.text_boxes) * scale for one in maps]
        context = self._embed(params, ids)
        found = [[Box(*map(float, box)) for box in boxes] for boxes in places]
        return found, context.reshape(1, -1, context.shape[-1])


def heat(
    backbone: Backbone,
    settings: Settings,
    params: Params,
    frame: Float[Array, "h w 3"],
    ids: Int[Array, "n s"],
    words: Float[Array, "n s"],
    key: Key[Array, ""],
) -> Float[Array, "n h2 w2"]:
    """A* of each phrase over the whole frame."""
    height, width = frame.shape[:2]
    scale = settings.text_size / max(height, width)
    size = tuple(max(32, round(side * scale / 32) * 32) for side in (height, width))
    whole = jnp.array([0.0, 0.0, width, height])
    z = backbone.encode(params, windows.crop(frame, whole, size)[None])
    across, within = backbone.words.token_maps(params, z, ids, words, key)
    maps = attention_maps.propagate(within, across.T, BETA).T
    grid = tuple(side // backbone.words.stride for side in size)
    fine = (len(maps), FINE * grid[0], FINE * grid[1])
    return jnp.maximum(jax.image.resize(maps.reshape(-1, *grid), fine, "linear"), 0.0)


def proposals(heat: Float[np.ndarray, "h w"], limit: int, above: float = 0.5) -> Float[np.ndarray, "n 4"]:
    """Boxes x0, y0, x1, y1 in cells around the strongest connected parts, at least one and at most `limit`.

    A part is where the map exceeds `above` times its largest value; a map that is the same everywhere is one part.
    """
    parts, count = ndimage.label(heat >= above * heat.max())
    mass = np.asarray(ndimage.sum(heat, parts, np.arange(1, count + 1)))
    order = np.argsort(-mass, kind="stable")[:limit]
    order = [i for i in order if mass[i] >= SMALLEST * mass[order[0]]]
    places = ndimage.find_objects(parts)
    return np.array(
        [[places[i][1].start, places[i][0].start, places[i][1].stop, places[i][0].stop] for i in order], float
    )
