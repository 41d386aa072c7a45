"""A network that knows everything scores one and loses almost nothing; each part of the loss sees its own mistake."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.data import phrases, referring_phrases
from difftrack_jax.data.textures import procedural_bank
from difftrack_jax.models.grounding import STRIDE, Cells, Grounding
from difftrack_jax.ops.boxes import centre_size
from difftrack_jax.ops.sampling import cell_centres
from difftrack_jax.tracking import grounding_objective as objective

SIZE = 64
WORDS = len(phrases.WORDS)
NET = Grounding(WORDS, widths=(8, 16, 16), features=16, ranks=4)
PARAMS = {  # only the last are looked at: cells are given
    "keys": jnp.zeros((WORDS, 16)), "directions": jnp.zeros((WORDS, 4)), "biases": jnp.zeros(WORDS),
    "fit": jnp.array([1.0, 2.0]),
}  # fmt: skip


@pytest.fixture(scope="module")
def batch():
    bank = procedural_bank(0, count=4, size=32)
    draw = functools.partial(referring_phrases.batch, bank=bank, count=12, size=SIZE, phrases_each=6)
    return jax.jit(draw)(jax.random.key(4))


@pytest.fixture(scope="module")
def knowing(batch):
    """Cells that say the truth: of the object whose middle is nearest, in boxes of it, and how far each goes."""
    middle, size = centre_size(batch.pictures.boxes)
    side = SIZE // STRIDE
    centres = cell_centres(side, side)[None, :, None] * STRIDE
    away = jnp.max(jnp.abs(centres - middle[:, None]) / jnp.maximum(size / 4, STRIDE / 2 + 0.01)[:, None], axis=-1)
    away = jnp.where(batch.told.clear[:, None], away, jnp.inf)
    whose = jax.nn.one_hot(jnp.argmin(away, axis=-1), away.shape[-1])
    concept = jnp.asarray(np.maximum(phrases.concept_of(), 0))
    of = lambda values: jnp.einsum("bqn,bnc->bqc", whose, values)
    inside = jnp.all(jnp.abs(centres[:, :, 0] / SIZE - 0.5) < batch.extent[:, None] / 2, axis=-1)
    return Cells(
        words=40 * (of(batch.told.true)[..., concept] - 0.5),
        ranks=20 * of(batch.told.rank)[..., concept],
        object_=jnp.where(jnp.min(away, axis=-1) <= 1, 20.0, -20.0),
        box=of(batch.pictures.boxes),
        inside=inside.astype(jnp.float32),
    )


@pytest.fixture
def measure(batch, monkeypatch):
    """Loss and scores of given cells."""

    def run(cells):
        find = lambda *_: (cells, NET.apply({"params": PARAMS}, cells, batch.words, method=NET.find))
        monkeypatch.setattr(objective, "look", find)
        _, parts = objective.loss(NET, PARAMS, batch, objective.Weights())
        return jax.tree.map(float, (parts, objective.score(NET, PARAMS, batch)))

    return run


def test_who_knows_everything_finds_everything(measure, knowing):
    parts, scores = measure(knowing)
    assert scores == {"found": 1.0, "pointed": 1.0, "accepted": 1.0, "refused": 1.0}
    assert parts["words"] < 0.01
    assert parts["object_"] < 0.01
    assert parts["box"] < 1e-5
    assert parts["point"] < 0.2
    assert parts["fits"] < 0.2


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("words", lambda cells: cells._replace(words=-cells.words)),
        ("object_", lambda cells: cells._replace(object_=-cells.object_)),
        ("box", lambda cells: cells._replace(box=cells.box + 4.0)),
        ("point", lambda cells: cells._replace(ranks=-cells.ranks)),
        ("fits", lambda cells: cells._replace(words=jnp.full_like(cells.words, 20.0))),
    ],
)
def test_each_part_sees_its_own_mistake(measure, knowing, part, change):
    right, wrong = measure(knowing)[0], measure(change(knowing))[0]
    assert wrong[part] > right[part] + 0.05
    assert wrong["loss"] > right["loss"] + 0.02


def test_who_says_yes_to_everything_refuses_nothing(measure, knowing):
    _, scores = measure(knowing._replace(words=jnp.full_like(knowing.words, 20.0)))
    assert scores["accepted"] == 1
    assert scores["refused"] == 0
    assert scores["found"] < 0.9


def test_middles_are_inside_their_boxes_and_every_clear_object_has_one(batch, knowing):
    owned = np.asarray(objective.middles(batch, knowing))
    assert owned.sum(-1).max() == 1
    clear = np.asarray(batch.told.clear)
    assert (owned.sum(1)[~clear] == 0).all()
    assert (owned.sum(1)[clear] > 0).mean() > 0.95
