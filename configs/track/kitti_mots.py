"""KITTI MOTS: cars and pedestrians as masks, from those of the first frame.

    python -m difftrack_jax.main --config=configs/track/kitti_mots.py --config.data_dir=KITTI_MOTS

`--config.births=appearance` also begins later targets from their first mask.
"""

import ml_collections

from difftrack_jax.runners import recipes


def get_config(size: str = "") -> ml_collections.ConfigDict:
    return recipes.benchmark(
        size,
        benchmark="kitti_mots",
        submission="kitti_mots",
        split="val",
        slots=32,
    )
