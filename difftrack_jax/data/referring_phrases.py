"""Phrases about a scene, and what is true of them: drawn on the device beside the scene (referring_scenes.py).

A phrase names some of an object's size, texture, colour, shape and place, in that order; one in three has a word that
is wrong. An object fits when everything that is said of it is true. Where a word compares, and several fit, the one
that goes furthest is meant, if it does by `MARGIN`; without such a word one alone must fit.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from difftrack_jax.data import phrases
from difftrack_jax.data.referring_scenes import Picture, Told, draw, sample, tell
from difftrack_jax.data.textures import Bank
from difftrack_jax.typing import Array, Bool, Float, Int, Key

MARGIN = 0.1
NONE = -1  # no concept
SAID = 6  # size, texture, colour, shape, and two of places and extremes
_COMPARE = slice(phrases.place("place").start, phrases.place("extreme").stop)
_THING = phrases.place("thing").start


class Meant(NamedTuple):
    """concepts: of each phrase, NONE where it has fewer. target: the object that is meant, if `one` is.

    one: exactly one object is meant; nobody: nothing in the scene fits. Phrases that are neither are about several
    objects, or about one that may fit or not. fits: 1 for objects that do, 0 for those that do not, else .5.
    """

    concepts: Int[Array, "k s"]
    target: Int[Array, "k"]
    one: Bool[Array, "k"]
    nobody: Bool[Array, "k"]
    fits: Float[Array, "k n"]


class Batch(NamedTuple):
    """Scenes in square frames, what is true in them, and k phrases about each, as numbers of words."""

    pictures: Picture
    extent: Float[Array, "b 2"]
    told: Told
    words: Int[Array, "b k s"]
    meant: Meant


def batch(key: Key[Array, ""], bank: Bank, count: int, size: int, phrases_each: int, training: bool = True) -> Batch:
    """`count` scenes of size x size with their phrases."""

    def one(key):
        k_scene, k_say, k_words = jax.random.split(key, 3)
        scene = sample(k_scene, training)
        picture = draw(scene, bank, (size, size), boxed=True)
        told = tell(scene, picture, size * (1 - scene.extent) / 2, size)
        concepts = jax.vmap(lambda k: say(k, told))(jax.random.split(k_say, phrases_each))
        return Batch(picture, scene.extent, told, spell(k_words, concepts), judge(told, concepts))

    return jax.lax.map(one, jax.random.split(key, count))


def say(key: Key[Array, ""], told: Told) -> Int[Array, "6"]:
    """The concepts of a phrase that one of the clear objects fits, but for one word in a third of phrases."""
    k_target, k_slots, k_place, k_two, k_wrong, k_which, k_noun = jax.random.split(key, 7)
    target = jax.random.categorical(k_target, jnp.where(told.clear, 0.0, -1e9))
    true = told.true[target]
    value = lambda kind: jnp.argmax(true[phrases.place(kind)]) + phrases.place(kind).start
    sized = true[phrases.place("size")].max() == 1
    compare = jnp.arange(_COMPARE.start, _COMPARE.stop)
    holds = jnp.where(true[_COMPARE] == 1, 0.0, -1e9)
    # "top left": a second word along the other axis.
    first = jax.random.categorical(k_place, holds)
    second = jax.random.categorical(k_two, jnp.where(first < 2, holds, -1e9).at[:2].set(-1e9).at[4:].set(-1e9))
    said = jax.random.uniform(k_slots, (SAID,)) < jnp.array([0.25, 0.35, 0.65, 0.7, 0.5, 0.2])
    cornered = said[5] & (first < 2) & (true[_COMPARE][second] == 1)
    said = said & jnp.stack([sized, True, True, True, True, cornered])
    said = said.at[3].set(said[3] | ~said[:5].any())
    rows = [value("size"), value("texture"), value("colour"), value("shape"), compare[first], compare[second]]
    concepts = jnp.where(said, jnp.stack(rows), NONE)
    noun = jnp.where(jax.random.bernoulli(k_noun, 0.7), _THING, NONE)
    concepts = concepts.at[3].set(jnp.where(said[3], concepts[3], noun))
    wrong = jax.random.bernoulli(k_wrong, 1 / 3)
    return jnp.where(wrong, _spoilt(k_which, concepts), concepts)


def _spoilt(key, concepts):
    """One of the phrase's words changed for another of its kind."""
    k_slot, k_value = jax.random.split(key)
    slot = jax.random.categorical(k_slot, jnp.where((concepts >= 0) & (concepts != _THING), 0.0, -1e9))
    ranges = [phrases.place(kind) for kind in ("size", "texture", "colour", "shape")] + [phrases.place("place")] * 2
    low, high = (jnp.array([getattr(r, end) for r in ranges])[slot] for end in ("start", "stop"))
    other = jax.random.randint(k_value, (), low, high)
    return jnp.where((jnp.arange(SAID) == slot) & (concepts >= 0), other, concepts)


def spell(key: Key[Array, ""], concepts: Int[Array, "k 6"]) -> Int[Array, "k s"]:
    """A word for each concept, by its own name in half of the cases."""
    k_own, k_which = jax.random.split(key)
    table = jnp.asarray(phrases.synonyms())
    which = jax.random.randint(k_which, concepts.shape, 0, table.shape[1])
    which = jnp.where(jax.random.bernoulli(k_own, 0.5, concepts.shape), 0, which)
    words = jnp.where(concepts >= 0, table[concepts, which], 0)
    return jnp.pad(words, ((0, 0), (0, phrases.LENGTH - SAID)))


def judge(told: Told, concepts: Int[Array, "k 6"]) -> Meant:
    """What each phrase means in the scene."""
    there = (concepts >= 0)[..., None]
    fits = jnp.min(jnp.where(there, told.true.T[concepts], 1.0), axis=1)  # [k, n]
    # Of what is half hidden nobody can say whether it fits; of what is hidden, nobody asks.
    fits = jnp.where(told.clear[None], fits, jnp.minimum(fits, 0.5)) * told.there[None]
    rank = jnp.sum(jnp.where(there, told.rank.T[concepts], 0.0), axis=1)
    rank = jnp.where(fits == 1, rank, -1e9)
    target = jnp.argmax(rank, axis=1)
    best = jnp.take_along_axis(rank, target[:, None], axis=1)
    others = jnp.max(jnp.where(jnp.arange(rank.shape[1])[None] == target[:, None], -1e9, rank), axis=1)
    sure = ~jnp.any(fits == 0.5, axis=1)
    one = sure & (best[:, 0] > -1e8) & (best[:, 0] - others > MARGIN)
    return Meant(concepts, target, one, jnp.all(fits == 0, axis=1), fits)
