"""Words find what they attend to, and what they find is followed like any box."""

import dataclasses
import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.backbones import Words, load_backbone
from difftrack_jax.data.referring_examples import examples
from difftrack_jax.errors import UserError
from difftrack_jax.ops.boxes import iou
from difftrack_jax.tracking import phrases
from difftrack_jax.tracking.indicators import Box, Text
from difftrack_jax.tracking.session import Tracker, load_tracker
from difftrack_jax.tracking.settings import Settings
from difftrack_jax.tracking.text import proposals

from .oracle import STRIDE, cells, colourful, oracle, shifted

NAMES = ("red", "green", "blue")
SETTINGS = Settings(window="frame", size=128, text_size=128, top_k=None)


def listener():
    """The oracle with words: each colour's name attends to the cells that are most of that colour."""

    def tokenize(phrase):
        known = np.array([name in phrase for name in NAMES])
        return np.where(known, np.arange(1, 4), 0).astype(np.int32), known

    def token_maps(params, z, ids, words, key):
        colour = cells(z)[0]
        others = (colour.sum(-1, keepdims=True) - colour) / 2
        return words @ jnp.maximum(colour - others, 0.0).T, jnp.eye(len(colour))

    embed = lambda params, ids: jnp.broadcast_to(ids[..., None].astype(jnp.float32), (*ids.shape, 4))
    words = Words(tokenize, embed, token_maps, STRIDE)
    return dataclasses.replace(oracle(), params={"context": jnp.zeros((1, 3, 4))}, words=words)


def scene(dx=0):
    """A grey texture with a red and a green block."""
    frame = np.repeat(colourful(96, 128).mean(-1, keepdims=True) / 2, 3, axis=-1).astype(np.uint8)
    frame[16:48, 24:56] = 255, 20, 20
    frame[56:80, 80:112] = 20, 255, 20
    return shifted(frame, dx, 0)


def test_a_phrase_is_found_and_followed():
    tracker = Tracker(listener(), SETTINGS)
    session = tracker.init(scene(), [Text("the red block")])
    first = tracker.predict(session)
    assert first.kind == ("text",)
    assert iou(first.box[0], np.array([24, 16, 56, 48], np.float32)) > 0.7
    _, later = tracker.step(session, scene(8))
    assert iou(later.box[0], first.box[0] + np.array([8, 0, 8, 0], np.float32)) > 0.75


def test_phrases_and_boxes_share_one_row_of_ids_in_the_order_given():
    tracker = Tracker(listener(), SETTINGS)
    session = tracker.init(scene(), [Text("green"), Box(0, 0, 20, 20), Text("red")])
    found = tracker.predict(session)
    assert found.id.tolist() == [1, 2, 3]
    assert found.kind == ("text", "box", "text")
    assert found.point[0, 0] > found.point[2, 0]  # green is on the right
    assert session.context.shape == (1, 6, 4)  # both phrases, one after the other


def test_a_phrase_may_find_several():
    frame = scene()
    frame[56:80, 24:56] = 255, 20, 20
    tracker = Tracker(listener(), dataclasses.replace(SETTINGS, text_boxes=3))
    found = tracker.predict(tracker.init(frame, [Text("red"), Text("green")]))
    assert found.id.tolist() == [1, 2, 3]
    assert found.kind == ("text",) * 3
    assert found.box[0, 1] < found.box[1, 1]  # the larger first


def test_a_phrase_can_join_later():
    tracker = Tracker(listener(), SETTINGS)
    session = tracker.init(scene(), [Box(24, 16, 56, 48)])
    assert session.context.shape == (1, 3, 4)
    session = tracker.add(session, scene(), Text("green"))
    found = tracker.predict(session)
    assert found.id.tolist() == [1, 2]
    assert found.kind == ("box", "text")
    assert session.context.max() == 2  # the word's own number, and no longer the empty prompt
    session = tracker.add(session, scene(), Text("red"))
    assert tracker.predict(session).kind == ("box", "text", "text")
    assert session.context.shape == (1, 6, 4)
    tracker.step(session, scene())


