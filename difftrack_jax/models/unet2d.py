"""The latent U-Net of Stable Diffusion 1 and 2 (Rombach et al. 2022), with GLIGEN's grounding as an option.

Parameter names are those of diffusers' UNet2DConditionModel with dots before numbers turned into underscores
(`down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_q.weight` is `down_blocks_0/attentions_1/
transformer_blocks_0/attn1/to_q/kernel`). Any latent size runs; sizes that do not halve evenly come back to the size of
the skip. References, maps and features go in and out as attention.py says, by the path of the layer:

    net = UNet2D(**variants.UNET2D["sd15"])
    out, side = net.apply({"params": params}, z, t, text, mutable=["references"])    # z [b, h, w, 4], t in 0..999
    references = by_name(side["references"], "own")      # {"up_blocks_1/attentions_0/transformer_blocks_0/attn1": ...}
    out, side = net.apply({"params": params}, z, t, text, references=references, mutable=["attention", "features"])
    maps, tokens = by_name(side["attention"], "maps"), by_name(side["attention"], "tokens")
    features = by_name(side["features"], "map")["up_blocks_1"]    # after the block's upsampling, as DIFT counts
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.traverse_util import unflatten_dict
from jax.typing import DTypeLike

from difftrack_jax.models.attention import Reference
from difftrack_jax.models.blocks2d import NOTHING, DownBlock, Inserts, Map, MidBlock, Style, UpBlock
from difftrack_jax.models.gated import Grounding, PositionNet
from difftrack_jax.models.layers import GroupNorm, conv, timestep_embedding
from difftrack_jax.models.transformer2d import Conditions
from difftrack_jax.typing import Array, Float, PyTree


class UNet2D(nn.Module):
    """Noise (or velocity) of a latent image under a text.

    widths: channels of each level. heads: of the transformers of each level. attention: which levels have
    transformers. layers: of a level of the encoder; the decoder has one more. text_features: width of the text.
    gated: grounding layers; `grounding` must be given to create their weights, and leaving it out later skips them.
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
    gated: bool = False
    remat: bool = False
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "b h w c"],
        t: Float[Array, "b"],
        text: Float[Array, "b s {self.text_features}"],
        grounding: Grounding | None = None,
        references: dict[str, Reference] | None = None,
    ) -> Float[Array, "b h w d"]:
        emb = TimestepEmbedding(4 * self.widths[0], self.dtype, name="time_embedding")(
            timestep_embedding(t, self.widths[0])
        )
        nested = unflatten_dict(references, sep="/") if references else None
        conditions = Conditions(emb, text.astype(self.dtype), references=nested)
        if self.gated and grounding is not None:
            objects = PositionNet(self.text_features, dtype=self.dtype, name="position_net")(grounding)
            conditions = conditions._replace(objects=objects, gate=grounding.gate)
        x = conv(self.widths[0], dtype=self.dtype, name="conv_in")(x.astype(self.dtype))
        return head(self, trunk(self, x, conditions))


class TimestepEmbedding(nn.Module):
    """Two linear layers over the sinusoids of the step."""

    features: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b f"]) -> Float[Array, "b {self.features}"]:
        x = nn.Dense(self.features, dtype=self.dtype, name="linear_1")(x.astype(self.dtype))
        return nn.Dense(self.features, dtype=self.dtype, name="linear_2")(nn.silu(x))


def trunk(
    net: nn.Module,
    x: Map,
    conditions: Conditions,
    down: Inserts = NOTHING,
    mid: Inserts = NOTHING,
    up: Inserts = NOTHING,
) -> Map:
    """All levels, made inside `net`'s compact call from the fields `UNet2D` has; a network with time adds inserts."""
    style = Style(net.groups, 1e-5, net.transformer_layers, net.gated, net.remat, net.dtype)
    heads = [n if present else None for n, present in zip(net.heads, net.attention)]
    top = len(net.widths) - 1
    skips = [x]
    for i, width in enumerate(net.widths):
        name = f"down_blocks_{i}"
        block = DownBlock(width, net.layers, heads[i], i == top, style, down, name=name)
        x, more = block(x, conditions.inside(name))
        skips += more
    x = MidBlock(net.widths[-1], net.heads[-1], style, mid, name="mid_block")(x, conditions.inside("mid_block"))
    for i, width in enumerate(reversed(net.widths)):
        name, count = f"up_blocks_{i}", net.layers + 1
        taken, skips = skips[-count:], skips[:-count]
        block = UpBlock(width, count, heads[top - i], style, up, name=name)
        x = block(x, taken, conditions.inside(name), skips[-1].shape[1:3] if skips else None)
    return x


def head(net: nn.Module, x: Map) -> Map:
    """The last norm and convolution, made inside `net`'s compact call; float32 whatever is inside."""
    x = nn.silu(GroupNorm(net.groups, dtype=net.dtype, name="conv_norm_out")(x))
    return conv(net.out_channels, dtype=net.dtype, name="conv_out", zero=True)(x).astype(jnp.float32)


def shapes(net: UNet2D) -> PyTree:
    """Shapes and dtypes of all the parameters, grounding included; nothing is computed."""
    side = 2 ** len(net.widths)
    z, t = jnp.zeros((1, side, side, net.in_channels)), jnp.zeros(1)
    text = jnp.zeros((1, 1, net.text_features))
    grounding = Grounding(jnp.zeros((1, 1, 4)), jnp.zeros((1, 1, net.text_features)), jnp.zeros((1, 1)))
    return jax.eval_shape(net.init, jax.random.key(0), z, t, text, grounding if net.gated else None)["params"]
