"""The answer of diffusers or transformers to the input we are given, where the extra `reference` is installed.

error = largest |ours - theirs| over largest |theirs|, in float32
"""

import importlib.util
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from difftrack_jax.backbones.published import Network
from difftrack_jax.typing import Params

LIBRARIES = ("torch", "diffusers", "transformers")


def error(name: str, network: Network, load: Callable[[], Params]) -> float | str:
    """The error of one forward pass on random input, with the weights `load` gives; or, in words, why there is none."""
    if name not in _RUNS or not network.config:
        return "no reference"
    absent = [library for library in LIBRARIES if importlib.util.find_spec(library) is None]
    if absent:
        return f"{absent[0]} is not installed"
    ours, theirs = _RUNS[name](network, load())
    return max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(ours, theirs, strict=True))


def _state(network: Network) -> Mapping[str, Any]:
    import torch

    return {name: torch.from_numpy(np.array(tensor, np.float32)) for name, tensor in network.tensors.items()}


def _ours(network, params, *inputs):
    with jax.default_matmul_precision("highest"):
        return np.asarray(jax.jit(network.module.apply)({"params": params}, *inputs))


def _unet(network, params):
    import torch
    from diffusers import UNet2DConditionModel

    rng = np.random.default_rng(0)
    z = rng.standard_normal((1, network.fields["in_channels"], 16, 16), np.float32)
    text = rng.standard_normal((1, 8, network.fields["text_features"]), np.float32)
    model = UNet2DConditionModel.from_config(dict(network.config)).eval()
    model.load_state_dict(_state(network))
    with torch.no_grad():
        theirs = model(torch.from_numpy(z), torch.tensor([501]), torch.from_numpy(text)).sample.numpy()
    del model
    ours = _ours(network, params, np.moveaxis(z, 1, -1), np.array([501.0], np.float32), text)
    return [ours], [np.moveaxis(theirs, 1, -1)]


_RUNS = {"unet": _unet}
