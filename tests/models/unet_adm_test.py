"""The U-Net is guided-diffusion's, weight for weight; what we add to it changes nothing unless asked for."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file

from difftrack_jax.checkpoints.rules import from_torch_adm
from difftrack_jax.models import variants
from difftrack_jax.models.attention import AttentionBlock, probabilities
from difftrack_jax.models.unet_adm import UNetADM

GOLDENS = "goldens/models/adm"


def last(array):
    """Channel-first to channel-last."""
    return np.moveaxis(array, 1, -1)


def close(got, want, relative=1e-4):
    error = np.abs(np.asarray(got) - want).max() / np.abs(want).max()
    assert error < relative, error


def published(constructor) -> UNetADM:
    """The module for a constructor of guided-diffusion's UNetModel."""
    own = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in constructor.items()
        if name != "image_size"
    }
    if own.get("num_head_channels") == -1:
        own["num_head_channels"] = None
    return UNetADM(**own)


class Recorded:
    """A recorded network: its arrays, its weights under our names, and all our forward pass makes of them."""

    def __init__(self, folder, index):
        self.meta = json.loads((folder / f"config{index}.json").read_text())
        self.io = np.load(folder / f"config{index}_io.npz")
        self.net = published(self.meta["constructor"])
        x, t = jnp.asarray(last(self.io["x"])), jnp.asarray(self.io["t"], jnp.float32)
        like = jax.eval_shape(self.net.init, jax.random.key(0), x, t)["params"]
        self.params = from_torch_adm(load_file(folder / f"config{index}_weights.safetensors"), like)

        @jax.jit
        def forward(x, t):
            return self.net.apply({"params": self.params}, x, t, capture_intermediates=True, mutable=["intermediates"])

        with jax.default_matmul_precision("highest"):
            self.output, side = forward(x, t)
        self.side = side["intermediates"]

    def block(self, name):
        """Output of a published block: of the last part of input_blocks.3, say, in channel-last layout."""
        stem = name.replace(".", "_")
        parts = [part for part in self.side if part == stem or part.startswith(stem + "_")]
        return self.side[max(parts)]["__call__"][0]


@functools.cache
def recorded(folder, index):
    return Recorded(folder, index)


@pytest.fixture(params=[0, 1], ids=["config0", "config1"])
def golden(request, shared) -> Recorded:
    return recorded(shared(GOLDENS), request.param)


def test_recorded_weights_give_the_recorded_output(golden):
    close(golden.output, last(golden.io["output"]))


def test_every_recorded_intermediate_is_met(golden):
    close(golden.side["time_embed_2"]["__call__"][0], golden.io["time_embed"])
    close(golden.block("middle_block"), last(golden.io["middle_block"]))
    for name in (key for key in golden.io if key.startswith("output_blocks")):
        want = last(golden.io[name])
        close(golden.block(name)[: len(want)], want)


def test_every_blocks_recorded_statistics_are_met(golden):
    for name, stats in golden.meta["block_stats"].items():
        if name in ("time_embed", "out"):
            continue
        got = np.moveaxis(np.asarray(golden.block(name)), -1, 1)
        assert list(got.shape) == stats["shape"]
        scale = stats["absmax"]
        np.testing.assert_allclose(np.abs(got).max(), scale, rtol=1e-4)
        np.testing.assert_allclose(got.mean(), stats["mean"], atol=1e-4 * scale)
        np.testing.assert_allclose(got.std(ddof=1), stats["std"], rtol=1e-4)
        np.testing.assert_allclose(got[0].ravel()[:8], stats["first8"], atol=1e-4 * scale)


def test_the_recorded_attention_is_met_head_by_head(golden):
    """Our maps are means over heads and only two heads are recorded: the parts that make a map are."""
    io, qkv = golden.io, golden.side["middle_block_1"]["qkv"]["__call__"][0]
    close(golden.block("middle_block.0")[:1], last(io["attn/input"]))
    close(qkv[:1], last(io["attn/qkv"]))
    close(golden.side["middle_block_1"]["__call__"][0][:1], last(io["attn/block_output"]))

    heads = golden.meta["heads"]
    block = AttentionBlock(heads, golden.net.use_new_attention_order)
    _, _, h, w = io["attn/input"].shape
    q, k, v = block._split(jnp.asarray(last(io["attn/qkv"])))
    q, k, _ = block._scale(q, k, h, w)
    with jax.default_matmul_precision("highest"):
        rows = probabilities(q, k)
        read = jnp.einsum("bhqm,bmhd->bqhd", rows, v).reshape(1, h * w, -1)
    close(rows[0, :2], io["attn/probs"])
    close(read, last(io["attn/out_before_proj"]))


def test_the_block_alone_makes_the_recorded_output_and_the_mean_of_its_heads(golden):
    io, heads = golden.io, golden.meta["heads"]
    block = AttentionBlock(heads, golden.net.use_new_attention_order)
    x = jnp.asarray(last(io["attn/input"]))
    with jax.default_matmul_precision("highest"):
        out, side = block.apply({"params": golden.params["middle_block_1"]}, x, mutable=["attention"])
        q, k, _ = block._split(jnp.asarray(last(io["attn/qkv"])))
        q, k, _ = block._scale(q, k, *x.shape[1:3])
        rows = probabilities(q, k)
    close(out, last(io["attn/block_output"]))
    close(side["attention"]["maps"].self_, rows.mean(1))


# Ours


def shapes(net, side=64):
    x = jax.ShapeDtypeStruct((1, side, side, net.in_channels), jnp.float32)
    return jax.eval_shape(net.init, jax.random.key(0), x, jnp.zeros(1))["params"]


