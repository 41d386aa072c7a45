"""Convert OpenAI's 256 x 256 unconditional ADM (guided-diffusion), DINTR's and DIFT's pixel-space network.

    python -m difftrack_jax.main --config=configs/convert/adm256.py \
        --config.source=256x256_diffusion_uncond.pt --config.target=weights/adm256

The file is the one linked in guided-diffusion's README. Then track with it: --config.model=weights/adm256. With
`:tiny`, ADM networks of any size that models/variants.py lists.
"""

import ml_collections


def get_config(size: str = "") -> ml_collections.ConfigDict:
    return ml_collections.ConfigDict(
        dict(
            task="convert",
            layout="adm",
            source="",  # the .pt file
            target="",  # the folder to make; empty: the workdir
            dtype="",  # float32 | bfloat16 | float16; empty keeps the source's
            expected=dict(adm=0 if size == "tiny" else 552_814_086),  # parameters; 0 takes any
            forward=True,  # compare answers with the reference libraries, where they are installed
            quiet=False,
            overwrite=False,  # true: replace an earlier conversion in the target
        )
    )
