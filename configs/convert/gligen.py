"""Convert GLIGEN on Stable Diffusion 1.4, grounded by boxes with names (generation, text and box).

    python -m difftrack_jax.main --config=configs/convert/gligen.py \
        --config.source=gligen-1-4-generation-text-box --config.target=weights/gligen

The source is the diffusers folder, masterful/gligen-1-4-generation-text-box on the Hub. With `:tiny`, networks of this
layout and any size.
"""

import ml_collections

from difftrack_jax.runners import recipes


def get_config(size: str = "") -> ml_collections.ConfigDict:
    # Counted from diffusers' own classes; the U-Net is Stable Diffusion's and 209 M of gated layers.
    counts = dict(unet=1_068_623_204, vae=83_653_863, text_encoder=123_060_480)
    return recipes.conversion(size, "stable_diffusion", **counts)
