"""The latent U-Net is Stable Diffusion's, weight for weight, and what we add to it changes nothing unless asked for."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.checkpoints import tables
from difftrack_jax.models import variants
from difftrack_jax.models.attention import by_name
from difftrack_jax.models.gated import Grounding
from difftrack_jax.models.unet2d import UNet2D, shapes

from ..goldens import reference
from ..goldens.record_reference import unet_inputs
from ..goldens.reference import close, last

LAYER = "up_blocks_1/attentions_0/transformer_blocks_0"


class Published:
    """One of the reference networks with its weights, and what our forward pass makes of its inputs."""

    def __init__(self, case, mode):
        self.want, state = reference.answers(case, mode)
        self.net = UNet2D(**tables.unet2d.fields(reference.config(case)))
        self.params = tables.unet2d.convert(state, shapes(self.net))
        inputs = unet_inputs(case)
        grounding = None
        if self.net.gated:
            grounding = Grounding(*(jnp.asarray(inputs[key]) for key in ("boxes", "embeddings", "valid")))
        z, t = jnp.asarray(last(inputs["sample"])), jnp.asarray(inputs["timestep"], jnp.float32)
        self.inputs = z, t, jnp.asarray(inputs["text"]), grounding

    def run(self, *inputs, **options):
        with jax.default_matmul_precision("highest"):
            return jax.jit(lambda *inputs: self.net.apply({"params": self.params}, *inputs, **options))(*inputs)

    @functools.cached_property
    def answer(self):
        return self.run(*self.inputs, mutable=["attention", "features"])


@functools.cache
def published(case, mode) -> Published:
    return Published(case, mode)


@pytest.fixture(params=reference.MODES)
def mode(request):
    return request.param


@pytest.mark.parametrize("case", ["sd1", "sd2", "gated"])
def test_the_references_weights_give_its_output(case, mode):
    net = published(case, mode)
    close(net.answer[0], last(net.want["output"]))


@pytest.mark.parametrize("case", ["sd1", "sd2", "gated"])
def test_its_maps_and_features_are_ours(case, mode):
    net = published(case, mode)
    side = net.answer[1]
    close(by_name(side["attention"], "maps")[f"{LAYER}/attn1"].self_, net.want["maps"])
    close(by_name(side["attention"], "tokens")[f"{LAYER}/attn2"], net.want["tokens"])
    close(by_name(side["features"], "map")["up_blocks_0"], last(net.want["features"]))


def test_left_out_and_shut_grounding_is_the_plain_network(mode):
    net = published("gated", mode)
    z, t, text, grounding = net.inputs
    close(net.run(z, t, text), last(net.want["ungrounded"]))
    close(net.run(z, t, text, grounding._replace(gate=jnp.zeros(()))), last(net.want["ungrounded"]))


def test_absent_objects_leave_no_trace_but_their_slots():
    net = published("gated", "recorded")
    z, t, text, grounding = net.inputs
    absent = 1 - grounding.valid[..., None]
    other = grounding._replace(boxes=grounding.boxes + absent, embeddings=grounding.embeddings + absent)
    np.testing.assert_allclose(net.run(z, t, text, other), net.answer[0], atol=1e-5)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        # Counted from diffusers' own class on torch's meta device, with the config.json of each published folder.
        ("sd15", 859_520_964),
        ("sd21", 865_910_724),
        ("gligen_sd14", 1_068_623_204),
    ],
)
def test_published_sizes_have_the_published_number_of_parameters(name, count):
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes(UNet2D(**variants.UNET2D[name])))) == count


@pytest.fixture
def tiny(weights, rng):
    """A network of ours with random weights, and a pair of latents of a size that is odd on the way down."""
    net = UNet2D(**variants.UNET2D["tiny_sd"])
    z = jnp.asarray(rng.standard_normal((2, 5, 7, 4)), jnp.float32)
    text = jnp.asarray(rng.standard_normal((2, 5, 24)), jnp.float32)
    inputs = z, jnp.array([3.0, 700.0]), text
    return net, weights(net, *inputs), inputs


def jitted(net, params, **options):
    return jax.jit(lambda *inputs: net.apply({"params": params}, *inputs, **options))


def test_output_has_the_place_of_the_input_at_any_size_and_type(tiny):
    net, params, (_, t, text) = tiny
    for dtype, size in [(jnp.float32, (5, 13)), (jnp.bfloat16, (8, 8)), (jnp.bfloat16, (1, 3))]:
        z = jnp.zeros((2, *size, 4))
        out = jax.eval_shape(lambda: net.clone(dtype=dtype).apply({"params": params}, z, t, text))  # noqa: B023
        assert out.shape == z.shape
        assert out.dtype == jnp.float32


def test_half_precision_is_near_full_precision(tiny):
    net, params, inputs = tiny
    full, half = jitted(net, params)(*inputs), jitted(net.clone(dtype=jnp.bfloat16), params)(*inputs)
    close(half, np.asarray(full), 0.1)


def test_asking_for_everything_does_not_change_the_output(tiny):
    net, params, inputs = tiny
    asked, side = jitted(net, params, mutable=["attention", "references", "features"])(*inputs)
    np.testing.assert_allclose(asked, jitted(net, params)(*inputs), atol=1e-4)
    maps, tokens = by_name(side["attention"], "maps"), by_name(side["attention"], "tokens")
    assert maps.keys() == by_name(side["references"], "own").keys()
    assert {name.replace("attn1", "attn2") for name in maps} == tokens.keys()
    for rows in [m.self_ for m in maps.values()] + list(tokens.values()):
        np.testing.assert_allclose(rows.sum(-1), 1.0, atol=1e-5)


def test_a_frames_own_references_give_its_own_output_and_anothers_do_not(tiny):
    net, params, inputs = tiny
    alone, side = jitted(net, params, mutable=["references"])(*inputs)
    references = by_name(side["references"], "own")

    def run(references):
        return jitted(net, params, mutable=["attention"])(*inputs, None, references)

    again, side = run(references)
    np.testing.assert_allclose(again, alone, atol=1e-4)
    # The first layer has seen nothing of the references yet: looking at its own frame it looks at itself.
    maps = by_name(side["attention"], "maps")["down_blocks_0/attentions_0/transformer_blocks_0/attn1"]
    np.testing.assert_allclose(maps.cross, maps.self_, atol=1e-6)
    other, _ = run(jax.tree.map(lambda a: a[::-1], references))
    assert jnp.abs(other - alone).max() > 1e-2


def test_references_may_be_given_for_some_layers_only(tiny):
    net, params, inputs = tiny
    _, side = jitted(net, params, mutable=["references"])(*inputs)
    name = f"{LAYER}/attn1"
    some = {name: by_name(side["references"], "own")[name]}
    _, side = jitted(net, params, mutable=["attention"])(*inputs, None, some)
    assert [key for key, maps in by_name(side["attention"], "maps").items() if maps.cross is not None] == [name]


def test_the_batch_does_not_mix(tiny):
    net, params, inputs = tiny
    run = jitted(net, params)
    swapped = run(*(x[::-1] for x in inputs))
    np.testing.assert_allclose(run(*inputs)[1], swapped[0], atol=1e-5)


def test_rematerialising_does_not_change_the_parameters(tiny):
    net, _, _ = tiny
    assert shapes(net.clone(remat=True)) == shapes(net)


def test_a_network_that_starts_at_zero_returns_zeros(tiny):
    net, _, inputs = tiny
    start = jax.jit(lambda key: net.init(key, *inputs)["params"]["conv_out"])(jax.random.key(0))
    assert not any(leaf.any() for leaf in jax.tree.leaves(start))
