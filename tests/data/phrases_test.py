"""Phrases are read for what they say: neither order nor glue counts, and what is not known is named."""

import numpy as np
import pytest

from difftrack_jax.data import phrases
from difftrack_jax.data.phrases import CONCEPTS, GLUE, LENGTH, WORDS, read
from difftrack_jax.data.referring_examples import wording
from difftrack_jax.errors import UserError


def said(text):
    numbers, unknown = read(text)
    assert not unknown
    return {CONCEPTS[phrases.concept_of()[n]] for n in numbers if n}


@pytest.mark.parametrize(
    "text", ["red star left", "the red star on the left", "The star that is RED, at left!", "leftmost red star"]
)
def test_order_glue_case_and_synonyms_say_nothing_more(text):
    assert said(text) == {"red", "star", "left"}


def test_what_is_not_known_is_named_once_and_counts_for_nothing():
    numbers, unknown = read("the red car beside the other red car")
    assert unknown == ("car", "beside", "other")
    assert [WORDS[n] for n in numbers if n] == ["red"]
    assert numbers.shape == (LENGTH,)
    numbers, unknown = read("der rote Stern")
    assert not numbers.any()
    assert unknown == ("der", "rote", "stern")


@pytest.mark.parametrize(
    ("text", "rest", "motion"),
    [
        ("the star on the left", "the star on the left", ()),
        ("The red star, moving LEFT", "the red star", ("moving", "left")),
        ("the star on the left that goes to the right", "the star on the left that to the", ("moving", "right")),
        ("a disc drifting leftwards", "a disc", ("moving", "left")),
        ("a disc moving on the left", "a disc on the left", ("moving",)),
        ("the ring going up and to the left", "the ring and to the", ("moving", "up", "left")),
        ("the ring that is not moving", "the ring that is", ("still",)),
        ("the ring still moving", "the ring", ("moving",)),
        ("the ring standing still on the right", "the ring on the right", ("still",)),
        ("the fastest disc", "the disc", ("fast",)),
        ("what goes up", "the thing", ("moving", "up")),
        ("moving", "the thing", ("moving",)),
    ],
)
def test_words_of_motion_are_set_apart(text, rest, motion):
    found = phrases.motions(text)
    assert found == (rest, motion)
    assert not read(found.rest)[1]


def test_a_phrase_that_says_too_much_is_one_line():
    with pytest.raises(UserError, match="9 words that count"):
        read("the big small red green blue star disc left right")


def test_every_word_has_one_concept_and_every_concept_its_words():
    concept = phrases.concept_of()
    assert len(set(WORDS)) == len(WORDS)
    assert not GLUE & set(WORDS)
    assert concept[0] == -1
    assert set(concept[1:]) == set(range(len(CONCEPTS)))
    for number, row in enumerate(phrases.synonyms()):
        assert WORDS[row[0]] == CONCEPTS[number]
        assert (concept[row] == number).all()


def test_kinds_lie_where_they_are_said_to():
    for kind, names in phrases.KINDS.items():
        assert CONCEPTS[phrases.place(kind)] == tuple(names)


def test_a_wording_is_read_as_what_it_was_made_of(rng):
    for _ in range(40):
        concepts = np.array([rng.integers(part.start, part.stop) for part in map(phrases.place, phrases.KINDS)])
        concepts = concepts[rng.permutation(len(concepts))[:5]]
        want = {CONCEPTS[c] for c in concepts}
        nouns = want & {*phrases.SHAPES}
        got = said(wording(concepts, rng))
        assert want - {"thing"} == got - {"thing"}
        assert nouns or "thing" in got
