"""Where the block looks, and that looking at it changes nothing."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.models.attention import (
    AttentionBlock,
    CrossAttention,
    Maps,
    Reference,
    by_name,
    probabilities,
    rotary,
)

H, W, C = 4, 5, 32
BLOCKS = {
    "published": AttentionBlock(2, new_order=False),
    "new order": AttentionBlock(2, new_order=True),
    "ours": AttentionBlock(1, True, cosine=True, rotary=True),
    "ours with null key": AttentionBlock(2, True, cosine=True, rotary=True, null_key=True),
}


@pytest.fixture(params=BLOCKS.values(), ids=BLOCKS.keys())
def block(request):
    return request.param


@pytest.fixture
def x(rng):
    return jnp.asarray(rng.standard_normal((2, H, W, C)), jnp.float32)


@pytest.fixture
def run(block, weights, x):
    """run(x, reference, collections) -> (out, collections); jitted."""
    params = weights(block, x)

    def go(x, reference=None, mutable=()):
        return jax.jit(
            lambda x, r: block.apply({"params": params}, x, r, mutable=list(mutable)),
        )(x, reference)

    return go


def own(run, x) -> Reference:
    return run(x, mutable=["references"])[1]["references"]["own"]


def test_asking_for_maps_does_not_change_the_output(run, x):
    plain, _ = run(x)
    asked, _ = run(x, mutable=["attention", "references"])
    np.testing.assert_allclose(asked, plain, atol=1e-5)


def test_asking_for_maps_does_not_change_what_is_read_from_a_reference(run, x):
    reference = own(run, x[::-1])
    np.testing.assert_allclose(run(x, reference, ["attention"])[0], run(x, reference)[0], atol=1e-5)


def test_map_rows_sum_to_one(block, run, x):
    maps = run(x, own(run, x[::-1]), ["attention"])[1]["attention"]["maps"]
    assert isinstance(maps, Maps)
    assert maps.self_.shape == (2, H * W, H * W)
    assert maps.cross.shape == (2, H * W, H * W + block.null_key)
    for rows in maps:
        assert rows.min() >= 0
        np.testing.assert_allclose(rows.sum(-1), 1.0, atol=1e-5)


def test_without_a_reference_there_are_no_cross_maps(run, x):
    assert run(x, mutable=["attention"])[1]["attention"]["maps"].cross is None


def test_a_frame_that_is_its_own_reference_attends_to_itself(block, run, x):
    reference = own(run, x)
    out, side = run(x, reference, ["attention"])
    maps = side["attention"]["maps"]
    if block.null_key:
        assert (maps.cross[..., -1] > 0).all()
        return
    np.testing.assert_allclose(maps.cross, maps.self_, atol=1e-6)
    np.testing.assert_allclose(out, run(x)[0], atol=1e-5)


def test_the_null_key_scales_a_row_and_leaves_its_shape(weights, x):
    block = AttentionBlock(1, True, cosine=True, rotary=True, null_key=True)
    params = {"params": weights(block, x)}
    reference = block.apply(params, x, mutable=["references"])[1]["references"]["own"]
    maps = block.apply(params, x, reference, mutable=["attention"])[1]["attention"]["maps"]
    cells = maps.cross[..., :-1]
    np.testing.assert_allclose(cells / cells.sum(-1, keepdims=True), maps.self_, atol=1e-5)


def test_a_reference_of_equal_values_is_read_as_that_value_wherever_the_block_looks(weights, x):
    """With V_ref constant, A_X V_ref is that constant: the output does not depend on the keys."""
    block = BLOCKS["published"]
    params = {"params": weights(block, x)}
    reference = block.apply(params, x, mutable=["references"])[1]["references"]["own"]
    flat = reference._replace(values=jnp.ones_like(reference.values))
    a = block.apply(params, x, flat)
    b = block.apply(params, x, flat._replace(keys=-2 * flat.keys))
    np.testing.assert_allclose(a, b, atol=1e-5)


def test_several_references_are_joined_along_their_cells(run, x):
    one = own(run, x)
    both = jax.tree.map(lambda a: jnp.concatenate([a, a], axis=1), one)
    # Twice the same keys: each takes half the attention, and the mean of the values is the same.
    maps = run(x, both, ["attention"])[1]["attention"]["maps"]
    np.testing.assert_allclose(maps.cross[..., : H * W], maps.cross[..., H * W : 2 * H * W], atol=1e-6)


def test_probabilities_of_two_keys_by_hand():
    # q = (1, 0); keys (ln 3, 0) and (0, 5): logits ln 3 and 0, so 3/4 and 1/4.
    # With a null logit of 0: 3/5, 1/5, 1/5.
    q = jnp.array([[[[1.0, 0.0]]]])
    k = jnp.array([[[[np.log(3), 0.0]], [[0.0, 5.0]]]], jnp.float32)
    np.testing.assert_allclose(probabilities(q, k).ravel(), [0.75, 0.25], rtol=1e-6)
    np.testing.assert_allclose(probabilities(q, k, jnp.zeros((1, 1, 1))).ravel(), [0.6, 0.2, 0.2], rtol=1e-6)


def test_the_two_layouts_of_qkv_differ_by_a_permutation(rng):
    """[q of all heads, k .., v ..] against [q, k, v] head by head: 2 heads, 3 channels each."""
    qkv = jnp.asarray(rng.standard_normal((1, 4, 18)), jnp.float32)
    legacy = qkv.reshape(1, 4, 3, 2, 3).swapaxes(2, 3).reshape(1, 4, 18)
    new = AttentionBlock(2, new_order=True)._split(qkv)
    old = AttentionBlock(2, new_order=False)._split(legacy)
    for a, b in zip(new, old):
        np.testing.assert_array_equal(a, b)


def test_rotary_products_depend_on_relative_position_only(rng):
    """The same query and key in every cell: their product is a function of the step between the cells."""
    q, k = (jnp.broadcast_to(jnp.asarray(rng.standard_normal(C), jnp.float32), (1, H * W, 1, C)) for _ in "qk")
    q, k = rotary(q, H, W), rotary(k, H, W)
    products = np.asarray(jnp.einsum("bqhd,bmhd->qm", q, k))
    by_step = {}
    for i, j in itertools.product(range(H * W), repeat=2):
        step = (j // W - i // W, j % W - i % W)
        by_step.setdefault(step, []).append(products[i, j])
    spread = max(max(v) - min(v) for v in by_step.values())
    assert spread < 1e-4
    assert np.ptp([v[0] for v in by_step.values()]) > 1.0  # and it does depend on the step


def test_rotary_keeps_lengths(rng):
    x = jnp.asarray(rng.standard_normal((1, H * W, 2, C)), jnp.float32)
    np.testing.assert_allclose(jnp.linalg.norm(rotary(x, H, W), axis=-1), jnp.linalg.norm(x, axis=-1), rtol=1e-5)


# With separate projections


@pytest.fixture
def cross(weights, rng):
    """cross(watch, context, reference, collections) -> (out, collections) of one attention, jitted; and its input."""
    x, text = (jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in [(2, 6, 8), (2, 3, 5)])
    params = {kind: weights(CrossAttention(2), x, context) for kind, context in (("cells", None), ("text", text))}

    def go(context=None, reference=None, mutable=(), watch=True):
        net, kind = CrossAttention(2, watch=watch), "cells" if context is None else "text"
        run = jax.jit(lambda *inputs: net.apply({"params": params[kind]}, *inputs, mutable=list(mutable)))
        return run(x, context, reference)

    return go, x, text


def test_an_unwatched_attention_says_nothing(cross):
    go, _, _ = cross
    assert not go(mutable=["attention", "references"], watch=False)[1]
    assert go(mutable=["attention", "references"])[1].keys() == {"attention", "references"}


def test_watching_cells_or_a_text_does_not_change_what_is_read(cross):
    go, _, text = cross
    for context, leaf, width in ((None, "maps", 6), (text, "tokens", 3)):
        out, side = go(context, mutable=["attention"])
        np.testing.assert_allclose(out, go(context)[0], atol=1e-5)
        rows = side["attention"][leaf]
        rows = rows.self_ if leaf == "maps" else rows
        assert rows.shape == (2, 6, width)
        np.testing.assert_allclose(rows.sum(-1), 1.0, atol=1e-5)


def test_a_text_is_no_reference(cross):
    go, _, text = cross
    assert "references" not in go(text, mutable=["references"])[1]


def test_reading_ones_own_keys_as_a_reference_is_reading_ones_own(cross):
    go, _, _ = cross
    out, side = go(mutable=["references"])
    own = side["references"]["own"]
    again, side = go(reference=own, mutable=["attention"])
    np.testing.assert_allclose(again, out, atol=1e-5)
    maps = side["attention"]["maps"]
    np.testing.assert_allclose(maps.cross, maps.self_, atol=1e-6)
    other = go(reference=jax.tree.map(lambda a: a[::-1], own))[0]
    assert jnp.abs(other - out).max() > 1e-2


def test_heads_may_be_wider_than_their_share(weights, rng):
    x = jnp.asarray(rng.standard_normal((1, 4, 6)), jnp.float32)
    net = CrossAttention(2, head_dim=8, bias=True)
    params = weights(net, x)
    assert params["to_q"]["kernel"].shape == (6, 16)
    assert params["to_k"]["bias"].shape == (16,)
    assert net.apply({"params": params}, x).shape == x.shape


def test_what_was_sown_is_found_by_the_path_of_its_module():
    maps = Maps(jnp.ones((1, 2, 2)), None)
    tree = {"a": {"b": {"attn1": {"maps": maps}, "attn2": {"tokens": 3}}}, "maps": {"maps": 4}}
    assert by_name(tree, "maps") == {"a/b/attn1": maps, "maps": 4}
    assert by_name(tree, "tokens") == {"a/b/attn2": 3}
