"""What a network with time inserts is called where it should be, and recomputing layers changes nothing."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.models.blocks2d import DownBlock, Inserts, MidBlock, Style, UpBlock
from difftrack_jax.models.transformer2d import Conditions

STYLE = Style(groups=4)


@pytest.fixture
def x(rng):
    return jnp.asarray(rng.standard_normal((2, 4, 5, 8)), jnp.float32)


@pytest.fixture
def conditions(rng):
    emb, text = rng.standard_normal((2, 12)), rng.standard_normal((2, 3, 6))
    return Conditions(jnp.asarray(emb, jnp.float32), jnp.asarray(text, jnp.float32))


class Add(nn.Module):
    """Adds one learned number."""

    @nn.compact
    def __call__(self, x, conditions):
        return x + self.param("number", nn.initializers.constant(0.1), ())


class Look(nn.Module):
    @nn.compact
    def __call__(self, x, conditions):
        return x.mean(axis=(1, 2)) + self.param("null", nn.initializers.constant(0.1), ())


class Inject(nn.Module):
    @nn.compact
    def __call__(self, x, seen, conditions):
        assert seen.shape == (x.shape[0], x.shape[2])
        return x + conditions.extra * self.param("gate", nn.initializers.constant(0.1), ())


INSERTS = Inserts(Add, Add, Look, Inject)


def names(params):
    return {name for name in params if not name.startswith(("resnets", "attentions", "downsamplers", "upsamplers"))}


@pytest.mark.parametrize(
    ("block", "inserted"),
    [
        (DownBlock(8, 2, 2, True, STYLE, INSERTS), {"temp_convs_0", "temp_convs_1", "look"}),
        (DownBlock(8, 2, None, True, STYLE, INSERTS), {"temp_convs_0", "temp_convs_1"}),
        (MidBlock(8, 2, STYLE, INSERTS), {"temp_convs_0", "temp_convs_1", "look"}),
    ],
    ids=["down", "down without attention", "middle"],
)
def test_inserts_stand_where_the_published_network_with_time_has_its_layers(block, inserted, x, conditions):
    shapes = jax.eval_shape(block.init, jax.random.key(0), x, conditions._replace(extra=jnp.ones(())))["params"]
    attentions = sum(name.startswith("attentions") for name in shapes)
    assert names(shapes) == inserted | {f"temp_attentions_{j}" for j in range(attentions)}
    for j in range(attentions):
        assert "injector" in shapes[f"attentions_{j}"]["transformer_blocks_0"]


def test_what_is_inserted_into_the_decoder_is_run(weights, x, conditions):
    block = UpBlock(8, 1, 2, STYLE, INSERTS)
    conditions = conditions._replace(extra=jnp.ones(()))
    params = weights(block, x, [x], conditions)
    assert names(params) == {"temp_convs_0", "temp_attentions_0", "look"}
    run = jax.jit(lambda params: block.apply({"params": params}, x, [x], conditions))
    plain = run(params)
    for change in ("temp_convs_0", "temp_attentions_0"):
        other = run(params | {change: {"number": params[change]["number"] + 1}})
        assert jnp.abs(other - plain).max() > 1e-2
    # Without its inserts the block is the plain one, and the weights of the others are the same.
    bare = {name: value for name, value in params.items() if name not in names(params)}
    layer = bare["attentions_0"]["transformer_blocks_0"]
    kept = {name: value for name, value in layer.items() if name != "injector"}
    bare["attentions_0"] = bare["attentions_0"] | {"transformer_blocks_0": kept}
    zero = {name: jax.tree.map(np.zeros_like, params[name]) for name in ("temp_convs_0", "temp_attentions_0")}
    shut = conditions._replace(extra=jnp.zeros(()))
    inserted = jax.jit(lambda p: block.apply({"params": p}, x, [x], shut))(params | zero)
    np.testing.assert_allclose(
        inserted,
        jax.jit(lambda p: block.clone(inserts=Inserts()).apply({"params": p}, x, [x], conditions))(bare),
        atol=1e-5,
    )


def test_rematerialising_changes_neither_the_output_nor_the_gradient(weights, x, conditions):
    def outcome(remat):
        block = DownBlock(8, 1, 2, True, STYLE._replace(remat=remat))

        def loss(params):
            (out, _), side = block.apply({"params": params}, x, conditions, mutable=["attention"])
            maps = side["attention"]["attentions_0"]["transformer_blocks_0"]["attn1"]["maps"]
            return jnp.square(out).mean() + jnp.square(maps.self_).sum()

        return jax.jit(jax.value_and_grad(loss))(params)

    params = weights(DownBlock(8, 1, 2, True, STYLE), x, conditions)
    plain, again = outcome(False), outcome(True)
    assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(plain))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), plain, again)
