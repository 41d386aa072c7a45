"""Score results on KITTI tracking, cars and pedestrians apart.

    python -m difftrack_jax.main --config=configs/evaluate/kitti.py \
        --config.predictions=DIR --config.data_dir=DIR

HOTA, CLEAR and identity with KITTI's rules for vans, sitting people, occlusion, truncation and unlabelled regions.

    predictions  SEQ.txt or data/SEQ.txt in KITTI format
    data_dir     label_02/SEQ.txt, or the official folder above training/
"""

import ml_collections

from difftrack_jax.runners import recipes


def get_config(size: str = "") -> ml_collections.ConfigDict:
    del size  # there is nothing to shrink
    return recipes.evaluation(
        benchmark="kitti",
        split="training",
    )
