"""Score results on DAVIS 2017, semi-supervised.

    python -m difftrack_jax.main --config=configs/evaluate/davis2017.py \
        --config.predictions=DIR --config.data_dir=DIR

J and F with recall and decay, averaged over objects; the first and last frame are not scored.

    predictions  SEQ/00000.png, labels as in the first frame's truth
    data_dir     the official folder, with Annotations/480p/SEQ/00000.png
"""

import ml_collections

from difftrack_jax.runners import recipes


def get_config(size: str = "") -> ml_collections.ConfigDict:
    del size  # there is nothing to shrink
    return recipes.evaluation(
        benchmark="davis2017",
        split="val",
    )
