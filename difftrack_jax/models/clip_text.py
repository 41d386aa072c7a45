"""CLIP's text encoder (Radford et al. 2021), in the two sizes Stable Diffusion reads its prompts with.

    x = token + position;  each layer: x += CausalAttention(LN x), x += MLP(LN x);  states = LN(x)

Version 1 takes the states after the last layer of ViT-L/14; version 2 those of OpenCLIP ViT-H/14 before its last
layer, final norm included. `skip` says how many layers to leave out at the end; the published folders of version 2
have left that layer out already. A token sees itself and what stands before it, so padding changes no word's state.

    text = CLIPText(**variants.CLIP_TEXT["clip_l"])
    encoded = text.apply({"params": params}, ids)       # ids [b, s] of CLIP's tokenizer, s at most 77
"""

from typing import Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from difftrack_jax.models.layers import layer_norm
from difftrack_jax.typing import Array, Float, Int, PyTree

ACTIVATIONS = {
    "quick_gelu": lambda x: x * nn.sigmoid(1.702 * x),  # OpenAI's
    "gelu": lambda x: nn.gelu(x, approximate=False),  # OpenCLIP's
}


class Encoded(NamedTuple):
    """states: of every token, what U-Nets read. pooled: of the end token, what GLIGEN knows an object's name by."""

    states: Float[Array, "b s d"]
    pooled: Float[Array, "b d"]


class CLIPText(nn.Module):
    """end: the token that closes a text; padding may repeat it, the first one counts."""

    width: int
    layers: int
    heads: int
    activation: Literal["quick_gelu", "gelu"] = "quick_gelu"
    hidden: int | None = None  # of the MLPs, 4 * width if None
    vocabulary: int = 49408
    positions: int = 77
    end: int = 49407
    remat: bool = False
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, ids: Int[Array, "b s"], skip: int = 0) -> Encoded:
        s = ids.shape[1]
        if s > self.positions:
            raise ValueError(f"a text of {s} tokens; this encoder takes {self.positions} at most")
        table = lambda name, rows: nn.Embed(rows, self.width, dtype=self.dtype, name=name)
        x = table("token_embedding", self.vocabulary)(ids)
        x = x + table("position_embedding", self.positions)(jnp.arange(s))[None]
        make = nn.remat(Layer) if self.remat else Layer
        for i in range(self.layers - skip):
            x = make(self.heads, self.hidden or 4 * self.width, self.activation, self.dtype, name=f"layers_{i}")(x)
        states = layer_norm(self.dtype, "final_layer_norm")(x).astype(jnp.float32)
        last = jnp.argmax(ids == self.end, axis=1)
        return Encoded(states, jnp.take_along_axis(states, last[:, None, None], axis=1)[:, 0])


class Layer(nn.Module):
    """Pre-norm attention and MLP."""

    heads: int
    hidden: int
    activation: str
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x: Float[Array, "b s d"]) -> Float[Array, "b s d"]:
        norm = lambda number: layer_norm(self.dtype, f"layer_norm{number}")(x)
        x = x + CausalAttention(self.heads, self.dtype, name="self_attn")(norm(1))
        y = nn.Dense(self.hidden, dtype=self.dtype, name="mlp_fc1")(norm(2))
        return x + nn.Dense(x.shape[-1], dtype=self.dtype, name="mlp_fc2")(ACTIVATIONS[self.activation](y))


class CausalAttention(nn.Module):
    """Each token attends to itself and those before it."""

    heads: int
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x: Float[Array, "b s d"]) -> Float[Array, "b s d"]:
        b, s, d = x.shape
        project = lambda name: nn.Dense(d, dtype=self.dtype, name=name)
        q, k, v = (project(f"{part}_proj")(x).reshape(b, s, self.heads, -1) for part in "qkv")
        out = jax.nn.dot_product_attention(q, k, v, is_causal=True)
        return project("out_proj")(out.reshape(b, s, d))


def shapes(text: CLIPText) -> PyTree:
    """Shapes and dtypes of all the parameters; nothing is computed."""
    return jax.eval_shape(text.init, jax.random.key(0), jnp.zeros((1, 1), jnp.int32))["params"]
