"""Score results on MOT20.

    python -m difftrack_jax.main --config=configs/evaluate/mot20.py \
        --config.predictions=DIR --config.data_dir=DIR

Reports HOTA, CLEAR and identity as TrackEval does, all columns of its detailed file in per_sequence.csv.

    predictions  SEQ.txt or data/SEQ.txt in MOT format
    data_dir     the official folder, or SEQ/{gt/gt.txt, seqinfo.ini}
"""

import ml_collections

from difftrack_jax.runners import recipes


def get_config(size: str = "") -> ml_collections.ConfigDict:
    del size  # there is nothing to shrink
    return recipes.evaluation(
        benchmark="mot20",
        split="train",
        distractors="MOT20",
        threshold=0.5,  # of CLEAR and identity
    )
