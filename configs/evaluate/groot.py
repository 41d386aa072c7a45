"""Score results on GroOT: tracks of MOT17 that sentences name.

    python -m difftrack_jax.main --config=configs/evaluate/groot.py \
        --config.predictions=DIR --config.data_dir=DIR

HOTA, CLEAR and identity over all annotated boxes, as in MOT without classes. The annotations of `test` lie on the
results of a tracker, not on ground truth: a number on them says so.

    predictions  VIDEO.txt or data/VIDEO.txt in MOT format, as MOT17-02.txt
    data_dir     annotations/v1.0/mot17_train_coco.json
"""

import ml_collections

from difftrack_jax.runners import recipes


def get_config(size: str = "") -> ml_collections.ConfigDict:
    del size  # there is nothing to shrink
    return recipes.evaluation(
        benchmark="groot",
        split="train",
        threshold=0.5,  # of CLEAR and identity
    )
