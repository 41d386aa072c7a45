"""CLIP's text encoder: transformers' CLIPTextModel to `models.clip_text.CLIPText`.

Files have their names with or without "text_model." before them, by the version that wrote them. The positions'
numbers, once stored as a tensor, and the projection into the space shared with images are no weights of ours.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from difftrack_jax.checkpoints.rules import Rule, same
from difftrack_jax.checkpoints.rules import convert as apply
from difftrack_jax.checkpoints.tables.fields import require, whole
from difftrack_jax.typing import Params, PyTree

WHAT = "text encoder"
PREFIX = r"(?:text_model\.)?"
LAYER = PREFIX + r"encoder\.(layers\.\d+)\."
RULES = (
    Rule(PREFIX + r"embeddings\.position_ids", 2, None, same),
    Rule(r"text_projection\.weight", 2, None, same),
    Rule(PREFIX + r"embeddings\.(token|position)_embedding\.weight", 2, r"\1_embedding.embedding", same),
    Rule(LAYER + r"mlp\.(fc[12])\.weight", 2, r"\1.mlp_\2.kernel", np.transpose),
    Rule(LAYER + r"mlp\.(fc[12])\.bias", 1, r"\1.mlp_\2.bias", same),
    Rule(LAYER + r"(.+)\.weight", 2, r"\1.\2.kernel", np.transpose),
    Rule(LAYER + r"(.+)\.weight", 1, r"\1.\2.scale", same),
    Rule(LAYER + r"(.+)\.bias", 1, r"\1.\2.bias", same),
    Rule(PREFIX + r"(final_layer_norm)\.weight", 1, r"\1.scale", same),
    Rule(PREFIX + r"(final_layer_norm)\.bias", 1, r"\1.bias", same),
)

FIXED = {"layer_norm_eps": (1e-5,), "hidden_act": ("quick_gelu", "gelu")}
OLD_END = 2  # written by mistake into the first configs of CLIP, whose end token is the last of the vocabulary


def fields(config: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `CLIPText` from `text_encoder/config.json`; an unsupported one raises UserError with its name."""
    config = config.get("text_config") or config
    require(config, FIXED, WHAT)
    vocabulary, end = config.get("vocab_size", 49408), config.get("eos_token_id", 49407)
    return dict(
        width=whole(config, "hidden_size", None, WHAT),
        layers=whole(config, "num_hidden_layers", None, WHAT),
        heads=whole(config, "num_attention_heads", None, WHAT),
        activation=config.get("hidden_act", "quick_gelu"),
        hidden=whole(config, "intermediate_size", 2048, WHAT),
        vocabulary=vocabulary,
        positions=config.get("max_position_embeddings", 77),
        end=vocabulary - 1 if end == OLD_END else end,
    )


def convert(state: Mapping[str, np.ndarray], like: PyTree) -> Params:
    """Parameters in the shapes and dtypes of `like`; a tensor missing, left over or misshapen raises UserError."""
    return apply(state, like, RULES)
