"""Score results on GOT-10k: AO and SR over all frames together.

    python -m difftrack_jax.main --config=configs/evaluate/got10k.py \
        --config.predictions=DIR --config.data_dir=DIR

The truth of test is withheld; the server scores that.

    predictions  SEQ/SEQ_001.txt and further runs
    data_dir     the official folder, or SEQ/{groundtruth.txt, cover.label, meta_info.ini}
"""

import ml_collections

from difftrack_jax.runners import recipes


def get_config(size: str = "") -> ml_collections.ConfigDict:
    del size  # there is nothing to shrink
    return recipes.evaluation(
        benchmark="got10k",
        split="val",
    )
