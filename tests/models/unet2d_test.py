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


class Tiny:
    """A network of ours with random weights, and a pair of latents of a size that is odd on the way down."""

    def __init__(self, weights, rng):
        self.net = UNet2D(**variants.UNET2D["tiny_sd"])
        z, text = rng.standard_normal((2, 5, 7, 4)), rng.standard_normal((2, 5, 24))
        self.inputs = jnp.asarray(z, jnp.float32), jnp.array([3.0, 700.0]), jnp.asarray(text, jnp.float32)
        self.params = weights(self.net, *self.inputs)
        self.run = jitted(self.net, self.params)
        self.looking = jitted(self.net, self.params, mutable=["attention"])
        self.plain = self.run(*self.inputs)
        collections = ["attention", "references", "features"]
        self.asked, self.side = jitted(self.net, self.params, mutable=collections)(*self.inputs)
        self.references = by_name(self.side["references"], "own")


def jitted(net, params, **options):
    return jax.jit(lambda *inputs: net.apply({"params": params}, *inputs, **options))


made = {}


@pytest.fixture
def tiny(weights, rng) -> Tiny:
    if not made:
        made["tiny"] = Tiny(weights, rng)
    return made["tiny"]


def test_output_has_the_place_of_the_input_at_any_size_and_type(tiny):
    _, t, text = tiny.inputs
    for dtype, size in [(jnp.float32, (5, 13)), (jnp.bfloat16, (1, 3))]:
        z, net = jnp.zeros((2, *size, 4)), tiny.net.clone(dtype=dtype)
        out = jax.eval_shape(jitted(net, tiny.params), z, t, text)
        assert out.shape == z.shape
        assert out.dtype == jnp.float32


def test_half_precision_is_near_full_precision(tiny):
    half = jitted(tiny.net.clone(dtype=jnp.bfloat16), tiny.params)(*tiny.inputs)
    close(half, np.asarray(tiny.plain), 0.1)


def test_asking_for_everything_does_not_change_the_output(tiny):
    np.testing.assert_allclose(tiny.asked, tiny.plain, atol=1e-4)
    maps, tokens = by_name(tiny.side["attention"], "maps"), by_name(tiny.side["attention"], "tokens")
    assert maps.keys() == tiny.references.keys()
    assert {name.replace("attn1", "attn2") for name in maps} == tokens.keys()
    for rows in [m.self_ for m in maps.values()] + list(tokens.values()):
        np.testing.assert_allclose(rows.sum(-1), 1.0, atol=1e-5)


def test_a_frames_own_references_give_its_own_output_and_anothers_do_not(tiny):
    again, side = tiny.looking(*tiny.inputs, None, tiny.references)
    np.testing.assert_allclose(again, tiny.plain, atol=1e-4)
    # Looking at its own frame a layer looks at itself.
    maps = by_name(side["attention"], "maps")[f"{LAYER}/attn1"]
    np.testing.assert_allclose(maps.cross, maps.self_, atol=1e-5)
    other, _ = tiny.looking(*tiny.inputs, None, jax.tree.map(lambda a: a[::-1], tiny.references))
    assert jnp.abs(other - tiny.plain).max() > 1e-2


def test_references_may_be_given_for_some_layers_only(tiny):
    some = {f"{LAYER}/attn1": tiny.references[f"{LAYER}/attn1"]}
    side = jax.eval_shape(tiny.looking, *tiny.inputs, None, some)[1]
    maps = by_name(side["attention"], "maps")
    assert [name for name, rows in maps.items() if rows.cross is not None] == list(some)


def test_the_batch_does_not_mix(tiny):
    swapped = tiny.run(*(x[::-1] for x in tiny.inputs))
    np.testing.assert_allclose(tiny.plain[1], swapped[0], atol=1e-5)


def test_rematerialising_does_not_change_the_parameters(tiny):
    assert shapes(tiny.net.clone(remat=True)) == shapes(tiny.net)


def test_a_network_that_starts_at_zero_returns_zeros(tiny):
    """The last convolution starts at zero; its parameters are made alone, for making all is slow."""
    start = jax.jit(lambda key: tiny.net.init(key, *tiny.inputs)["params"]["conv_out"])(jax.random.key(0))
    assert not any(leaf.any() for leaf in jax.tree.leaves(start))
