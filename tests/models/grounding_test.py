"""A phrase is what all of its words agree on: more words never fit better, and their order does not matter."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.models.grounding import STRIDE, Cells, Grounding

WORDS, SIZE = 6, 64
NET = Grounding(WORDS, widths=(8, 16, 16), features=16, ranks=4)
Q = (SIZE // STRIDE) ** 2


def init(net, frames, extent, phrases):
    return net.find(net(frames, extent), phrases)


@pytest.fixture(scope="module")
def params():
    phrases = jnp.zeros((1, 1, 3), jnp.int32)
    start = NET.init(jax.random.key(0), jnp.zeros((1, SIZE, SIZE, 3)), jnp.ones((1, 2)), phrases, method=init)
    keys = iter(jax.random.split(jax.random.key(1), 1000))
    return jax.tree.map(lambda leaf: leaf + 0.1 * jax.random.normal(next(keys), leaf.shape), start["params"])


@pytest.fixture
def cells(rng):
    normal = lambda *shape: jnp.asarray(rng.standard_normal(shape), jnp.float32)
    inside = jnp.ones((1, Q)).at[:, :8].set(0.0)
    return Cells(normal(1, Q, WORDS), normal(1, Q, WORDS), normal(1, Q), jnp.zeros((1, Q, 4)), inside)


def find(params, cells, *phrases):
    length = max(map(len, phrases))
    numbers = jnp.array([[[*phrase, *[0] * (length - len(phrase))] for phrase in phrases]])
    return NET.apply({"params": params}, cells, numbers, method=NET.find)


def test_a_phrase_is_the_product_of_its_words(params, cells):
    found = find(params, cells, (2, 5))
    sure = jnp.prod(jax.nn.sigmoid(cells.words[0][:, np.array([2, 5])]), axis=-1) * jax.nn.sigmoid(cells.object_[0])
    gain, bias = params["fit"]
    np.testing.assert_allclose(found.fits[0, 0], gain * jnp.log(sure) + bias, rtol=1e-5, atol=1e-5)
    heat = jnp.log(sure) + cells.ranks[0, :, 2] + cells.ranks[0, :, 5]
    np.testing.assert_allclose(found.heat[0, 0, 8:], heat[8:], rtol=1e-5, atol=1e-5)


def test_order_and_padding_say_nothing_and_more_words_never_fit_better(params, cells):
    found = find(params, cells, (2, 5), (5, 0, 2), (2,), (2, 5, 1))
    np.testing.assert_allclose(found.heat[0, 0], found.heat[0, 1], rtol=1e-6)
    assert params["fit"][0] > 0
    assert (found.fits[0, 0] < found.fits[0, 2]).all()
    assert (found.fits[0, 3] < found.fits[0, 0]).all()


def test_nothing_is_found_in_the_border(params, cells):
    assert (find(params, cells, (1,), (2, 3)).heat.argmax(-1) >= 8).all()


def test_a_frame_becomes_cells_with_boxes_around_their_centres(params, rng):
    frames = jnp.asarray(rng.uniform(-1, 1, (2, SIZE, SIZE, 3)), jnp.float32)
    cells = NET.apply({"params": params}, frames, jnp.array([[1.0, 0.5], [1.0, 1.0]]))
    assert cells.words.shape == cells.ranks.shape == (2, Q, WORDS)
    inside = np.asarray(cells.inside).reshape(2, SIZE // STRIDE, SIZE // STRIDE)
    assert inside[0, :2].max() == inside[0, -2:].max() == 0
    assert inside[0, 2:-2].min() == inside[1].min() == 1
    middle = (np.indices((SIZE // STRIDE,) * 2)[::-1].reshape(2, -1).T[None] + 0.5) * STRIDE
    assert (cells.box[..., :2] < middle).all()
    assert (cells.box[..., 2:] > middle).all()


def test_place_is_relative_to_the_frame_and_not_to_its_border(params):
    """The same box, as a share of frames of two shapes, is told apart by nothing but its proportions."""
    where = lambda box, extent: NET.apply({"params": params}, box, extent, SIZE, method=NET._where)[0, 0]
    square = where(jnp.array([[[16.0, 16, 32, 48]]]), jnp.ones((1, 2)))
    wide = where(jnp.array([[[16.0, 24, 32, 40]]]), jnp.array([[1.0, 0.5]]))
    np.testing.assert_allclose(square[:3], wide[:3], atol=1e-6)
    np.testing.assert_allclose(square[:3], [-0.25, 0.0, 0.25], atol=1e-6)
    assert square[-1] > wide[-1]
