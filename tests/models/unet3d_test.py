"""The video U-Net gives the published one's recorded outputs, has its size, and is the 2D U-Net when it should be."""

import functools
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict
from safetensors.numpy import load_file

from difftrack_jax.checkpoints.tables import unet3d as table
from difftrack_jax.models import variants
from difftrack_jax.models.gated import GatedSelfAttention
from difftrack_jax.models.injectors import Injection, Injector
from difftrack_jax.models.temporal import TemporalConv, TemporalTransformer
from difftrack_jax.models.tracklets import LocationTokens, Tracklets
from difftrack_jax.models.transformer2d import Conditions
from difftrack_jax.models.unet2d import UNet2D
from difftrack_jax.models.unet3d import UNet3D, shapes

from .. import quick_compile

GOLDENS = "goldens/models/trackdiffusion"
SMALL = UNet3D(widths=(32, 64, 64, 64), heads=(8,) * 4, layers=1, text_features=48, head_dim=16)
exact = functools.partial(jax.default_matmul_precision, "highest")


def close(got, want, relative=1e-4):
    assert np.abs(np.asarray(got) - want).max() < relative * np.abs(want).max()


def last(array):
    return jnp.asarray(np.moveaxis(array, 1, -1))


class Recorded:
    """A recorded run: its inputs in our layout, and all weights."""

    def __init__(self, folder, run):
        self.io = np.load(folder / f"run{run}_io.npz")
        b, _, f, _, _ = self.io["sample"].shape
        self.x, self.t = last(self.io["sample"]), jnp.asarray(self.io["timestep"], jnp.float32)
        self.text = jnp.asarray(self.io["encoder_hidden_states"])
        cut = lambda name: jnp.asarray(self.io[name].reshape(b, f, 20, -1))
        # Names are the same in all frames.
        self.tracklets = Tracklets(cut("boxes"), cut("masks")[..., 0], cut("positive_embeddings")[:, 0])
        state = load_file(folder / "unet_weights.safetensors")
        self.params = jax.tree.map(jnp.asarray, table.convert(state, shapes(SMALL)))

    def output(self, net, tracklets=None, gate=1.0, frames=None):
        x, told = self.x[:, :frames], tracklets or self.tracklets
        told = told._replace(boxes=told.boxes[:, :frames], valid=told.valid[:, :frames])
        with exact():
            return _forward(net)(self.params, x, self.t, self.text, told, gate)

    def inside(self, path):
        flat = flatten_dict(self.params, sep="/")
        tree = {name.removeprefix(path + "/"): leaf for name, leaf in flat.items() if name.startswith(path + "/")}
        return {"params": unflatten_dict(tree, sep="/")}


@functools.cache
def _forward(net):
    return jax.jit(lambda params, *inputs: net.apply({"params": params}, *inputs))


@functools.cache
def recorded(folder, run):
    return Recorded(folder, run)


@pytest.fixture
def golden(shared):
    return recorded(shared(GOLDENS), 1)


@pytest.fixture
def longer(shared):
    return recorded(shared(GOLDENS), 0)


# Parts, each against its own recorded inputs


@pytest.mark.parametrize("run", [0, 1])
def test_location_tokens_and_trajectories_are_the_recorded_ones(shared, run):
    case = recorded(shared(GOLDENS), run)
    b, f = case.x.shape[:2]
    with exact():
        out = LocationTokens(48).apply(case.inside("position_net"), case.tracklets)
    close(out.location, case.io["position_net/objs"].reshape(b, f, 20, -1))
    close(out.motion, case.io["position_net/track_objs"])


@pytest.mark.parametrize("run", [0, 1])
def test_the_fuser_is_the_recorded_one(shared, run):
    case = recorded(shared(GOLDENS), run)
    params = case.inside("up_blocks_2/attentions_0/transformer_blocks_0/fuser")
    with exact():
        inputs = (jnp.asarray(case.io[f"fuser/{name}"]) for name in ("x_in", "objs_in"))
        out = GatedSelfAttention(8).apply(params, *inputs)
    close(out, case.io["fuser/out"])


@pytest.mark.parametrize("run", [0, 1])
def test_the_injector_is_the_recorded_one(shared, run):
    case = recorded(shared(GOLDENS), run)
    b, f = case.x.shape[:2]
    x, roi = jnp.asarray(case.io["injector/x_in"]), case.io["injector/roi_feat_in"]
    seen = jnp.asarray(roi.reshape(b, f, 20, 1, -1))
    tokens = LocationTokens(48).apply(case.inside("position_net"), case.tracklets)
    told = tokens._replace(motion=jnp.asarray(case.io["injector/track_objs_in"]))
    conditions = Conditions(jnp.zeros((b * f, 1)), jnp.zeros((b * f, 1, 1)), extra=told)
    params = case.inside("up_blocks_2/attentions_0/transformer_blocks_0/injector")
    with exact():
        out = Injector(8).apply(params, x, seen, conditions)
    close(out, case.io["injector/out"])


