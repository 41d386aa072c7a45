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
    ours, theirs = _RUNS[name](network, load)
    return max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(ours, theirs, strict=True))


def _state(network: Network) -> Mapping[str, Any]:
    import torch

    return {name: torch.from_numpy(np.array(tensor, np.float32)) for name, tensor in network.tensors.items()}


def _run(apply, params, *inputs):
    with jax.default_matmul_precision("highest"):
        return np.asarray(jax.jit(apply)({"params": params}, *inputs))


def _unet(network, load):
    import torch
    from diffusers import UNet2DConditionModel

    rng = np.random.default_rng(0)
    z = rng.standard_normal((1, network.module.in_channels, 16, 16), np.float32)
    text = rng.standard_normal((1, 8, network.module.text_features), np.float32)
    with torch.device("meta"):
        model = UNet2DConditionModel.from_config(dict(network.config)).eval()
    model.load_state_dict(_state(network), assign=True)  # one copy of the weights, and gone before ours are loaded
    with torch.no_grad():
        theirs = model(torch.from_numpy(z), torch.tensor([501]), torch.from_numpy(text)).sample.numpy()
    del model
    ours = _run(network.module.apply, load(), np.moveaxis(z, 1, -1), np.array([501.0], np.float32), text)
    return [ours], [np.moveaxis(theirs, 1, -1)]


def _vae(network, load):
    import torch
    from diffusers import AutoencoderKL

    rng = np.random.default_rng(0)
    model, stride = AutoencoderKL.from_config(dict(network.config)).eval(), network.module.stride
    images = rng.uniform(-1, 1, (1, 3, 8 * stride, 8 * stride)).astype(np.float32)
    z = rng.standard_normal((1, network.module.latent_channels, 8, 8), np.float32)
    model.load_state_dict(_state(network))
    with torch.no_grad():
        mean = model.encode(torch.from_numpy(images)).latent_dist.mean.numpy() * network.module.scaling
        decoded = model.decode(torch.from_numpy(z) / network.module.scaling).sample.numpy()
    del model
    params = load()
    last = lambda array: np.moveaxis(array, 1, -1)
    encode = lambda variables, x: network.module.apply(variables, x, method="encode").mean
    decode = lambda variables, x: network.module.apply(variables, x, method="decode")
    return [_run(encode, params, last(images)), _run(decode, params, last(z))], [last(mean), last(decoded)]


def _text(network, load):
    import torch
    from transformers import CLIPTextConfig, CLIPTextModel

    net = network.module
    ids = np.random.default_rng(0).integers(0, net.end - 1, (1, net.positions), dtype=np.int64)
    ids[:, net.positions // 2 :] = net.end
    model = CLIPTextModel(CLIPTextConfig(**network.config)).eval()
    prefix = "text_model." if any(name.startswith("text_model.") for name in model.state_dict()) else ""
    state = {prefix + name.removeprefix("text_model."): value for name, value in _state(network).items()}
    known = model.state_dict().keys()
    model.load_state_dict({name: value for name, value in state.items() if name in known})
    with torch.no_grad():
        theirs = model(torch.from_numpy(ids)).last_hidden_state.numpy()
    del model
    states = lambda variables, x: net.apply(variables, x).states
    return [_run(states, load(), ids.astype(np.int32))], [theirs]


_RUNS = {"unet": _unet, "vae": _vae, "text_encoder": _text}
