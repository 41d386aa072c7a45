"""Phrases as an indication where a network was taught to find them: its boxes, best first, are then tracked.

    heat  = how much a cell is what the phrase says, and further in its direction than others      models/grounding.py
    boxes = of the hottest cells that the phrase may fit, each of another object

Words of motion need frames ahead: up to `CANDIDATES` boxes of what the rest names are followed through them, and those
that move as is said are kept (tracking/motion.py).
"""

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging

from difftrack_jax.backbones import Phrases
from difftrack_jax.data.phrases import motions
from difftrack_jax.errors import UserError
from difftrack_jax.ops.boxes import iou
from difftrack_jax.tracking.indicators import Box
from difftrack_jax.tracking.motion import Ways, fitting
from difftrack_jax.typing import Array, Float

# Least probability of a fit. Below even odds, as a pair of words that training never saw together is believed less than
# others. Chosen on 1,200 phrases of other seeds: the model's card says what it refuses.
LEAST = 0.22
SAME = 0.3  # boxes that overlap by more are of one object
CANDIDATES = 6  # boxes that are followed to see which of them moves as is said


class Finder:
    """`find(frame, phrases)`: compiled once for a frame size and number of phrases. limit: boxes of a phrase."""

    def __init__(self, reader: Phrases, limit: int):
        self._reader, self._limit = reader, limit
        self._locate = jax.jit(reader.locate)

    def looks_ahead(self, phrases: Sequence[str]) -> bool:
        """Any of them has words of motion, which want `ways`."""
        return any(motions(phrase).said for phrase in phrases)

    def find(
        self, frame: Float[Array, "h w 3"], phrases: Sequence[str], ways: Ways | None = None
    ) -> tuple[list[list[Box]], None]:
        """Boxes of each phrase, in pixels; there is nothing to tell the network beside.

        ways: how boxes of the frame move in those that follow; without it, words of motion are left out. Words that
        are left out are named in one warning. Raises UserError for a phrase in which no word is known, and for one
        that fits nothing.
        """
        rest, said = zip(*map(motions, phrases))
        if any(said) and ways is None:
            named = ", ".join(dict.fromkeys(itertools.chain(*said)))
            logging.warning("text: motion is left out, as there are no frames ahead to see it in: %s", named)
        numbers = jnp.asarray(np.stack(self._numbers(rest)))
        boxes, heat, fits = map(np.asarray, self._locate(self._reader.params, frame, numbers))
        found = []
        for phrase, motion, *of_phrase in zip(phrases, said, heat, fits):
            seen = motion and ways is not None
            places = best(boxes, *of_phrase, CANDIDATES if seen else self._limit)
            if seen and len(places):
                places = places[fitting(ways(places), motion)[: self._limit]]
            if not len(places):
                raise UserError(f"text: nothing in the frame fits {phrase!r}")
            found.append([Box(*map(float, box)) for box in places])
        return found, None

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
        has_area = (boxes[cell, 2:] > boxes[cell, :2]).all()  # clipped to the frame, a box may have no area left
        if has_area and fits[cell] >= LEAST and all(iou(boxes[cell], other) <= SAME for other in kept):
            kept.append(boxes[cell])
    return np.array(kept).reshape(-1, 4)