def test_what_cannot_be_heard_is_one_line():
    with pytest.raises(UserError, match="reads no text"):
        Tracker(oracle(), SETTINGS).init(scene(), [Text("red")])
    with pytest.raises(UserError, match="has no words"):
        Tracker(listener(), SETTINGS).init(scene(), [Text("...")])
    with pytest.raises(UserError, match="says nothing"):
        Tracker(listener(), SETTINGS).init(scene(), [Text(" ")])


def test_parts_come_strongest_first_and_specks_do_not():
    heat = np.zeros((8, 12))
    heat[1:3, 1:4] = 1.0
    heat[4:8, 6:11] = 0.9
    heat[0, 11] = 1.0
    assert proposals(heat, 5).tolist() == [[6, 4, 11, 8], [1, 1, 4, 3]]
    assert proposals(heat, 1).tolist() == [[6, 4, 11, 8]]
    assert proposals(np.ones((3, 4)), 2).tolist() == [[0, 0, 4, 3]]
    assert proposals(np.zeros((3, 4)), 2).tolist() == [[0, 0, 4, 3]]


@pytest.fixture(scope="module")
def finder():
    """The bundled tracker's."""
    return phrases.Finder(load_backbone("mini").words, 1)


def drawing():
    """A grey frame with a red disc on the left, a blue one on the right and a red square below."""
    frame = np.full((120, 160, 3), 128, np.uint8)
    y, x = np.mgrid[:120, :160] + 0.5
    frame[np.hypot(x - 36, y - 36) < 20] = 225, 25, 25
    frame[np.hypot(x - 120, y - 36) < 20] = 35, 60, 230
    frame[80:108, 66:94] = 225, 25, 25
    return frame


DISC, BLUE, SQUARE = [16, 16, 56, 56], [100, 16, 140, 56], [66, 80, 94, 108]


def asked(finder, frame, *said):
    """The best box of each phrase."""
    found, _ = finder.find(jnp.asarray(frame, jnp.float32) / 127.5 - 1, said)
    return np.array([dataclasses.astuple(boxes[0]) for boxes in found])


def test_the_bundled_model_finds_phrases_and_says_the_same_twice(finder):
    said = "the red disc", "blue", "the red square at the bottom"
    found = asked(finder, drawing(), *said)
    assert (iou(found, np.array([DISC, BLUE, SQUARE], float)) > 0.5).all()
    np.testing.assert_array_equal(asked(finder, drawing(), *said), found)
    others = asked(finder, drawing(), "a circle that is red", "the blue object", "the red block")
    assert (iou(others, found) > 0.5).all()


def test_what_fits_nothing_is_refused_by_the_bundled_model(finder):
    with pytest.raises(UserError, match="nothing in the frame fits 'the purple ring'"):
        asked(finder, drawing(), "the red disc", "the purple ring", "blue")
    with pytest.raises(UserError, match="no word of 'a zebra' is known; the words known are red"):
        asked(finder, drawing(), "a zebra")


@pytest.mark.slow
def test_most_of_200_phrases_that_training_never_saw_find_their_object(finder):
    """Phrases of pairs of colour and shape that no training scene had, in scenes that none had."""
    met = []
    for example in itertools.islice(examples(1), 200):
        try:
            met.append(iou(asked(finder, example.frame, example.phrase)[0], example.box.astype(float)) > 0.5)
        except UserError:
            met.append(False)
    assert len(met) == 200
    assert np.mean(met) >= 0.8


@pytest.mark.slow
def test_phrases_on_the_bundled_tracker_get_ids_and_may_join_later():
    tracker = load_tracker("mini", size=64)
    session = tracker.init(drawing(), [Text("the red disc"), Box(0, 0, 20, 20), Text("blue")])
    session = tracker.add(session, drawing(), Text("the red square"))
    found = tracker.predict(session)
    assert found.id.tolist() == [1, 2, 3, 4]
    assert found.kind == ("text", "box", "text", "text")
    assert (iou(found.box[[0, 2, 3]], np.array([DISC, BLUE, SQUARE], np.float32)) > 0.5).all()
    assert session.context is None
    _, later = tracker.step(session, shifted(drawing(), 4, 0))
    assert iou(later.box[0], found.box[0] + np.array([4, 0, 4, 0], np.float32)) > 0.6
