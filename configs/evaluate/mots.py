"""Score results on MOTS20 (MOTSChallenge).

    python -m difftrack_jax.main --config=configs/evaluate/mots.py \
        --config.predictions=DIR --config.data_dir=DIR

sMOTSA, MOTSA and MOTSP are sMOTA, MOTA and MOTP here, of masks of pedestrians.

    predictions  SEQ.txt or data/SEQ.txt in MOTS text
    data_dir     the official folder, or SEQ/{gt/gt.txt, seqinfo.ini}
"""

import ml_collections

from difftrack_jax.runners import recipes


def get_config(size: str = "") -> ml_collections.ConfigDict:
    del size  # there is nothing to shrink
    return recipes.evaluation(
        benchmark="mots20",
        split="train",
    )
