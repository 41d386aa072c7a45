"""TrackDiffusion, stage 1: grounding on single frames. Only fusers and location tokens move.

    python -m difftrack_jax.main --config=configs/train/tracklets_stage1.py --workdir=runs/stage1 \
        --config.data_dir=YTVIS2021 --config.pretrained=gligen --config.init_from=gligen
    python -m difftrack_jax.main --config=configs/train/tracklets_stage1.py:tiny          # a laptop minute

Published: 60,000 steps of 8 frames at 480 x 320 on 8 A800 of 80 GB. `gligen` is a folder that configs/convert/gligen.py
wrote from GLIGEN's SD 1.4.
"""

import ml_collections

from difftrack_jax.runners import tracklet_recipes


def get_config(size: str = "") -> ml_collections.ConfigDict:
    return tracklet_recipes.training("stage1", size)
