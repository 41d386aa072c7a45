"""Convert OpenAI's 256 x 256 unconditional ADM (guided-diffusion), DINTR's and DIFT's pixel-space network.

    python -m difftrack_jax.main --config=configs/convert/adm256.py \
        --config.source=256x256_diffusion_uncond.pt --config.target=weights/adm256

The file is the one linked in guided-diffusion's README; nothing in it is run. Then track with it:
--config.model=weights/adm256. With `:tiny`, ADM networks of any size that models/variants.py lists.
"""

import ml_collections

from difftrack_jax.runners import recipes


def get_config(size: str = "") -> ml_collections.ConfigDict:
    # "554M" in the paper (Dhariwal and Nichol 2021, table 11) counts the 1000 x 1024 class embedding of its twin.
    return recipes.conversion(size, "adm", adm=552_814_086)
