"""One-shot online fine-tuning: a few steps of AdamW on the pair at hand, weights carried to the next (DINTR, Alg. 2).

    min over phi   || z^{t+1} - P_phi(z_k, k) ||^2,   k ~ U{1..T}                                       (eq. 6)

What moves is a `delta` beside the frozen weights: all of them, the query projections (as Tune-A-Video), or low-rank
updates A B of the attention projections (ours). `init` and `update` are pure; an update that is not finite, or that
makes the loss so, is dropped and counted, and the weights before it stay.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax.traverse_util import flatten_dict, unflatten_dict

from difftrack_jax.typing import Array, Float, Int, Key, Params, PyTree

Trainable = Literal["all", "attention", "low_rank"]


class Tuning(NamedTuple):
    """The delta, its optimizer, and how many updates were dropped."""

    delta: PyTree
    optimizer: PyTree
    dropped: Int[Array, ""]


def optimizer(rate: float) -> optax.GradientTransformation:
    """AdamW with weight decay 1e-2 on the delta and gradients clipped to norm 1."""
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(rate, weight_decay=1e-2))


def init(params: Params, trainable: Trainable, rate: float, rank: int, key: Key[Array, ""], prefix: str = "") -> Tuning:
    """A delta that changes nothing yet, of the weights whose names begin with `prefix`."""
    flat = {name: w for name, w in flatten_dict(params, sep="/").items() if name.startswith(prefix)}
    projections = {name: w for name, w in flat.items() if name.endswith("qkv/kernel") or name.endswith("to_q/kernel")}
    if trainable == "all":
        delta = {name: jnp.zeros_like(w) for name, w in flat.items()}
    elif trainable == "attention":
        delta = {name: jnp.zeros_like(w[:, : _query_width(name, w)]) for name, w in projections.items()}
    else:
        delta = {
            name: {
                "a": jax.random.normal(jax.random.fold_in(key, i), (w.shape[0], rank)) / jnp.sqrt(w.shape[0]),
                "b": jnp.zeros((rank, w.shape[1])),
            }
            for i, (name, w) in enumerate(sorted(projections.items()))
        }
    return Tuning(delta, optimizer(rate).init(delta), jnp.zeros((), jnp.int32))


def merge(params: Params, delta: PyTree) -> Params:
    """The network's weights with the delta added."""
    flat = flatten_dict(params, sep="/")
    for name, change in delta.items():
        if isinstance(change, dict):
            flat[name] = flat[name] + change["a"] @ change["b"]
        elif change.shape != flat[name].shape:
            flat[name] = flat[name].at[:, : change.shape[1]].add(change)
        else:
            flat[name] = flat[name] + change
    return unflatten_dict(flat, sep="/")


def update(
    tuning: Tuning,
    loss: Callable[[PyTree, Key[Array, ""]], Float[Array, ""]],
    key: Key[Array, ""],
    steps: int,
    rate: float,
) -> tuple[Tuning, Float[Array, "{steps}"]]:
    """`steps` guarded steps of `loss(delta, key)`; returns the new state and the losses before each step."""
    rule = optimizer(rate)

    def step(state: Tuning, key):
        value, grads = jax.value_and_grad(loss)(state.delta, key)
        updates, moments = rule.update(grads, state.optimizer, state.delta)
        delta = optax.apply_updates(state.delta, updates)
        good = jnp.isfinite(value) & _finite(grads) & _finite(delta)
        new = Tuning(delta, moments, state.dropped)
        return _choose(good, new, state._replace(dropped=state.dropped + 1)), value

    new, losses = jax.lax.scan(step, tuning, jax.random.split(key, steps))
    # The last update has not been judged by a loss yet.
    good = jnp.isfinite(loss(new.delta, key))
    return _choose(good, new, tuning._replace(dropped=tuning.dropped + 1)), losses


def _query_width(name: str, w: Array) -> int:
    """Columns of a projection that make queries: the first third of a fused qkv in the new order, all of a to_q."""
    return w.shape[1] // 3 if name.endswith("qkv/kernel") else w.shape[1]


def _finite(tree: PyTree) -> Array:
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]))


def _choose(condition: Array, yes: PyTree, no: PyTree) -> PyTree:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)
