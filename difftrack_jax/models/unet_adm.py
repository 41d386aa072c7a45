"""The pixel U-Net of the ADM family (Dhariwal and Nichol 2021, openai/guided-diffusion `unet.py`), in Flax.

Parameter names are the published ones with dots before numbers turned into underscores
(`input_blocks.1.0.in_layers.2.weight` is `input_blocks_1_0/in_layers_2/kernel`), so conversion needs no table of
blocks. Ours beyond the published layout, all off by default: `patch` (a space-to-depth stem), and the attention
options of `attention.py`. References, maps and features go in and out as attention.py says; `references` is keyed by
block name.

    epsilon = UNetADM(**variants.ADM["adm256"]).apply({"params": params}, x, t)   # x [b, h, w, 3], t [b] in 0..999
"""

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from difftrack_jax.models.attention import AttentionBlock, Reference
from difftrack_jax.models.layers import (
    GroupNorm,
    conv,
    depth_to_space,
    downsample,
    space_to_depth,
    timestep_embedding,
    upsample,
)
from difftrack_jax.typing import Array, Float, Int


class ResBlock(nn.Module):
    """Two convolutions with the time embedding between them; may halve or double the size on the way."""

    features: int
    scale_shift: bool
    resample: str = ""  # "", "up" or "down"
    dropout: float = 0.0
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], emb: Float[Array, "b e"], train: bool = False
    ) -> Float[Array, "b h2 w2 c2"]:
        change = {"": lambda z: z, "up": upsample, "down": downsample}[self.resample]
        h = change(nn.silu(GroupNorm(dtype=self.dtype, name="in_layers_0")(x)))
        h = conv(self.features, dtype=self.dtype, name="in_layers_2")(h)
        width = self.features * (2 if self.scale_shift else 1)
        e = nn.Dense(width, dtype=self.dtype, name="emb_layers_1")(nn.silu(emb).astype(self.dtype))[:, None, None]
        norm = GroupNorm(dtype=self.dtype, name="out_layers_0")
        if self.scale_shift:
            scale, shift = jnp.split(e, 2, axis=-1)
            h = norm(h) * (1 + scale) + shift
        else:
            h = norm(h + e)
        h = nn.Dropout(self.dropout, deterministic=not train)(nn.silu(h))
        h = conv(self.features, dtype=self.dtype, name="out_layers_3", zero=True)(h)
        skip = change(x)
        if skip.shape[-1] != self.features:
            skip = conv(self.features, 1, dtype=self.dtype, name="skip_connection")(skip)
        return skip + h


