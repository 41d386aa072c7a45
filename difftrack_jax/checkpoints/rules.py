"""Published weights become ours by a table of rules, read top to bottom; the first that fits a tensor wins.

    input_blocks.1.0.in_layers.2.weight [o, i, kh, kw]  ->  input_blocks_1_0/in_layers_2/kernel [kh, kw, i, o]

A rule turns a torch name and layout into a Flax one. Every weight is accounted for: a tensor no parameter
wants, a parameter no tensor fills and a shape that differs all raise, naming the key.
"""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from difftrack_jax.errors import UserError
from difftrack_jax.typing import Params, PyTree


class Rule(NamedTuple):
    """Tensors of `rank` axes whose torch name is a `pattern` become `target`, laid out by `change`.

    A target of None says that this tensor is known and is no weight of ours (a buffer, an unused projection).
    """

    pattern: str
    rank: int
    target: str | None
    change: Callable[[np.ndarray], np.ndarray]


def same(weight):
    return weight


def _conv1d(weight):
    """[o, i, 1] is a linear layer; a wider kernel becomes [k, i, o], which fits no parameter here."""
    return weight[..., 0].T if weight.shape[-1] == 1 else weight.T


def pointwise(weight):
    """[o, i, 1, 1], a convolution that is a linear layer; a wider kernel stays, and fits no linear parameter."""
    return weight[..., 0, 0].T if weight.shape[-2:] == (1, 1) else weight


LAYERS = (
    Rule(r"(.+)\.weight", 4, r"\1.kernel", lambda w: w.transpose(2, 3, 1, 0)),  # convolution [o, i, kh, kw]
    Rule(r"(.+)\.weight", 3, r"\1.kernel", _conv1d),
    Rule(r"(.+)\.weight", 2, r"\1.kernel", np.transpose),  # linear [o, i]
    Rule(r"(.+)\.weight", 1, r"\1.scale", same),  # norm
    Rule(r"(.+)\.bias", 1, r"\1.bias", same),
)
ADM = (Rule(r"(label_emb)\.weight", 2, r"\1.embedding", same), *LAYERS)


def from_torch_adm(state: Mapping[str, np.ndarray], like: PyTree) -> Params:
    """Parameters of `UNetADM` from a guided-diffusion state dict, in the shapes and dtypes of `like`."""
    return convert(state, like, ADM)


def convert(state: Mapping[str, np.ndarray], like: PyTree, rules: tuple[Rule, ...]) -> Params:
    """Apply the rules to every tensor of `state`; the result has exactly the leaves of `like`."""
    wanted = flatten_dict(like, sep="/")
    params, source = {}, {}
    for name, weight in state.items():
        target, value = _apply(rules, name, weight)
        if target is None:
            continue
        if target not in wanted:
            raise UserError(f"weights: {name} fills no parameter of this network (it would be {target})")
        if target in params:
            raise UserError(f"weights: {name} and {source[target]} both fill {target}")
        want = wanted[target]
        if value.shape != want.shape:
            raise UserError(f"weights: {name} becomes {target} of shape {value.shape}, not {want.shape}")
        params[target], source[target] = np.asarray(value, want.dtype), name
    missing = sorted(wanted.keys() - params.keys())
    if missing:
        others = f" (nor {len(missing) - 1} others)" if len(missing) > 1 else ""
        raise UserError(f"weights: nothing fills the parameter {missing[0]}{others}")
    return unflatten_dict(params, sep="/")


def _apply(rules, name, weight):
    for rule in rules:
        match = re.fullmatch(rule.pattern, name)
        if match and weight.ndim == rule.rank:
            if rule.target is None:
                return None, None
            target = re.sub(r"\.(?=\d)", "_", match.expand(rule.target))
            return target.replace(".", "/"), rule.change(weight)
    raise UserError(f"weights: no rule for {name} of shape {weight.shape}")
