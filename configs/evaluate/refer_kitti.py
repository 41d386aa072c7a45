"""Score results on Refer-KITTI: every sentence of a video is a sequence, VIDEO+EXPRESSION.

    python -m difftrack_jax.main --config=configs/evaluate/refer_kitti.py \
        --config.predictions=DIR --config.data_dir=DIR

Pairs are pooled: counts are summed over all expressions before anything is divided, as RMOT's script does.

    predictions  VIDEO/EXPRESSION/predict.txt in MOT format
    data_dir     VIDEO/EXPRESSION/gt.txt, or gt_template/ with them
"""

import ml_collections

from difftrack_jax.runners import recipes


def get_config(size: str = "") -> ml_collections.ConfigDict:
    del size  # there is nothing to shrink
    return recipes.evaluation(
        benchmark="refer_kitti",
        split="test",
        threshold=0.5,  # of CLEAR and identity
    )
