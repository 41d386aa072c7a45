"""Convert Stable Diffusion 1.5 (1.1 to 1.4 are of the same layout and size).

    python -m difftrack_jax.main --config=configs/convert/sd15.py \
        --config.source=stable-diffusion-v1-5 --config.target=weights/sd15

The source is a diffusers folder, or a single-file checkpoint (.safetensors, .ckpt; nothing in it is run). Then track
with it: --config.model=weights/sd15. With `:tiny`, networks of this layout and any size.
"""

import ml_collections

from difftrack_jax.runners import recipes


def get_config(size: str = "") -> ml_collections.ConfigDict:
    # Counted from diffusers' and transformers' own classes under the published config.json of each part.
    counts = dict(unet=859_520_964, vae=83_653_863, text_encoder=123_060_480)
    return recipes.conversion(size, "stable_diffusion", **counts)
