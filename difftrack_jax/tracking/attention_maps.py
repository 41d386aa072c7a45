"""From captured attention to one map a target.

    A_X, A_S   averaged over heads, captured layers and the interval of k   (DINTR eq. 11)
    a_n        = A_X m_n                       share of each cell of frame t+1 that comes from target n of frame t
    A*_n       = A_S^beta a_n, renormalised    (Alg. D.5; the printed o cannot be element-wise: docs/differences.md)

Rows of A_X run over the cells of all references, then the null key where there is one. A_S^beta is never built: A_S is
applied beta times.
"""

from typing import Literal

import jax
import jax.numpy as jnp

from difftrack_jax.models.attention import Maps
from difftrack_jax.ops.sampling import cell_centres, kth_largest
from difftrack_jax.typing import Array, Bool, Float

Propagation = Literal["matmul", "hadamard", "none"]


def average(maps: tuple[Maps, ...]) -> Maps:
    """Mean over layers, and over the batch of k (the leading axis) to a batch of one."""
    mean = lambda parts: sum(parts).mean(axis=0, keepdims=True) / len(parts)
    return Maps(mean([m.self_ for m in maps]), mean([m.cross for m in maps]))


def neighbourhood(h: int, w: int, radius: float) -> Bool[Array, "q q"]:
    """Pairs of cells of one grid at most `radius` cells apart along both axes."""
    centres = cell_centres(h, w)
    return jnp.max(jnp.abs(centres[:, None] - centres[None]), axis=-1) <= radius


def restrict(
    rows: Float[Array, "q m"], near: Bool[Array, "q m"] | None = None, top_k: int | None = None
) -> Float[Array, "q m"]:
    """Rows with only the entries in reach and, of those, the `top_k` largest; renormalised. The null key always
    stays.
    """
    if near is not None:
        rows = jnp.where(near, rows, 0.0)
    if top_k is not None and top_k < rows.shape[-1]:
        rows = jnp.where(rows >= kth_largest(rows, top_k), rows, 0.0)
    return rows / jnp.maximum(jnp.sum(rows, axis=-1, keepdims=True), 1e-12)


def propagate(
    self_: Float[Array, "q q"], maps: Float[Array, "q n"], beta: int, how: Propagation = "matmul"
) -> Float[Array, "q n"]:
    """A_S^beta applied to each map, which keeps its largest value so that shares stay comparable between targets.

    matmul: the matrix power (our reading). hadamard: A_S's entries raised to beta, rows renormalised, applied once.
    """
    if how == "none" or beta == 0:
        return maps
    if how == "hadamard":
        # Divided by each row's largest entry first: a fourth power of a softmax underflows.
        power = (self_ / jnp.max(self_, axis=-1, keepdims=True)) ** beta
        out = (power / jnp.sum(power, axis=-1, keepdims=True)) @ maps
    else:
        out = jax.lax.fori_loop(0, beta, lambda _, a: self_ @ a, maps)
    peak = lambda a: jnp.max(a, axis=0, keepdims=True)
    return out * peak(maps) / jnp.maximum(peak(out), 1e-12)
