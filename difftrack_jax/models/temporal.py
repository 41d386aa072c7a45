"""What lets frames see one another: temporal convolutions and temporal transformers (ModelScopeT2V, Wang et al. 2023).

Both work on [b, f, h, w, c] and both are residual. A temporal convolution whose last kernel is zero, as it starts, is
the identity. A temporal transformer attends along f alone, every pixel by itself, twice in a row (there is no text in
it); TrackDiffusion adds a learned embedding of the frame's index right after its norm. Group norm's statistics run
over f, h and w together here, where the blocks of `resnet2d.py` take each frame by itself.

Names of parameters are the published ones, dots before numbers written as underscores.
"""

from typing import Literal

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from difftrack_jax.models.attention import CrossAttention
from difftrack_jax.models.layers import FeedForward, GroupNorm, layer_norm
from difftrack_jax.typing import Array, Float

FRAMES = 16  # rows of the published frame tables
FrameEmbedding = Literal["table", "off"]


class TemporalConv(nn.Module):
    """Four times norm, SiLU and a convolution of three frames; zero padding at both ends of the clip.

    dropout: of the stages after the first; 0.1 in training as published, and needs a key named "dropout" then.
    """

    groups: int = 32
    dropout: float = 0.0
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b f h w c"]) -> Float[Array, "b f h w c"]:
        h = x
        for stage in range(1, 5):
            # In the published files a stage is a list whose dropout, where it has one, takes a number of its own.
            place = 2 if stage == 1 else 3
            h = nn.silu(GroupNorm(self.groups, dtype=self.dtype, name=f"conv{stage}_0")(h))
            if stage > 1:
                h = nn.Dropout(self.dropout, deterministic=not self.dropout)(h)
            h = _FrameConv(x.shape[-1], stage == 4, self.dtype, name=f"conv{stage}_{place}")(h)
        return x + h


class _FrameConv(nn.Module):
    """A (3, 1, 1) convolution as three matrix products: XLA has no fast path for thin 3D kernels on CPU."""

    features: int
    zero: bool
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x: Float[Array, "b f h w c"]) -> Float[Array, "b f h w c"]:
        init = nn.initializers.zeros if self.zero else nn.linear.default_kernel_init
        kernel = self.param("kernel", init, (3, 1, 1, x.shape[-1], self.features)).astype(self.dtype)
        bias = self.param("bias", nn.initializers.zeros, (self.features,)).astype(self.dtype)
        frames = x.shape[1]
        padded = jnp.pad(x.astype(self.dtype), ((0, 0), (1, 1), (0, 0), (0, 0), (0, 0)))
        taps = [padded[:, k : k + frames] @ kernel[k, 0, 0] for k in range(3)]
        return taps[0] + taps[1] + taps[2] + bias.reshape(1, 1, 1, 1, -1)


class TemporalTransformer(nn.Module):
    """Self-attention along f, twice, then the feed-forward, in a residual branch of width heads x head_dim."""

    heads: int
    head_dim: int
    groups: int = 32
    frame_embedding: FrameEmbedding = "table"
    max_frames: int = FRAMES
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b f h w c"]) -> Float[Array, "b f h w c"]:
        b, f, h, w, c = x.shape
        y = GroupNorm(self.groups, 1e-6, self.dtype, name="norm")(x)
        if self.frame_embedding == "table":
            if f > self.max_frames:
                raise ValueError(f"{f} frames at once; the frame table has {self.max_frames} rows")
            # Published tables are drawn from N(0, 1), which upsets pretrained layers; ours start at zero.
            table = self.param("time_embedder", nn.initializers.zeros, (self.max_frames, c))
            y = y + table[:f].astype(self.dtype).reshape(1, f, 1, 1, c)
        y = jnp.moveaxis(y, 1, 3).reshape(b * h * w, f, c)
        y = nn.Dense(self.heads * self.head_dim, dtype=self.dtype, name="proj_in")(y)
        y = _TemporalBlock(self.heads, self.head_dim, self.dtype, name="transformer_blocks_0")(y)
        y = nn.Dense(c, dtype=self.dtype, name="proj_out")(y)
        return x + jnp.moveaxis(y.reshape(b, h, w, f, c), 3, 1)


class _TemporalBlock(nn.Module):
    heads: int
    head_dim: int
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x: Float[Array, "p f c"]) -> Float[Array, "p f c"]:
        for number in (1, 2):
            y = layer_norm(self.dtype, f"norm{number}")(x)
            x = x + CrossAttention(self.heads, self.head_dim, dtype=self.dtype, name=f"attn{number}")(y)
        y = layer_norm(self.dtype, "norm3")(x)
        return x + FeedForward(self.dtype, name="ff")(y)
