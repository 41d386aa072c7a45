"""Score results on KITTI MOTS, cars and pedestrians apart.

    python -m difftrack_jax.main --config=configs/evaluate/kitti_mots.py \
        --config.predictions=DIR --config.data_dir=DIR

sMOTSA, MOTSA and MOTSP are sMOTA, MOTA and MOTP here, of masks.

    predictions  SEQ.txt or data/SEQ.txt in MOTS text
    data_dir     instances_txt/SEQ.txt or label_02/SEQ.txt
"""

import ml_collections

from difftrack_jax.runners import recipes


def get_config(size: str = "") -> ml_collections.ConfigDict:
    del size  # there is nothing to shrink
    return recipes.evaluation(
        benchmark="kitti_mots",
        split="val",
    )
