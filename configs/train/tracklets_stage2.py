"""TrackDiffusion, stage 2: clips. Temporal layers, instance enhancer and instance tokens move.

    python -m difftrack_jax.main --config=configs/train/tracklets_stage2.py --workdir=runs/stage2 \
        --config.data_dir=YTVIS2021 --config.pretrained=gligen --config.init_from=runs/stage1
    python -m difftrack_jax.main --config=configs/train/tracklets_stage2.py:tiny          # a laptop minute

Published: 50,000 steps of 8 clips of 16 frames at 480 x 320 on 8 A800 of 80 GB.
Memory by device is in docs/generation.md.
"""

import ml_collections

from difftrack_jax.runners import tracklet_recipes


def get_config(size: str = "") -> ml_collections.ConfigDict:
    return tracklet_recipes.training("stage2", size)
