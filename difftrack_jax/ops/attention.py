"""Attention products in the form that each kind of device is fast at; queries come scaled.

    p = softmax(q k^T),    out = p v

Accelerators have a fused kernel. On a CPU heads go one after the other, each with its matrices in one piece, and the
rows are computed again on the way back rather than kept: XLA then has nothing to read in strips, and nothing as large
as all rows of all heads to write (benchmarks/LOG.md has the seconds). The way back of a head, with g that of `out`:

    dv = p^T g,    ds = p o (g v^T - sum(g o out)),    dq = ds k,    dk = ds^T q
"""

import jax
import jax.numpy as jnp

from difftrack_jax.typing import Array, Float


def attend(
    q: Float[Array, "b q heads d"], k: Float[Array, "b m heads d"], v: Float[Array, "b m heads d"]
) -> Float[Array, "b q heads d"]:
    """softmax(q k^T) v, the soft-max in float32."""
    if jax.default_backend() != "cpu":
        return jax.nn.dot_product_attention(q, k, v, scale=1.0)
    heads = tuple(jnp.moveaxis(x, 2, 0) for x in (q, k, v))
    return jnp.moveaxis(jax.lax.map(lambda head: _head(*head), heads), 0, 2)


def logits(q: Float[Array, "b q heads d"], k: Float[Array, "b m heads d"]) -> Float[Array, "b heads q m"]:
    """q k^T in float32."""
    return _logits(jnp.swapaxes(q, 1, 2), jnp.swapaxes(k, 1, 2))


def weighted(p: Float[Array, "b heads q m"], values: Float[Array, "b m heads d"]) -> Float[Array, "b q heads d"]:
    """Values averaged by rows of weights, in the values' dtype."""
    return jnp.swapaxes(p.astype(values.dtype) @ jnp.swapaxes(values, 1, 2), 1, 2)


def _turned(x):
    return jnp.swapaxes(x, -1, -2)


def _logits(q, k):
    return jnp.matmul(q, _turned(k), preferred_element_type=jnp.float32)


@jax.custom_vjp
def _head(q, k, v):
    return jax.nn.softmax(_logits(q, k), axis=-1).astype(v.dtype) @ v


def _forward(q, k, v):
    out = _head(q, k, v)
    return out, (q, k, v, out)


def _backward(kept, g):
    q, k, v, out = (part.astype(jnp.float32) for part in kept)
    g = g.astype(jnp.float32)
    p = jax.nn.softmax(_logits(q, k), axis=-1)
    ds = p * (g @ _turned(v) - jnp.sum(g * out, axis=-1, keepdims=True))
    grads = ds @ k, _turned(_turned(q) @ ds), _turned(_turned(g) @ p)
    return tuple(grad.astype(part.dtype) for grad, part in zip(grads, kept))


_head.defvjp(_forward, _backward)