def count(net):
    return sum(leaf.size for leaf in jax.tree.leaves(shapes(net)))


def adm_count(w, mult, blocks, attention, out):
    """Parameters of a published network with resblock_updown and scale-shift norm, added up by hand."""
    emb = 4 * w

    def res(i, o):  # norm, conv, embedding, norm, conv, and a 1x1 convolution where the width changes
        return 2 * i + (9 * i + 1) * o + (emb + 1) * 2 * o + 2 * o + (9 * o + 1) * o + (i != o) * (i + 1) * o

    def att(c):  # norm, qkv, projection
        return 2 * c + (c + 1) * 3 * c + (c + 1) * c

    total = (w + 1) * emb + (emb + 1) * emb + (9 * 3 + 1) * w + 2 * w + (9 * w + 1) * out
    c, skips = w, [w]
    for level, m in enumerate(mult):
        for _ in range(blocks):
            total, c = total + res(c, m * w) + (2**level in attention) * att(m * w), m * w
            skips.append(c)
        if level < len(mult) - 1:
            total += res(c, c)
            skips.append(c)
    total += 2 * res(c, c) + att(c)
    for level, m in reversed(list(enumerate(mult))):
        for _ in range(blocks + 1):
            total, c = total + res(c + skips.pop(), m * w) + (2**level in attention) * att(m * w), m * w
        total += (level > 0) * res(c, c)
    return total


def test_adm256_has_the_published_number_of_parameters():
    # Papers give 554M for the class-conditional ADM; less 1000 x 1024 label embeddings that is 552.8M.
    want = adm_count(256, (1, 1, 2, 2, 4, 4), 2, (8, 16, 32), 6)
    assert count(UNetADM(**variants.ADM["adm256"])) == want == 552_814_086


def test_our_networks_keep_their_size():
    """Pinned: bundled weights fit these and nothing else."""
    assert count(UNetADM(**variants.ADM["mini"])) == 7_634_170
    assert count(UNetADM(**variants.ADM["tiny"])) == 340_470


@pytest.fixture
def tiny(weights, rng):
    net = UNetADM(**variants.ADM["tiny"])
    x = jnp.asarray(rng.standard_normal((2, 32, 48, 3)), jnp.float32)
    return net, weights(net, x, jnp.zeros(2)), x, jnp.array([0.0, 500.0])


def jitted(net, params, **options):
    return jax.jit(lambda *inputs: net.apply({"params": params}, *inputs, **options))


def test_a_network_that_starts_at_zero_returns_zeros(tiny):
    """The last convolution starts at zero; its parameters are made alone, for making all is slow."""
    net, params, x, t = tiny
    fresh = params | {"out_2": jax.tree.map(np.zeros_like, params["out_2"])}
    np.testing.assert_array_equal(jitted(net, fresh)(x, t), 0.0)
    start = jax.jit(lambda key: net.init(key, x, t)["params"]["out_2"])(jax.random.key(0))
    assert not any(leaf.any() for leaf in jax.tree.leaves(start))


def test_output_and_input_have_the_same_place_and_type(tiny):
    _, params, x, t = tiny
    half = UNetADM(**variants.ADM["tiny"], dtype=jnp.bfloat16)
    out = jax.eval_shape(lambda: half.apply({"params": params}, x, t))
    assert out.shape == x.shape
    assert out.dtype == jnp.float32


def test_jit_equals_no_jit(tiny):
    net, params, x, t = tiny
    np.testing.assert_allclose(jitted(net, params)(x, t), net.apply({"params": params}, x, t), atol=1e-4)


def test_asking_for_everything_does_not_change_the_output(tiny):
    net, params, x, t = tiny
    asked, side = jitted(net, params, mutable=["attention", "references", "features"])(x, t)
    np.testing.assert_allclose(asked, jitted(net, params)(x, t), atol=1e-4)
    assert side["attention"].keys() == side["references"].keys()
    for block in side["attention"].values():
        np.testing.assert_allclose(block["maps"].self_.sum(-1), 1.0, atol=1e-5)


def test_a_frames_own_references_give_its_own_output(tiny, weights):
    _, _, x, t = tiny
    net = UNetADM(**variants.ADM["tiny"] | {"null_key": False})
    params = weights(net, x, t)
    alone, side = jitted(net, params, mutable=["references"])(x, t)
    references = {name: block["own"] for name, block in side["references"].items()}
    again = jitted(net, params)(x, t, None, references)
    np.testing.assert_allclose(again, alone, atol=1e-4)
    other = jax.tree.map(lambda a: a[::-1], references)
    assert jnp.abs(jitted(net, params)(x, t, None, other) - alone).max() > 1e-2


def test_the_batch_does_not_mix(tiny):
    net, params, x, t = tiny
    run = jitted(net, params)
    np.testing.assert_allclose(run(x, t)[1], run(x[::-1], t[::-1])[0], atol=1e-5)


def test_labels_change_the_output_of_a_conditional_network(tiny, weights):
    _, _, x, t = tiny
    net = UNetADM(**variants.ADM["tiny"], num_classes=5)
    params = weights(net, x, t, jnp.zeros(2, jnp.int32))
    run = jitted(net, params)
    a, b = run(x, t, jnp.array([0, 3])), run(x, t, jnp.array([0, 4]))
    np.testing.assert_allclose(a[0], b[0], atol=1e-5)
    assert jnp.abs(a[1] - b[1]).max() > 1e-3
