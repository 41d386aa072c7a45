"""Attention in our form is jax's own, in value and gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.ops import attention


@pytest.mark.parametrize(("dtype", "tolerance"), [(jnp.float32, 1e-5), (jnp.bfloat16, 5e-2)])
def test_attention_and_its_gradient_are_those_of_jax(rng, dtype, tolerance):
    q, k, v, g = (jnp.asarray(rng.standard_normal((2, s, 3, 8)), dtype) for s in (5, 7, 7, 5))
    plain = lambda q, k, v: jax.nn.dot_product_attention(q, k, v, scale=1.0)
    for own, other in zip(
        *(jax.jit(lambda f=f: (f(q, k, v), *jax.vjp(f, q, k, v)[1](g)))() for f in (attention.attend, plain))
    ):
        assert own.dtype == dtype
        scale = float(jnp.abs(other).max())
        np.testing.assert_allclose(*(np.asarray(a, np.float32) for a in (own, other)), atol=tolerance * scale)


def test_rows_applied_to_values_are_attention(rng):
    q, k, v = (jnp.asarray(rng.standard_normal((1, s, 2, 4)), jnp.float32) for s in (3, 6, 6))
    rows = jax.nn.softmax(attention.logits(q, k), axis=-1)
    np.testing.assert_allclose(rows, jax.nn.softmax(jnp.einsum("bqhd,bmhd->bhqm", q, k), axis=-1), atol=1e-6)
    np.testing.assert_allclose(attention.weighted(rows, v), attention.attend(q, k, v), atol=1e-6)
