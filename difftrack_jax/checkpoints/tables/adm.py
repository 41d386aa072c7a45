"""ADM: guided-diffusion's UNetModel to `models.unet_adm.UNetADM`. Files have no config; sizes are in `variants.ADM`."""

from collections.abc import Mapping

import numpy as np

from difftrack_jax.checkpoints.rules import ADM as RULES
from difftrack_jax.checkpoints.rules import convert as apply
from difftrack_jax.typing import Params, PyTree


def convert(state: Mapping[str, np.ndarray], like: PyTree) -> Params:
    """Parameters in the shapes and dtypes of `like`; a tensor missing, left over or misshapen raises UserError."""
    return apply(state, like, RULES)
