"""Score results on DanceTrack.

    python -m difftrack_jax.main --config=configs/evaluate/dancetrack.py \
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
        benchmark="dancetrack",
        split="val",
        distractors="MOT17",  # as the official script runs it; there are none in DanceTrack
        threshold=0.5,  # of CLEAR and identity
    )
