"""Score results on MOT15, or on anything in MOT format without classes.

    python -m difftrack_jax.main --config=configs/evaluate/mot15.py \
        --config.predictions=DIR --config.data_dir=DIR

Reports HOTA, CLEAR and identity as TrackEval does, all columns of its detailed file in per_sequence.csv. Nothing is
preprocessed.

    --config.annotation={sequence}/gt.txt --config.prediction={sequence}/test.txt     # other places

    predictions  SEQ.txt or data/SEQ.txt in MOT format
    data_dir     the official folder, or SEQ/{gt/gt.txt, seqinfo.ini}
"""

import ml_collections

from difftrack_jax.runners import recipes


def get_config(size: str = "") -> ml_collections.ConfigDict:
    del size  # there is nothing to shrink
    return recipes.evaluation(
        benchmark="mot15",
        split="train",
        threshold=0.5,  # of CLEAR and identity
        py_motmetrics=True,  # CLEAR by py-motmetrics' rules beside TrackEval's: many tables of MOT15 are its
    )
