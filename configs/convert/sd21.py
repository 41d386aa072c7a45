"""Convert Stable Diffusion 2.1 (2.0 is of the same layout and size).

    python -m difftrack_jax.main --config=configs/convert/sd21.py \
        --config.source=stable-diffusion-2-1 --config.target=weights/sd21

The source is a diffusers folder, or a single-file checkpoint (.safetensors, .ckpt; nothing in it is run). Then track
with it: --config.model=weights/sd21. With `:tiny`, networks of this layout and any size.
"""

import ml_collections

from difftrack_jax.runners import recipes


def get_config(size: str = "") -> ml_collections.ConfigDict:
    # The text encoder is OpenCLIP ViT-H/14 without its last layer, as the published folder has it.
    counts = dict(unet=865_910_724, vae=83_653_863, text_encoder=340_387_840)
    return recipes.conversion(size, "stable_diffusion", **counts)
