"""From what a user calls a model to a backbone."""

import pathlib
from typing import Any

import jax.numpy as jnp

from difftrack_jax.backbones.base import Backbone
from difftrack_jax.backbones.pixel import pixel_backbone
from difftrack_jax.checkpoints import bundled
from difftrack_jax.errors import UserError
from difftrack_jax.models import variants


def load_backbone(name: str, dtype: Any = jnp.float32) -> Backbone:
    """A bundled network by name, or one of ours from a safetensors file."""
    path = pathlib.Path(name) if name.endswith(".safetensors") else bundled.bundled(name)
    variant, params = bundled.load(path)
    if variant not in variants.ADM:
        raise UserError(f"model {name}: unknown network variant {variant!r}; known: {', '.join(variants.ADM)}")
    return pixel_backbone(variant, params, dtype)
