"""The autoencoder: diffusers' AutoencoderKL to `models.vae.AutoencoderKL`.

The attention at the bottom was first published as query, key, value and proj_attn, later as to_q, to_k, to_v and
to_out.0; older files have it as 1x1 convolutions. All fill the same parameters.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from difftrack_jax.checkpoints.rules import LAYERS, Rule, pointwise, same
from difftrack_jax.checkpoints.rules import convert as apply
from difftrack_jax.checkpoints.tables.fields import needed, require, whole
from difftrack_jax.typing import Params, PyTree

WHAT = "VAE"
PROJECTIONS = {"to_q": "to_q|query", "to_k": "to_k|key", "to_v": "to_v|value", "to_out_0": r"to_out\.0|proj_attn"}


def _attention(ours: str, theirs: str) -> tuple[Rule, ...]:
    pattern, target = rf"(.+\.attentions\.0)\.(?:{theirs})", rf"\1.attention.{ours}"
    return (
        Rule(pattern + r"\.weight", 2, target + ".kernel", np.transpose),
        Rule(pattern + r"\.weight", 4, target + ".kernel", pointwise),
        Rule(pattern + r"\.bias", 1, target + ".bias", same),
    )


RULES = (*(rule for names in PROJECTIONS.items() for rule in _attention(*names)), *LAYERS)

FIXED = {
    "act_fn": ("silu",),
    "latents_mean": (None,),
    "latents_std": (None,),
    "mid_block_add_attention": (True,),
    "shift_factor": (None,),
    "use_post_quant_conv": (True,),
    "use_quant_conv": (True,),
}


def fields(config: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `AutoencoderKL` from `vae/config.json`; an unsupported layout raises UserError with its field."""
    widths = tuple(needed(config, "block_out_channels", WHAT))
    levels = {"down_block_types": "DownEncoderBlock2D", "up_block_types": "UpDecoderBlock2D"}
    kinds = {field: ((kind,) * len(widths),) for field, kind in levels.items()}
    require(config, FIXED | kinds, WHAT)
    return dict(
        widths=widths,
        layers=whole(config, "layers_per_block", 1, WHAT),
        latent_channels=whole(config, "latent_channels", 4, WHAT),
        image_channels=whole(config, "in_channels", 3, WHAT),
        groups=whole(config, "norm_num_groups", 32, WHAT),
        scaling=config.get("scaling_factor", 0.18215),
    )


def convert(state: Mapping[str, np.ndarray], like: PyTree) -> Params:
    """Parameters in the shapes and dtypes of `like`; a tensor missing, left over or misshapen raises UserError."""
    return apply(state, like, RULES)
