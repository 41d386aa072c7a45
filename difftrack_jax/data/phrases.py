"""The small English of the bundled word encoder: what its words mean, and which of them a phrase holds.

    read("the little red star on the left")  ->  numbers of little, red, star, left; nothing unknown

A concept is what a word says of an object; synonyms share one, though each has an embedding of its own. Words that
only hold a sentence together are known and say nothing. Order says nothing either: "the star that is red" is read as
"red star" is.

Words of motion are no network's business: they are set apart, and read from how what the rest names moves.

    motions("the red star moving left")  ->  "the red star", ("left",)
"""

import re
from typing import NamedTuple

import numpy as np

from difftrack_jax.errors import UserError
from difftrack_jax.typing import Int

COLOURS = {
    "red": (), "orange": (), "yellow": (), "green": (), "cyan": ("turquoise", "teal"), "blue": (),
    "purple": ("violet",), "pink": ("magenta",), "brown": (), "white": (), "grey": ("gray",), "black": (),
}  # fmt: skip
SHAPES = {
    "disc": ("circle", "disk", "ball", "dot"), "square": ("box", "block"), "triangle": (),
    "diamond": ("rhombus",), "ring": ("donut", "hoop"), "cross": ("plus",), "star": (), "heart": (),
    "bar": ("stick", "rod"), "moon": ("crescent",),
}  # fmt: skip
TEXTURES = {
    "plain": ("solid", "uniform"), "striped": ("stripy", "stripes"), "spotted": ("dotted", "spots"),
    "checked": ("checkered", "chequered"),
}  # fmt: skip
SIZES = {"small": ("little", "tiny"), "big": ("large", "huge")}
PLACES = {
    "left": ("leftmost",), "right": ("rightmost",), "top": ("upper", "topmost"), "bottom": ("lower",),
    "middle": ("centre", "center", "central"),
}  # fmt: skip
EXTREMES = {"smallest": ("littlest", "smaller"), "biggest": ("largest", "bigger")}
THING = {"thing": ("object", "shape", "one", "item", "something")}
KINDS = {
    "colour": COLOURS, "shape": SHAPES, "texture": TEXTURES, "size": SIZES, "place": PLACES, "extreme": EXTREMES,
    "thing": THING,
}  # fmt: skip

CONCEPTS = tuple(concept for kind in KINDS.values() for concept in kind)
_SYNONYMS = {concept: (concept, *more) for kind in KINDS.values() for concept, more in kind.items()}
# Word 0 is no word; what no list holds has no number at all.
WORDS = ("", *(word for concept in CONCEPTS for word in _SYNONYMS[concept]))
GLUE = frozenset((
    "a", "an", "the", "this", "that", "is", "it", "its", "which", "what", "whatever", "does", "with", "of", "on",
    "in", "at", "to", "and", "by", "from", "side", "corner", "part", "half", "end", "edge", "area", "region", "frame",
    "image", "picture", "view", "video", "screen", "scene", "colour", "color", "coloured", "colored", "shaped",
    "sized", "hand", "towards",
))  # fmt: skip
MOTIONS = {
    "moving": ("moves", "move", "going", "goes", "travelling", "traveling", "heading", "drifting", "flying"),
    "still": ("static", "stationary", "motionless", "resting", "standing"),
    "left": ("leftward", "leftwards"), "right": ("rightward", "rightwards"),
    "up": ("upward", "upwards"), "down": ("downward", "downwards"),
    "fast": ("faster", "fastest", "quick", "quicker", "quickest"), "slow": ("slower", "slowest"),
}  # fmt: skip
WAYS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}  # x to the right, y down
_MOTION = {word: motion for motion, more in MOTIONS.items() for word in (motion, *more)}
_NOT = ("not", "never")
_WHERE = ("on", "at", "in")  # before a place: "moving on the left"
LENGTH = 8  # words of a phrase that count
ABOUT = f"the words known are {', '.join(CONCEPTS)}, of motion {', '.join(MOTIONS)}, and synonyms of these"


def place(kind: str) -> slice:
    """Where the concepts of a kind lie in `CONCEPTS`."""
    names = list(KINDS)
    start = sum(len(KINDS[name]) for name in names[: names.index(kind)])
    return slice(start, start + len(KINDS[kind]))


def concept_of() -> Int[np.ndarray, "w"]:
    """The concept of each word; no word has none, which is -1."""
    number = {word: index for index, concept in enumerate(CONCEPTS) for word in _SYNONYMS[concept]}
    return np.array([number.get(word, -1) for word in WORDS], np.int32)


def synonyms() -> Int[np.ndarray, "c m"]:
    """The words of each concept, its own name repeated where there are fewer than the most."""
    most = max(map(len, _SYNONYMS.values()))
    rows = [[*words, *words[:1] * (most - len(words))] for words in _SYNONYMS.values()]
    return np.array([[WORDS.index(word) for word in row] for row in rows], np.int32)


class Motions(NamedTuple):
    """A phrase without its words of motion, and what those say (keys of `MOTIONS`), each once."""

    rest: str
    said: tuple[str, ...]


def motions(text: str) -> Motions:
    """Set the words of motion apart. Left and right are places, unless one is how something moves: "going to the left".

    A phrase of nothing but motion is about any thing.
    """
    rest, said, denied = [], [], False
    course = False  # what was said last, glue aside, is that something moves
    for word in re.findall(r"[^\W_]+", text.lower()):
        motion = _MOTION.get(word)
        if motion and (course or word not in PLACES):
            if motion == "moving" and said[-1:] == ["still"] and not denied:
                said.pop()  # "still moving"
            said.append("still" if motion == "moving" and denied else motion)
            course = course or (motion == "moving" and not denied)
        elif word in _NOT:
            denied = True
            continue
        else:
            rest.append(word)
            course = course and word in GLUE and word not in _WHERE
        denied = denied and word in GLUE
    named = any(word not in GLUE for word in rest)
    return Motions(text if not said else " ".join(rest) if named else "the thing", tuple(dict.fromkeys(said)))


def read(
    text: str, words: tuple[str, ...] = WORDS, length: int = LENGTH
) -> tuple[Int[np.ndarray, "{length}"], tuple[str, ...]]:
    """The numbers of a phrase's words in a list of them, each once, filled up with zeros; and what is not known.

    Raises UserError where more than `length` words are known.
    """
    number = {word: index for index, word in enumerate(words) if word}
    said = list(dict.fromkeys(re.findall(r"[^\W_]+", text.lower())))
    known = [number[word] for word in said if word in number]
    if len(known) > length:
        raise UserError(f"text: {text!r} has {len(known)} words that count, {length} is the most; say less of it")
    unknown = tuple(word for word in said if word not in number and word not in GLUE)
    return np.array(known + [0] * (length - len(known)), np.int32), unknown
