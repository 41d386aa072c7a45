"""The video U-Net of TrackDiffusion: Stable Diffusion's spatial layers, ModelScopeT2V's temporal ones, and tracklets.

A layer is: residual block, temporal convolution, spatial transformer (with GLIGEN's fuser and, where asked for, the
instance injector, which looks at the map before the transformer), temporal transformer. For one frame all temporal
layers are left out; with all gates at zero besides, this is `UNet2D`.

    net = UNet3D(**variants.UNET3D["trackdiffusion"])
    noise = net.apply({"params": p}, latents, t, text, Tracklets(boxes, valid, classes))   # latents [b, f, h, w, 4]

Parameter names are the published ones, dots before numbers written as underscores (and `look` for a block's null
feature). Everything structural is a field here and is recorded with the weights; the published code reads it from
environment variables.
"""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from difftrack_jax.models.blocks2d import Inserts
from difftrack_jax.models.gated import fourier
from difftrack_jax.models.injectors import Injection, Injector, InstanceLook
from difftrack_jax.models.layers import conv, timestep_embedding
from difftrack_jax.models.painting import Painting
from difftrack_jax.models.temporal import FRAMES, FrameEmbedding, TemporalConv, TemporalTransformer
from difftrack_jax.models.tracklets import HIDDEN, LocationTokens, Tracklets
from difftrack_jax.models.transformer2d import Conditions
from difftrack_jax.models.unet2d import TimestepEmbedding, head, trunk
from difftrack_jax.typing import Array, Float, PyTree, Scalar


class UNet3D(nn.Module):
    """Noise (or whatever it was trained for) of a clip's latents, under a caption and tracklets.

    Fields up to `gated` and the last two are `UNet2D`'s. head_dim: width of a temporal head. slots: tracklets a clip.
    instances: the table of instance embeddings. injection: the temporal instance enhancer, None for none. temporal:
    False leaves all temporal layers out. entry_heads: of the temporal transformer at the entrance. max_frames: rows of
    the frame tables. coordinates: show the first layer where in the frame it is, which a network trained from scratch
    needs and a pretrained one knows. painted: also put tokens where their boxes are, likewise. lone_frame_conv:
    for one frame, run the middle's first temporal convolution all the same, as the published code does. dropout: of
    temporal convolutions, in training.
    """

    widths: tuple[int, ...] = (320, 640, 1280, 1280)
    heads: tuple[int, ...] = (8, 8, 8, 8)
    attention: tuple[bool, ...] = (True, True, True, False)
    layers: int = 2
    transformer_layers: int = 1
    text_features: int = 768
    in_channels: int = 4
    out_channels: int = 4
    groups: int = 32
    gated: bool = True
    head_dim: int = 64
    slots: int = 20
    token_hidden: int = HIDDEN
    instances: bool = True
    injection: Injection | None = Injection()
    temporal: bool = True
    entry_heads: int = 8
    frame_embedding: FrameEmbedding = "table"
    max_frames: int = FRAMES
    coordinates: bool = False
    painted: bool = False
    lone_frame_conv: bool = False
    dropout: float = 0.0
    remat: bool = False
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "b f h w c"],
        t: Float[Array, "b"],
        text: Float[Array, "b s {self.text_features}"],
        tracklets: Tracklets,
        gate: Scalar = 1.0,
    ) -> Float[Array, "b f h w d"]:
        """`gate` scales what fusers and injectors add: 1 as trained, 0 for none of it. Latents may be of any size."""
        b, f, h, w, _ = x.shape
        emb = timestep_embedding(t, self.widths[0])
        emb = TimestepEmbedding(4 * self.widths[0], self.dtype, name="time_embedding")(emb)
        each = lambda z: jnp.repeat(z.astype(self.dtype), f, axis=0)
        grounds = self._tokens()(tracklets)
        objects = grounds.location.reshape(b * f, self.slots, -1) if self.gated else None
        conditions = Conditions(each(emb), each(text), objects, gate, extra=grounds)

        x = x.reshape(b * f, h, w, -1).astype(self.dtype)
        if self.coordinates:
            x = jnp.concatenate([x, jnp.repeat(_places(h, w)[None].astype(self.dtype), b * f, axis=0)], axis=-1)
        x = conv(self.widths[0], dtype=self.dtype, name="conv_in")(x)
        if self.painted:
            x = x + gate * Painting(self.widths[0], self.dtype, name="painting")(grounds, h, w)
        moving = self.temporal and f > 1
        if moving:
            x = _temporal_transformer(self, "transformer_in", self.entry_heads)(x, conditions)
        x = trunk(self, x, conditions, *(_inserts(self, place, moving) for place in ("encoder", "middle", "decoder")))
        return head(self, x).reshape(b, f, h, w, -1)

    def _tokens(self) -> LocationTokens:
        kind = self.injection.kind if self.injection else "off"
        return LocationTokens(
            self.text_features,
            self.slots,
            self.token_hidden,
            self.instances,
            motion=kind == "fuse",
            queries=kind == "query",
            dtype=self.dtype,
            name="position_net",
        )


