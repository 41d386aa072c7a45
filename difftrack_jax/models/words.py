"""A text encoder small enough to train with the network: a table of known words, for generators that ship without CLIP.

A caption is its words in order; a name is the mean of its words. Word 0 stands for no word, word 1 for one that is not
in the list.
"""

import re
from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from difftrack_jax.typing import Array, Float, Int

NONE, UNKNOWN = 0, 1


class WordEncoder(nn.Module):
    """words: how many there are, the two special ones included; features: width; length: words of a caption."""

    words: int
    features: int
    length: int

    def setup(self):
        self.table = nn.Embed(self.words, self.features, embedding_init=nn.initializers.normal(1.0))
        self.places = self.param("places", nn.initializers.normal(0.3), (self.length, self.features))
        self.project = nn.Dense(self.features)

    def __call__(
        self, captions: Int[Array, "b s"], names: Int[Array, "b n k"]
    ) -> tuple[Float[Array, "b s d"], Float[Array, "b n d"]]:
        """States of the captions, one a word, and one embedding for each name."""
        present = (names != NONE).astype(jnp.float32)[..., None]
        mean = jnp.sum(self.table(names) * present, axis=2) / jnp.maximum(present.sum(axis=2), 1.0)
        return self.table(captions) + self.places[None], self.project(mean)


def number(text: str, words: Sequence[str], length: int) -> Int[np.ndarray, "{length}"]:
    """The words of a text as numbers, cut or filled up to `length`; what is not in the list becomes UNKNOWN."""
    known = {word: index for index, word in enumerate(words) if word}
    numbers = [known.get(word, UNKNOWN) for word in re.findall(r"\w+", text.lower())][:length]
    return np.array(numbers + [NONE] * (length - len(numbers)), np.int32)
