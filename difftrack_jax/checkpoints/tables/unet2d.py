"""Stable Diffusion's U-Net: diffusers' UNet2DConditionModel (versions 1 and 2, and GLIGEN) to `models.unet2d.UNet2D`.

Names stay, with dots before numbers turned into underscores; layouts change as for any network. The projections
around a transformer are 1x1 convolutions in version 1 and linear in version 2, and linear here for both.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from difftrack_jax.checkpoints.rules import LAYERS, Rule, pointwise, same
from difftrack_jax.checkpoints.rules import convert as apply
from difftrack_jax.checkpoints.tables.fields import needed, per_level, require, whole
from difftrack_jax.errors import UserError
from difftrack_jax.typing import Params, PyTree

WHAT = "U-Net"
GLIGEN = (
    Rule(r"(.+\.fuser\.alpha_(?:attn|dense))", 0, r"\1", same),
    Rule(r"(position_net\.null_(?:positive|position)_feature)", 1, r"\1", same),
)
RULES = (Rule(r"(.+\.proj_(?:in|out))\.weight", 4, r"\1.kernel", pointwise), *GLIGEN, *LAYERS)

# Default first; everything else of the many layouts this class can have is another network (SDXL, inpainting guides).
FIXED = {
    "act_fn": ("silu",),
    "addition_embed_type": (None,),
    "center_input_sample": (False,),
    "class_embed_type": (None,),
    "conv_in_kernel": (3,),
    "conv_out_kernel": (3,),
    "cross_attention_norm": (None,),
    "downsample_padding": (1,),
    "dual_cross_attention": (False,),
    "encoder_hid_dim": (None,),
    "encoder_hid_dim_type": (None,),
    "flip_sin_to_cos": (True,),
    "freq_shift": (0,),
    "mid_block_scale_factor": (1,),
    "mid_block_type": ("UNetMidBlock2DCrossAttn",),
    "norm_eps": (1e-5,),
    "num_class_embeds": (None,),
    "only_cross_attention": (False,),
    "resnet_out_scale_factor": (1.0,),
    "resnet_skip_time_act": (False,),
    "resnet_time_scale_shift": ("default",),
    "time_cond_proj_dim": (None,),
    "time_embedding_act_fn": (None,),
    "time_embedding_dim": (None,),
    "time_embedding_type": ("positional",),
    "timestep_post_act": (None,),
    "attention_type": ("default", "gated"),
}
DOWN = {"CrossAttnDownBlock2D": True, "DownBlock2D": False}
UP = {"CrossAttnUpBlock2D": True, "UpBlock2D": False}


def fields(config: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `UNet2D` from `unet/config.json`; an unsupported layout raises UserError with the field's name."""
    require(config, FIXED, WHAT)
    widths = tuple(needed(config, "block_out_channels", WHAT))
    attention = tuple(DOWN.get(kind) for kind in needed(config, "down_block_types", WHAT))
    mirrored = tuple(UP.get(kind) for kind in needed(config, "up_block_types", WHAT))[::-1]
    if None in attention or attention != mirrored or len(attention) != len(widths):
        raise UserError(f"{WHAT} config: down_block_types and up_block_types are no layout of Stable Diffusion 1 or 2")
    return dict(
        widths=widths,
        # The published field of this name holds the number of heads, by an old mistake nobody can take back.
        heads=per_level(config.get("attention_head_dim", 8), len(widths), "attention_head_dim", WHAT),
        attention=attention,
        layers=whole(config, "layers_per_block", 2, WHAT),
        transformer_layers=whole(config, "transformer_layers_per_block", 1, WHAT),
        text_features=whole(config, "cross_attention_dim", None, WHAT),
        in_channels=whole(config, "in_channels", 4, WHAT),
        out_channels=whole(config, "out_channels", 4, WHAT),
        groups=whole(config, "norm_num_groups", 32, WHAT),
        gated=config.get("attention_type", "default") == "gated",
    )


def convert(state: Mapping[str, np.ndarray], like: PyTree) -> Params:
    """Parameters in the shapes and dtypes of `like`; a tensor missing, left over or misshapen raises UserError."""
    return apply(state, like, RULES)