# Makers of what is inserted into a block. They are no methods: a module belongs to the one whose method made it.


def _inserts(net: UNet3D, place: str, moving: bool) -> Inserts:
    given = Inserts()
    if moving:
        given = Inserts(functools.partial(_temporal_conv, net), functools.partial(_temporal_transformer, net))
    elif net.lone_frame_conv and place == "middle":
        only_first = lambda name: _temporal_conv(net, name) if name.endswith("_0") else lambda x, conditions: x
        given = Inserts(after_resnet=only_first)
    if net.injection and place in net.injection.where:
        look = None if net.injection.kind == "query" else functools.partial(InstanceLook, net.injection.roi_size)
        given = given._replace(look=look, injector=functools.partial(_injector, net))
    return given


def _injector(net: UNet3D, name: str) -> Callable:
    heads = dict(zip(net.widths, net.heads))
    make = functools.partial(Injector, spec=net.injection, dtype=net.dtype, name=name)
    return lambda x, seen, conditions: make(heads[x.shape[-1]])(x, seen, conditions)


def _temporal_conv(net: UNet3D, name: str) -> Callable:
    return _on_clip(lambda x: _layer(net, TemporalConv, net.groups, net.dropout, name=name))


def _temporal_transformer(net: UNet3D, name: str, heads: int | None = None) -> Callable:
    fields = dict(groups=net.groups, frame_embedding=net.frame_embedding, max_frames=net.max_frames)
    count = lambda x: heads or x.shape[-1] // net.head_dim
    return _on_clip(lambda x: _layer(net, TemporalTransformer, count(x), net.head_dim, name=name, **fields))


def _layer(net: UNet3D, kind: type[nn.Module], *args, **fields) -> nn.Module:
    return (nn.remat(kind) if net.remat else kind)(*args, dtype=net.dtype, **fields)


def _on_clip(make: Callable[[Array], nn.Module]) -> Callable:
    """(x [b f, h, w, c], conditions) -> the same shape, through a module made for x that works on [b, f, h, w, c]."""

    def run(x, conditions):
        return make(x)(x.reshape(*conditions.extra.valid.shape[:2], *x.shape[1:])).reshape(x.shape)

    return run


def _places(h: int, w: int) -> Float[Array, "{h} {w} 64"]:
    """Every cell as the box it covers, embedded as boxes are."""
    x0, y0 = jnp.meshgrid(jnp.arange(w) / w, jnp.arange(h) / h, indexing="xy")
    return fourier(jnp.stack([x0, y0, x0 + 1 / w, y0 + 1 / h], axis=-1))


def settings(changes: dict[str, Any]) -> dict[str, Any]:
    """Fields of `UNet3D` from a config or from JSON: lists are tuples, and an injection of kind "off" is None."""
    freeze = lambda value: tuple(value) if isinstance(value, list) else value
    out = {name: freeze(value) for name, value in changes.items()}
    if isinstance(out.get("injection"), dict):
        spec = {name: freeze(value) for name, value in out["injection"].items()}
        out["injection"] = None if spec["kind"] == "off" else Injection(**spec)
    return out


def build(**fields: Any) -> UNet3D:
    """`UNet3D` from its recorded fields."""
    return UNet3D(**settings(fields))


def shapes(net: UNet3D, frames: int = 2) -> PyTree:
    """Shapes and dtypes of all the parameters, without computing anything; those of one frame have no temporal ones."""
    side = 2 ** len(net.widths)
    x, t, text = jnp.zeros((1, frames, side, side, net.in_channels)), jnp.zeros(1), jnp.zeros((1, 1, net.text_features))
    n = net.slots
    tracklets = Tracklets(jnp.zeros((1, frames, n, 4)), jnp.zeros((1, frames, n)), jnp.zeros((1, n, net.text_features)))
    return jax.eval_shape(net.init, jax.random.key(0), x, t, text, tracklets)["params"]
