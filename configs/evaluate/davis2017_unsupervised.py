"""Score results on DAVIS 2017, unsupervised: objects are found, not given.

    python -m difftrack_jax.main --config=configs/evaluate/davis2017_unsupervised.py \
        --config.predictions=DIR --config.data_dir=DIR

J and F over all frames, objects assigned to those of the truth; and TrackEval's HOTA, CLEAR and identity of masks.

    predictions  SEQ/00000.png with any labels
    data_dir     the official folder, with Annotations_unsupervised/480p/SEQ/00000.png
"""

import ml_collections

from difftrack_jax.runners import recipes


def get_config(size: str = "") -> ml_collections.ConfigDict:
    del size  # there is nothing to shrink
    return recipes.evaluation(
        benchmark="davis2017_unsupervised",
        split="val",
        matching="J",  # objects are assigned by mean J (TrackEval) or J&F (davis2017-evaluation)
    )
