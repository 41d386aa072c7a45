"""A few frames each, and phrases that only motion tells apart: what words of motion are tested on.

    for example in examples(seed=0): ...           # endless; the same seed, the same examples

Two objects of a scene (referring_scenes.py) look the same and move differently, each in its own way or not at all; the
phrase says what they look like and how one of them moves.
"""

import functools
import itertools
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from difftrack_jax.data import phrases, textures
from difftrack_jax.data.referring_examples import BANK_SEED, SEED
from difftrack_jax.data.referring_scenes import draw, sample
from difftrack_jax.typing import Float, UInt8


class MovingExample(NamedTuple):
    """A phrase with words of motion about the first of some frames. box: of the object it means in that frame, in
    pixels, zeros where it fits nothing; twin: of another one that looks the same and does not move so.
    """

    frames: UInt8[np.ndarray, "t h w 3"]
    phrase: str
    box: Float[np.ndarray, "4"]
    twin: Float[np.ndarray, "4"]


# How words of motion are put into a phrase.
_SAY = {
    "moving": ("moving {}", "{} that moves", "{} which is moving"),
    "still": ("{} that is not moving", "{} standing still", "stationary {}"),
    "left": ("{} moving left", "{} that goes to the left", "{} drifting leftwards"),
    "right": ("{} moving right", "{} that goes to the right", "{} drifting rightwards"),
    "up": ("{} moving up", "{} that goes up", "{} drifting upwards"),
    "down": ("{} moving down", "{} that goes down", "{} drifting downwards"),
    "fast": ("fastest {}", "fast {}", "{} that moves faster"),
    "slow": ("slowest {}", "slow {}", "{} that moves slower"),
}
_PACE = (0.006, 0.02)  # shares of the frame's longer side that what moves goes in a frame


def examples(
    seed: int, size: tuple[int, int] = (144, 192), frames: int = 9, nobody: bool = False
) -> Iterator[MovingExample]:
    """Two objects of a scene look the same, and one of them moves as the phrase says; nobody: neither does."""
    bank = textures.procedural_bank(BANK_SEED)
    rng = np.random.default_rng((SEED, seed))
    for step in itertools.count():
        scene = sample(jax.random.fold_in(jax.random.key(SEED + seed), step), training=False, size=size)
        things = jax.tree.map(np.array, scene.things)
        there = np.flatnonzero(things.there)
        if len(there) < 2:
            continue
        meant, twin = rng.choice(there, 2, replace=False)
        for looks in (things.colour, things.shape, things.texture, things.paint, things.grain):
            looks[twin] = looks[meant]
        word = str(rng.choice([word for word in _SAY if not (nobody and word in ("fast", "slow"))]))
        velocity = np.stack([_velocity(rng.choice(["still", *phrases.WAYS]), rng) for _ in things.there])
        velocity[meant], velocity[twin] = _velocities(word, rng, nobody)
        look = things.colour * len(phrases.SHAPES) + things.shape
        if (look[there] == look[meant]).sum() > 2:
            continue  # a third one would have to be told apart too
        scene = scene._replace(things=things._replace(velocity=velocity.astype(np.float32)))
        pictures = jax.tree.map(np.asarray, _film(scene, bank, jnp.arange(frames, dtype=jnp.float32), size))
        if pictures.seen[:, [meant, twin]].min() < 0.6:
            continue
        name = f"{list(phrases.COLOURS)[things.colour[meant]]} {list(phrases.SHAPES)[things.shape[meant]]}"
        phrase = "the " + str(rng.choice(_SAY[word])).format(name)
        box, other = pictures.boxes[0, [meant, twin]]
        shown = np.rint((pictures.frame + 1) * 127.5).astype(np.uint8)
        yield MovingExample(shown, phrase, np.zeros_like(box) if nobody else box, other)


def _velocity(way: str, rng: np.random.Generator) -> Float[np.ndarray, "2"]:
    return np.array(phrases.WAYS.get(way, (0, 0))) * rng.uniform(*_PACE)


def _velocities(word: str, rng: np.random.Generator, nobody: bool) -> tuple[np.ndarray, np.ndarray]:
    """Of an object that the word is true of, and of another that it is not true of; nobody: of two such others."""
    if word in ("fast", "slow"):
        ways = [np.array(phrases.WAYS[rng.choice(list(phrases.WAYS))]) for _ in range(2)]
        fast, slow = (way * pace * rng.uniform(0.8, 1.2) for way, pace in zip(ways, _PACE[::-1]))
        return (fast, slow) if word == "fast" else (slow, fast)
    true = {"moving": list(phrases.WAYS), "still": ["still"]}.get(word, [word])
    false = [way for way in ("still", *phrases.WAYS) if way not in true]
    return _velocity(rng.choice(false if nobody else true), rng), _velocity(rng.choice(false), rng)


@functools.partial(jax.jit, static_argnames="size")
def _film(scene, bank, times, size):
    return jax.lax.map(lambda time: draw(scene, bank, size, time), times)