class UNetADM(nn.Module):
    """U-Net with attention at the given down-sampling factors (counted after the stem).

    num_res_blocks: residual blocks a level, one number for all or one a level; the decoder has one more, as published.
    num_head_channels: width of a head; if None, `num_heads` heads everywhere.
    encoder_attention: False leaves attention to the middle and the decoder (the published layout has it in both).
    """

    model_channels: int
    out_channels: int
    num_res_blocks: int | tuple[int, ...]
    attention_resolutions: tuple[int, ...]
    channel_mult: tuple[int | float, ...]
    in_channels: int = 3
    num_heads: int = 1
    num_head_channels: int | None = None
    num_classes: int | None = None
    resblock_updown: bool = False
    conv_resample: bool = True
    use_scale_shift_norm: bool = False
    use_new_attention_order: bool = False
    dropout: float = 0.0
    patch: int = 1
    encoder_attention: bool = True
    cosine: bool = False
    rotary: bool = False
    null_key: bool = False
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "b h w c"],
        t: Float[Array, "b"],
        labels: Int[Array, "b"] | None = None,
        references: dict[str, Reference] | None = None,
        train: bool = False,
    ) -> Float[Array, "b h w c2"]:
        width = self.model_channels
        emb = timestep_embedding(t, width).astype(self.dtype)
        emb = nn.Dense(4 * width, dtype=self.dtype, name="time_embed_0")(emb)
        emb = nn.Dense(4 * width, dtype=self.dtype, name="time_embed_2")(nn.silu(emb))
        if self.num_classes is not None:
            emb = emb + nn.Embed(self.num_classes, 4 * width, dtype=self.dtype, name="label_emb")(labels)
        run = _Blocks(self, emb, references or {}, train)

        h = conv(width, dtype=self.dtype, name="input_blocks_0_0")(space_to_depth(x, self.patch).astype(self.dtype))
        skips, factor, block = [h], 1, 1
        levels = list(zip(self.channel_mult, self._res_blocks()))
        for level, (mult, count) in enumerate(levels):
            for _ in range(count):
                h = run.residual(f"input_blocks_{block}_0", h, int(mult * width))
                if self.encoder_attention and factor in self.attention_resolutions:
                    h = run.attention(f"input_blocks_{block}_1", h)
                skips.append(h)
                block += 1
            if level < len(levels) - 1:
                h = run.down(f"input_blocks_{block}_0", h)
                skips.append(h)
                factor, block = 2 * factor, block + 1

        h = run.residual("middle_block_0", h, h.shape[-1])
        h = run.attention("middle_block_1", h)
        h = run.residual("middle_block_2", h, h.shape[-1])

        block = 0
        for level, (mult, count) in reversed(list(enumerate(levels))):
            for i in range(count + 1):
                h = jnp.concatenate([h, skips.pop()], axis=-1)
                h = run.residual(f"output_blocks_{block}_0", h, int(mult * width))
                part = 1
                if factor in self.attention_resolutions:
                    h, part = run.attention(f"output_blocks_{block}_1", h), 2
                if level and i == count:
                    h, factor = run.up(f"output_blocks_{block}_{part}", h), factor // 2
                self.sow("features", f"output_blocks_{block}", h, reduce_fn=lambda _, new: new)
                block += 1

        h = nn.silu(GroupNorm(dtype=self.dtype, name="out_0")(h))
        h = conv(self.out_channels * self.patch**2, dtype=self.dtype, name="out_2", zero=True)(h)
        return depth_to_space(h, self.patch).astype(jnp.float32)

    def _res_blocks(self) -> tuple[int, ...]:
        if isinstance(self.num_res_blocks, int):
            return (self.num_res_blocks,) * len(self.channel_mult)
        return self.num_res_blocks


class _Blocks:
    """Makes the U-Net's blocks under their published names, with what they all share filled in."""

    def __init__(self, net: UNetADM, emb, references, train):
        self.net, self.emb, self.references, self.train = net, emb, references, train

    def residual(self, name, h, features, resample=""):
        net = self.net
        block = ResBlock(features, net.use_scale_shift_norm, resample, net.dropout, net.dtype, name=name)
        return block(h, self.emb, self.train)

    def attention(self, name, h):
        net = self.net
        heads = net.num_heads if net.num_head_channels is None else h.shape[-1] // net.num_head_channels
        block = AttentionBlock(
            heads, net.use_new_attention_order, net.cosine, net.rotary, net.null_key, net.dtype, name=name
        )
        return block(h, self.references.get(name))

    def down(self, name, h):
        if self.net.resblock_updown:
            return self.residual(name, h, h.shape[-1], "down")
        if self.net.conv_resample:
            return _Resample(h.shape[-1], "op", 2, self.net.dtype, name=name)(h)
        return downsample(h)

    def up(self, name, h):
        if self.net.resblock_updown:
            return self.residual(name, h, h.shape[-1], "up")
        h = upsample(h)
        return _Resample(h.shape[-1], "conv", 1, self.net.dtype, name=name)(h) if self.net.conv_resample else h


class _Resample(nn.Module):
    """The convolution of a Downsample ("op", stride 2) or Upsample ("conv") block, one level deep as published."""

    features: int
    inner: str
    stride: int
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 c"]:
        return conv(self.features, 3, self.stride, dtype=self.dtype, name=self.inner)(x)