def test_temporal_layers_are_the_recorded_ones(longer):
    clip = lambda name: jnp.moveaxis(jnp.asarray(longer.io[name]), 1, -1)[None]
    with exact():
        conv = TemporalConv().apply(longer.inside("up_blocks_3/temp_convs_0"), clip("temp_conv/x_in"))
        params = longer.inside("up_blocks_3/temp_attentions_0")
        turned = TemporalTransformer(2, 16).apply(params, clip("temporal_transformer/x_in"))
    close(conv, clip("temp_conv/out"))
    close(turned, clip("temporal_transformer/out"))


# The whole


@pytest.mark.slow
def test_the_whole_network_is_the_recorded_one(golden):
    close(golden.output(SMALL), last(golden.io["output"]))
    nothing = golden.tracklets._replace(valid=jnp.zeros_like(golden.tracklets.valid))
    close(golden.output(SMALL, nothing), last(golden.io["output_all_masks_zero"]))
    close(golden.output(SMALL, gate=0.0), last(golden.io["output_gated_modules_disabled"]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("output", {}),
        ("output_self_on", {"injection": Injection(read="self")}),
        ("output_time_embedding_off", {"frame_embedding": "off"}),
        ("output_injector_off", {"injection": None}),
        ("output_single_frame", {"lone_frame_conv": True}),
    ],
)
def test_every_recorded_switch_gives_the_recorded_output(longer, name, changes):
    net = SMALL.clone(**changes)
    close(longer.output(net, frames=1 if name == "output_single_frame" else None), last(longer.io[name]))


def count(net):
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(shapes(net)))


def test_full_size_networks_have_the_published_number_of_parameters():
    assert count(UNet3D(**variants.UNET3D["trackdiffusion"])) == 1_763_598_710
    assert count(UNet3D(**variants.UNET3D["trackdiffusion_base"])) == 1_614_166_500


@pytest.mark.parametrize(("name", "size"), [("tiny_video", 453_612), ("mini_video", 6_799_910)])
def test_our_networks_keep_their_size(name, size):
    """Pinned: bundled weights fit these and nothing else."""
    assert count(UNet3D(**variants.UNET3D[name])) == size


# Truths

TINY = UNet3D(**variants.UNET3D["tiny_video"] | {"in_channels": 4, "out_channels": 4, "coordinates": False})


@pytest.fixture
def clip(rng):
    """Two clips of three frames: latents, times, text and tracklets, one slot empty and one that comes late."""
    draw = lambda *shape: jnp.asarray(rng.standard_normal(shape), jnp.float32)
    low = rng.uniform(0, 0.5, (2, 3, 4, 2))
    boxes = jnp.asarray(np.concatenate([low, low + rng.uniform(0.2, 0.5, low.shape)], axis=-1), jnp.float32)
    valid = jnp.ones((2, 3, 4)).at[:, :, 3].set(0).at[:, 0, 2].set(0)
    d = TINY.text_features
    return draw(2, 3, 8, 8, 4), jnp.array([3.0, 700.0]), draw(2, 5, d), Tracklets(boxes, valid, draw(2, 4, d))


@pytest.fixture
def params(weights, clip):
    return weights(TINY, *clip)


def run(net, params, *inputs):
    return _forward(net)(params, *inputs)


def test_without_gates_and_temporal_layers_it_is_the_2d_network_frame_by_frame(params, clip):
    x, t, text, tracklets = clip
    still = run(TINY.clone(temporal=False), params, x, t, text, tracklets, 0.0)
    fields = ("widths", "heads", "attention", "layers", "text_features", "in_channels", "out_channels", "groups")
    plain = UNet2D(**{name: getattr(TINY, name) for name in fields})
    frames = x.reshape(6, 8, 8, 4)
    one = jax.jit(lambda p: plain.apply({"params": p}, frames, jnp.repeat(t, 3), jnp.repeat(text, 3, axis=0)))(params)
    np.testing.assert_allclose(still.reshape(one.shape), one, atol=1e-4)


def test_slots_and_their_embeddings_may_change_places(params, clip):
    x, t, text, tracklets = clip
    order = jnp.array([2, 0, 3, 1])
    moved = Tracklets(tracklets.boxes[:, :, order], tracklets.valid[:, :, order], tracklets.classes[:, order])
    table = params["position_net"]["instance_embedding"][order]
    other = params | {"position_net": params["position_net"] | {"instance_embedding": table}}
    np.testing.assert_allclose(run(TINY, other, x, t, text, moved), run(TINY, params, *clip), atol=2e-4)
    assert jnp.abs(run(TINY, params, x, t, text, moved) - run(TINY, params, *clip)).max() > 1e-2


