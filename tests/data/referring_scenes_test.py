"""Scenes of which everything is known: pictures, boxes and words tell one story, and phrases mean what they say."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.data import figures, phrases, referring_phrases
from difftrack_jax.data.phrases import CONCEPTS, SHAPES, TEXTURES
from difftrack_jax.data.referring_examples import wording
from difftrack_jax.data.referring_phrases import NONE, SAID, judge
from difftrack_jax.data.referring_scenes import OBJECTS, Told, draw, held_out, sample, tell
from difftrack_jax.data.textures import procedural_bank

SIZE = (48, 64)
COLOUR, SHAPE, TEXTURE = (phrases.place(kind) for kind in ("colour", "shape", "texture"))


@functools.partial(jax.jit, static_argnames="count")
def make(bank, seed, count):
    def one(key):
        scene = sample(key, size=SIZE)
        picture = draw(scene, bank, SIZE)
        told = tell(scene, picture, jnp.zeros(2), max(SIZE))
        concepts = jax.vmap(lambda k: referring_phrases.say(k, told))(jax.random.split(key, 6))
        return scene._replace(look=0), picture, told, judge(told, concepts)

    return jax.lax.map(one, jax.random.split(jax.random.key(seed), count))


@pytest.fixture(scope="module")
def bank():
    return procedural_bank(0, count=6, size=32)


@pytest.fixture(scope="module")
def made(bank):
    return jax.tree.map(np.asarray, make(bank, 0, 40))


def test_the_same_key_draws_the_same_scene_and_others_others(bank, made):
    jax.tree.map(np.testing.assert_array_equal, jax.tree.map(np.asarray, make(bank, 0, 40)), made)
    frames = made[1].frame.reshape(40, -1)
    assert np.abs(frames[:, None] - frames[None]).mean(-1)[~np.eye(40, dtype=bool)].min() > 0.02


def test_frames_are_images_with_one_to_five_objects_in_them(made):
    scene, picture, told, _ = made
    assert np.abs(picture.frame).max() <= 1
    assert set(scene.things.there.sum(1)) == set(range(1, OBJECTS + 1))
    assert (told.clear <= told.there).all()
    assert told.clear.sum() > 0.8 * scene.things.there.sum()


def test_boxes_hold_their_objects(made):
    """Centre and size are those the object was drawn with, where all of it can be seen."""
    scene, picture, told, _ = made
    whole = told.clear & (picture.seen > 0.999)
    low, high = picture.boxes[..., :2], picture.boxes[..., 2:]
    whole &= (low > 0.5).all(-1) & (high < [SIZE[1] - 0.5, SIZE[0] - 0.5]).all(-1)
    assert whole.sum() > 30
    reach = scene.things.width * max(SIZE) / 2
    off = np.abs((low + high) / 2 - scene.things.centre * max(SIZE)).max(-1)
    assert (off < 0.6 * reach + 1)[whole].all()
    assert ((high - low).max(-1) < 2 * reach * 1.42 + 2)[whole].all()
    assert ((high - low).max(-1) > 0.7 * reach * 2 - 2)[whole].all()


def test_plain_objects_are_of_the_colour_they_are_called(made):
    scene, picture, told, _ = made
    seen = 0
    for s, n in np.argwhere(told.clear & (told.true[..., TEXTURE][..., 0] == 1)):
        solid = list(SHAPES)[scene.things.shape[s, n]] in ("disc", "square", "diamond", "heart")
        if not solid or picture.seen[s, n] < 0.99:
            continue
        x0, y0, x1, y1 = picture.boxes[s, n].astype(int)
        middle = picture.frame[s, (y0 + y1) // 2, (x0 + x1) // 2] / 2 + 0.5
        paint = scene.things.paint[s, :, 0]
        assert np.abs(middle - paint[n]).max() < 0.45
        seen += 1
    assert seen > 5


def test_words_of_place_and_size_are_those_of_the_box(made):
    scene, picture, told, _ = made
    middle = (picture.boxes[..., :2] + picture.boxes[..., 2:]) / 2 / [SIZE[1], SIZE[0]]
    true = lambda name: told.true[..., CONCEPTS.index(name)]
    there = told.there
    for name, axis, sign in (("left", 0, -1), ("right", 0, 1), ("top", 1, -1), ("bottom", 1, 1)):
        beyond = sign * (middle[..., axis] - 0.5)
        assert (beyond[there & (true(name) == 1)] > 0.05).all()
        assert (beyond[there & (true(name) == 0)] < -0.05).all()
        assert np.allclose(told.rank[..., CONCEPTS.index(name)][there], sign * middle[..., axis][there], atol=1e-5)
    assert not (there & (true("small") == 1) & (true("big") == 1)).any()
    order = np.argsort(scene.things.width, axis=1)
    np.testing.assert_array_equal(np.argsort(told.rank[..., CONCEPTS.index("biggest")], axis=1), order)


def test_pairs_are_held_out_of_training_only():
    draws = lambda training: jax.vmap(lambda k: sample(k, training).things)(jax.random.split(jax.random.key(1), 200))
    share = lambda things: np.asarray(held_out(things.colour, things.shape)).mean()
    assert share(draws(True)) == 0
    assert 0.08 < share(draws(False)) < 0.3
    pairs = held_out(np.arange(12)[:, None], np.arange(10)[None])
    assert pairs.sum() == 18
    assert (pairs.sum(0)[1:] == 2).all()


def test_every_shape_fills_its_square_and_stays_in_it():
    axis = jnp.linspace(-1.2, 1.2, 97)
    v = jnp.stack(jnp.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    inside = np.asarray(jax.jit(jax.vmap(lambda s: figures.inside(s, v)))(jnp.arange(len(SHAPES)))) > 0
    beyond = np.linalg.norm(v, axis=1) > 1.42
    assert not inside[:, beyond].any()
    area = inside.mean(1) * 2.4**2
    assert area.min() > 0.8
    assert np.abs(np.abs(v[None] * inside[..., None]).max((1, 2)) - 1).max() < 0.15
    # No two shapes cover the same points.
    same = (inside[:, None] & inside[None]).sum(-1) / (inside[:, None] | inside[None]).sum(-1)
    assert (same - np.eye(len(SHAPES))).max() < 0.9


def test_textures_paint_some_of_the_figure():
    axis = jnp.linspace(-1, 1, 64)
    v = jnp.stack(jnp.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    paint = jax.jit(jax.vmap(lambda t: figures.pattern(t, v, 0.3, 0.5, 0.2, 20.0)))(jnp.arange(len(TEXTURES)))
    share = np.asarray(paint).mean(1)
    assert share[0] == 0
    assert (share[1:] > 0.15).all()
    assert (share[1:] < 0.6).all()


def told_of(*objects):
    """Objects in words, at places (x, y) from 0 to 1; widths fall from the first to the last."""
    true, rank = np.zeros((OBJECTS, len(CONCEPTS))), np.zeros((OBJECTS, len(CONCEPTS)))
    for n, (words, x, y) in enumerate(objects):
        for word in words.split():
            true[n, CONCEPTS.index(word)] = 1
        for name, value in (("left", -x), ("right", x), ("top", -y), ("bottom", y)):
            true[n, CONCEPTS.index(name)], rank[n, CONCEPTS.index(name)] = value > (0.55 if value > 0 else -0.45), value
        true[n, [CONCEPTS.index("biggest"), CONCEPTS.index("thing")]] = 1
        rank[n, CONCEPTS.index("biggest")] = -n
    there = np.arange(OBJECTS) < len(objects)
    return Told(*map(jnp.asarray, (true.astype(np.float32), rank.astype(np.float32), there, there)))


def meant(told, text):
    said = [CONCEPTS.index(word) for word in text.split()]
    found = judge(told, jnp.array([said + [NONE] * (SAID - len(said))]))
    return int(found.target[0]) if found.one[0] else "nobody" if found.nobody[0] else "unclear"


def test_a_phrase_means_the_one_object_it_fits():
    told = told_of(("red star", 0.1, 0.2), ("red star", 0.4, 0.9), ("blue star", 0.8, 0.5), ("red ring", 0.05, 0.5))
    assert meant(told, "blue") == 2
    assert meant(told, "red ring") == 3
    assert meant(told, "red star") == "unclear"
    assert meant(told, "red star left") == 0  # further left than the other, though both are
    assert meant(told, "star right") == 2
    assert meant(told, "star bottom") == 1
    assert meant(told, "biggest star") == 0
    assert meant(told, "thing left") == "unclear"  # .05 and .1 are too near each other to tell
    assert meant(told, "green") == "nobody"
    assert meant(told, "blue ring") == "nobody"
    assert meant(told, "blue star left") == "nobody"


def test_half_hidden_objects_leave_it_open():
    told = told_of(("red star", 0.1, 0.2), ("blue star", 0.8, 0.5))
    half = told._replace(clear=told.clear.at[1].set(False))
    assert meant(half, "red") == 0
    assert meant(half, "star") == "unclear"
    assert meant(half, "blue") == "unclear"
    assert meant(half._replace(there=half.clear), "star") == 0


def test_drawn_phrases_say_something_and_many_mean_one_object(made):
    *_, told, found = made
    assert (found.concepts >= 0).any(-1).all()
    assert 0.4 < found.one.mean() < 0.8
    assert 0.1 < found.nobody.mean() < 0.4
    assert not (found.one & found.nobody).any()
    for s, k in np.argwhere(found.one):
        said = [c for c in found.concepts[s, k] if c >= 0]
        assert (told.true[s, found.target[s, k]][said] == 1).all(), wording(found.concepts[s, k])
