"""Phrases as an indication where a network was taught to find them: its boxes, best first, are then tracked.

    heat  = how much a cell is what the phrase says, and further in its direction than others      models/grounding.py
    boxes = of the hottest cells that the phrase may fit, each of another object
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging

from difftrack_jax.backbones import Phrases
from difftrack_jax.errors import UserError
from difftrack_jax.ops.boxes import iou
from difftrack_jax.tracking.indicators import Box
from difftrack_jax.typing import Array, Float

# Least probability of a fit. Below even odds, as a pair of words that training never saw together is believed less than
# others. Chosen on 1,200 phrases of other seeds: the model's card says what it refuses.
LEAST = 0.22
SAME = 0.3  # boxes that overlap by more are of one object


class Finder:
    """`find(frame, phrases)`: compiled once for a frame size and number of phrases. limit: boxes of a phrase."""

    def __init__(self, reader: Phrases, limit: int):
        self._reader, self._limit = reader, limit
        self._locate = jax.jit(reader.locate)

    def find(self, frame: Float[Array, "h w 3"], phrases: Sequence[str]) -> tuple[list[list[Box]], None]:
        """Boxes of each phrase, in pixels; there is nothing to tell the network beside.

        Words that are not known are named in one warning and left out. Raises UserError for a phrase in which no word
        is known, and for one that fits nothing.
        """
        numbers = jnp.asarray(np.stack(self._numbers(phrases)))
        boxes, heat, fits = map(np.asarray, self._locate(self._reader.params, frame, numbers))
        found = [best(boxes, *of_phrase, self._limit) for of_phrase in zip(heat, fits)]
        for phrase, places in zip(phrases, found):
            if not len(places):
                raise UserError(f"text: nothing in the frame fits {phrase!r}")
        return [[Box(*map(float, box)) for box in places] for places in found], None

    def _numbers(self, phrases):
        numbers, unknown = zip(*map(self._reader.read, phrases))
        for phrase, one in zip(phrases, numbers):
            if not one.any():
                raise UserError(f"text: no word of {phrase!r} is known; {self._reader.knows}")
        if strange := dict.fromkeys(word for words in unknown for word in words):
            logging.warning("text: not known and left out: %s; %s", ", ".join(strange), self._reader.knows)
        return numbers


def best(
    boxes: Float[np.ndarray, "q 4"], heat: Float[np.ndarray, "q"], fits: Float[np.ndarray, "q"], limit: int
) -> Float[np.ndarray, "n 4"]:
    """At most `limit` boxes of different objects among the cells that fit, the hottest first."""
    kept: list[np.ndarray] = []
    for cell in np.argsort(-heat, kind="stable"):
        if len(kept) == limit:
            break
        if fits[cell] >= LEAST and all(iou(boxes[cell], other) <= SAME for other in kept):
            kept.append(boxes[cell])
    return np.array(kept).reshape(-1, 4)