def test_boxes_and_names_of_an_absent_slot_are_not_seen(params, clip):
    x, t, text, tracklets = clip
    gone = tracklets._replace(valid=tracklets.valid.at[:, :, 1].set(0))
    other = gone._replace(
        boxes=gone.boxes.at[:, :, 1].set(jnp.array([0.1, 0.2, 0.3, 0.4])), classes=gone.classes.at[:, 1].set(7.0)
    )
    a, b = run(TINY, params, x, t, text, gone), run(TINY, params, x, t, text, other)
    np.testing.assert_allclose(a, b, atol=1e-5)
    assert jnp.abs(a - run(TINY, params, *clip)).max() > 1e-3


def test_clips_of_a_batch_do_not_mix(params, clip):
    both = run(TINY, params, *clip)
    turned = run(TINY, params, *jax.tree.map(lambda leaf: leaf[::-1], clip))
    np.testing.assert_allclose(both[0], turned[1], atol=1e-4)


@pytest.mark.slow
def test_recomputing_activations_changes_neither_output_nor_gradient(weights, clip):
    small = TINY.clone(widths=TINY.widths[:1], heads=TINY.heads[:1], attention=(True,))
    params = weights(small, *clip)
    loss = lambda net: jax.jit(jax.grad(lambda p: jnp.sum(net.apply({"params": p}, *clip) ** 2)))(params)
    for a, b in zip(*(jax.tree.leaves(loss(small.clone(remat=remat))) for remat in (False, True))):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3 * np.abs(a).max())


@pytest.mark.slow
@pytest.mark.parametrize(
    "injection",
    [
        Injection(where=("encoder",)),
        Injection(where=("encoder", "decoder")),
        Injection(read="self", scope="clip"),
        Injection(join="tokens", roi_size=2),
        Injection(kind="roi"),
        Injection(kind="query"),
    ],
    ids=str,
)
def test_every_kind_of_injector_sees_the_boxes_and_keeps_clips_apart(weights, clip, injection):
    net = TINY.clone(injection=injection, gated=False)
    params = weights(net, *clip)
    out = run(net, params, *clip)
    turned = run(net, params, *jax.tree.map(lambda leaf: leaf[::-1], clip))
    np.testing.assert_allclose(out[0], turned[1], atol=1e-4)
    moved = clip[3]._replace(boxes=clip[3].boxes * 0.8)
    assert jnp.abs(run(net, params, *clip[:3], moved) - out).max() > 1e-4
    assert count(net) > count(net.clone(injection=None))


@pytest.mark.slow
def test_an_odd_size_comes_back_to_itself(params, clip):
    x, *rest = clip
    assert run(TINY, params, x[:, :, :5, :7], *rest).shape == (2, 3, 5, 7, 4)


_EIGHT = """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec as P
from difftrack_jax.models import variants
from difftrack_jax.models.tracklets import Tracklets
from difftrack_jax.models.unet3d import UNet3D, shapes

assert jax.device_count() == 8
net = UNet3D(**variants.UNET3D["tiny_video"] | {"max_frames": 8})
rng = np.random.default_rng(0)
draw = lambda *shape: rng.standard_normal(shape).astype(np.float32)
params = jax.tree.map(lambda leaf: 0.2 * draw(*leaf.shape), shapes(net))
low = rng.uniform(0, 0.5, (8, 8, 4, 2)).astype(np.float32)
tracklets = Tracklets(np.concatenate([low, low + 0.3], -1), np.ones((8, 8, 4), np.float32), draw(8, 4, 24))
inputs = draw(8, 8, 4, 4, 48), np.arange(8, dtype=np.float32) * 100, draw(8, 3, 24), tracklets
run = jax.jit(lambda p, *inputs: net.apply({"params": p}, *inputs))
one = run(params, *inputs)
mesh = Mesh(np.array(jax.devices()), ("d",), axis_types=(AxisType.Auto,))
over = lambda tree, spec: jax.tree.map(lambda leaf: jax.device_put(leaf, NamedSharding(mesh, spec)), tree)
by_clip = run(over(params, P()), *over(inputs, P("d")))
assert len(by_clip.sharding.device_set) == 8
np.testing.assert_allclose(by_clip, one, atol=2e-4 * float(jnp.abs(one).max()))
moved = tracklets._replace(boxes=over(tracklets.boxes, P(None, "d")), valid=over(tracklets.valid, P(None, "d")))
rest = over((inputs[1], inputs[2]), P())
moved = moved._replace(classes=over(tracklets.classes, P()))
by_frame = run(over(params, P()), over(inputs[0], P(None, "d")), *rest, moved)
np.testing.assert_allclose(by_frame, one, atol=2e-4 * float(jnp.abs(one).max()))
"""


@pytest.mark.slow
def test_eight_devices_equal_one_over_clips_and_over_frames():
    flags = quick_compile.with_flags("--xla_force_host_platform_device_count=8")
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", _EIGHT], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
