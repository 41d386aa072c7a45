"""`pytorch_i3d`'s weights (rgb_imagenet.pt, i3d_pretrained_400.pt) to the variables of `models.i3d.I3D`."""

from collections.abc import Mapping

import numpy as np

from difftrack_jax.checkpoints.rules import Rule, same
from difftrack_jax.checkpoints.rules import convert as apply
from difftrack_jax.typing import Params, PyTree

RULES = (
    Rule(r"(.+)\.num_batches_tracked", 0, None, same),
    Rule(r"(.+)\.running_mean", 1, r"batch_stats.\1.mean", same),
    Rule(r"(.+)\.running_var", 1, r"batch_stats.\1.var", same),
    Rule(r"logits\.conv3d\.weight", 5, r"params.logits.kernel", lambda w: w[..., 0, 0, 0].T),
    Rule(r"logits\.conv3d\.bias", 1, r"params.logits.bias", same),
    Rule(r"(.+)\.weight", 5, r"params.\1.kernel", lambda w: w.transpose(2, 3, 4, 1, 0)),
    Rule(r"(.+)\.weight", 1, r"params.\1.scale", same),
    Rule(r"(.+)\.bias", 1, r"params.\1.bias", same),
)


def convert(state: Mapping[str, np.ndarray], like: PyTree) -> Params:
    """Variables {"params", "batch_stats"} in the shapes of `like`; a tensor missing or left over raises UserError."""
    return apply(state, like, RULES)
