"""The baseline to beat: no fine-tuning, one pass, cosine similarity of features, top-k labels (DIFT, Tang et al. 2023).

    rows = softmax over the k most similar of  f_q . f_m / temperature,   f of unit length

Its published DAVIS J&F with ADM features equals the number DINTR prints for itself, so a claim that tuning helps must
be shown against it.
"""

import jax
import jax.numpy as jnp

from difftrack_jax.ops.sampling import kth_largest
from difftrack_jax.typing import Array, Bool, Float


def keys(features: Float[Array, "h w c"]) -> Float[Array, "h*w c"]:
    """Unit-length features of every cell."""
    flat = features.reshape(-1, features.shape[-1]).astype(jnp.float32)
    return flat / jnp.maximum(jnp.linalg.norm(flat, axis=-1, keepdims=True), 1e-6)


def rows(
    query: Float[Array, "q c"],
    reference: Float[Array, "m c"],
    near: Bool[Array, "q m"] | None,
    top_k: int | None,
    temperature: float = 0.1,
) -> Float[Array, "q m"]:
    """Where every query cell's label comes from; each row sums to one."""
    similarity = query @ reference.T / temperature
    if near is not None:
        similarity = jnp.where(near, similarity, -jnp.inf)
    if top_k is not None and top_k < similarity.shape[-1]:
        similarity = jnp.where(similarity >= kth_largest(similarity, top_k), similarity, -jnp.inf)
    return jax.nn.softmax(similarity, axis=-1)
