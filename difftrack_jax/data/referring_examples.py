"""Frames and phrases about them, as a user would give them: what the word encoder is tested on.

    for example in examples(seed=0): ...           # endless; the same seed, the same examples

By default every phrase names a colour and a shape that no training scene has together (referring_scenes.held_out), in
frames whose backgrounds are of another bank than those of training.
"""

import functools
import itertools
from collections.abc import Iterator
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from difftrack_jax.data import phrases, referring_phrases, textures
from difftrack_jax.data.referring_scenes import draw, held_out, sample, tell
from difftrack_jax.typing import Bool, Float, Int, UInt8

SEED = 700_001  # training folds its seeds from 0 and 1
BANK_SEED, _BATCH, _SAID = 78, 8, 16


class Example(NamedTuple):
    """A phrase about a frame. box: of the object it means, in pixels, zeros where it fits nothing; boxes: of all that
    can be seen. concepts: what the phrase says, numbers in phrases.CONCEPTS.
    """

    frame: UInt8[np.ndarray, "h w 3"]
    phrase: str
    box: Float[np.ndarray, "4"]
    boxes: Float[np.ndarray, "n 4"]
    concepts: Int[np.ndarray, "s"]


def examples(
    seed: int, size: tuple[int, int] = (144, 192), which: Literal["new", "any", "nobody"] = "new"
) -> Iterator[Example]:
    """Examples of one phrase a frame. which: phrases of new pairs that mean one object, all that do, or those that fit
    nothing.
    """
    bank = textures.procedural_bank(BANK_SEED)
    rng = np.random.default_rng(seed)
    for step in itertools.count():
        key = jax.random.fold_in(jax.random.key(SEED + seed), step)
        pictures, told, meant = jax.tree.map(np.asarray, _batch(key, bank, size))
        for i in range(_BATCH):
            good = meant.nobody[i] if which == "nobody" else meant.one[i]
            good = good & (which != "new" or _new(meant.concepts[i]))
            if not good.any():
                continue
            k = int(rng.choice(np.nonzero(good)[0]))
            box = np.zeros(4, np.float32) if which == "nobody" else pictures.boxes[i, meant.target[i, k]]
            frame = np.rint((pictures.frame[i] + 1) * 127.5).astype(np.uint8)
            phrase = wording(meant.concepts[i, k], rng)
            yield Example(frame, phrase, box, pictures.boxes[i, told.there[i]], meant.concepts[i, k])


def wording(concepts: Int[np.ndarray, "s"], rng: np.random.Generator | None = None) -> str:
    """A phrase of those concepts in English, as "the small striped red star on the left"; synonyms by a generator."""
    said = [int(c) for c in concepts if c >= 0]
    chosen = {c: phrases.CONCEPTS[c] for c in said}
    if rng is not None:
        table = phrases.synonyms()
        chosen = {c: name if rng.uniform() < 0.5 else phrases.WORDS[rng.choice(table[c])] for c, name in chosen.items()}
    of = lambda kind: [chosen[c] for c in said if phrases.place(kind).start <= c < phrases.place(kind).stop]
    noun = of("shape") or of("thing") or ["one"]
    before = [*of("extreme"), *of("size"), *of("texture"), *of("colour")]
    where = [name for place in of("place") for name in ("at", "the", place)]
    return " ".join(["the", *before, *noun, *where])


@functools.partial(jax.jit, static_argnames="size")
def _batch(key, bank, size):
    def one(key):
        k_scene, k_say = jax.random.split(key)
        scene = sample(k_scene, training=False, size=size)
        picture = draw(scene, bank, size)
        told = tell(scene, picture, jnp.zeros(2), max(size))
        concepts = jax.vmap(lambda k: referring_phrases.say(k, told))(jax.random.split(k_say, _SAID))
        return picture, told, referring_phrases.judge(told, concepts)

    return jax.lax.map(one, jax.random.split(key, _BATCH))


def _new(concepts: Int[np.ndarray, "k s"]) -> Bool[np.ndarray, "k"]:
    """Phrases with a colour and a shape that training never has together."""
    colour = concepts[:, 2] - phrases.place("colour").start
    shape = concepts[:, 3] - phrases.place("shape").start
    named = (concepts[:, 2] >= 0) & (shape >= 0) & (shape < len(phrases.SHAPES))
    return named & np.asarray(held_out(colour, shape))
