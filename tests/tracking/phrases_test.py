"""Boxes of phrases: one object a box, the hottest first; what is not known is named once, what fits nothing refused."""

import logging

import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.backbones import Phrases
from difftrack_jax.data import phrases
from difftrack_jax.errors import UserError
from difftrack_jax.tracking.phrases import Finder, best

FRAME = jnp.zeros((40, 60, 3))
BOXES = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [30, 10, 50, 30]], np.float32)
LISTED = ("", "red", "star", "thing")


def reader():
    """Word 1 is true of the first two boxes, which are of one object, word 2 of the last; all are things."""
    true = np.array([[1, 1, 1], [1, 0.9, 0], [0, 0, 1], [0.7, 0.6, 0.8]], np.float32)

    def locate(params, frame, numbers):
        fits = jnp.prod(jnp.asarray(true)[numbers], axis=1)
        return jnp.asarray(BOXES), jnp.log(fits + 1e-6), fits

    return Phrases({}, "they are red and star", lambda text: phrases.read(text, LISTED), locate)


@pytest.fixture
def warnings(caplog):
    return lambda: [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_each_phrase_gets_the_box_of_its_object(warnings):
    (red, star), context = Finder(reader(), 1).find(FRAME, ["the red thing", "a star"])
    assert [red[0].x0, red[0].y1] == [0, 10]
    assert [star[0].x0, star[0].y1] == [30, 30]
    assert context is None
    assert not warnings()


def test_a_phrase_may_find_several_objects_but_none_twice():
    (found,), _ = Finder(reader(), 3).find(FRAME, ["things thing"])
    assert [box.x0 for box in found] == [30, 0]


def test_what_is_not_known_is_named_in_one_line_and_left_out(warnings):
    (first, second), _ = Finder(reader(), 1).find(FRAME, ["red sports car", "star of a car"])
    assert (first[0].x0, second[0].x0) == (0, 30)
    assert len(warnings()) == 1
    assert "left out: sports, car; they are red" in warnings()[0]
    assert "\n" not in warnings()[0]


def test_a_phrase_of_which_nothing_is_known_is_refused():
    with pytest.raises(UserError, match="no word of 'a sports car' is known; they are red and star"):
        Finder(reader(), 1).find(FRAME, ["red", "a sports car"])


def test_a_phrase_that_fits_nothing_is_refused_by_its_name():
    with pytest.raises(UserError, match=r"^text: nothing in the frame fits 'red star'$"):
        Finder(reader(), 1).find(FRAME, ["red", "red star"])


def test_words_of_motion_choose_among_what_the_others_mean(warnings):
    ways = lambda boxes: np.where(boxes[:, :1] > 20, [[1.0, 0.0]], [[0.0, 0.0]]).astype(np.float32)
    find = lambda phrase: Finder(reader(), 1).find(FRAME, [phrase], ways)[0][0][0].x0
    assert [find("the thing"), find("the thing moving right"), find("the thing that does not move")] == [30, 30, 0]
    with pytest.raises(UserError, match=r"^text: nothing in the frame fits 'the red thing moving right'$"):
        find("the red thing moving right")
    assert not warnings()


def test_motion_that_cannot_be_seen_is_left_out_with_a_warning(warnings):
    (found,), _ = Finder(reader(), 1).find(FRAME, ["the red thing moving left"])
    assert found[0].x0 == 0
    assert len(warnings()) == 1
    assert "no frames ahead to see it in: moving, left" in warnings()[0]


def test_the_hottest_that_fits_is_the_best():
    heat, fits = np.array([3.0, 2, 1], np.float32), np.array([0.1, 0.8, 0.9], np.float32)
    assert best(BOXES, heat, fits, 2)[:, 0].tolist() == [1, 30]
    assert best(BOXES, heat, fits * 0.1, 2).shape == (0, 4)
    flat = np.where(BOXES == 11, 1, BOXES).astype(np.float32)
    assert best(flat, heat, fits, 2)[:, 0].tolist() == [30]
