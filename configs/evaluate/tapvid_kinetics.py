"""Score results on TAP-Vid-Kinetics: average Jaccard, share within 1 to 16 pixels, occlusion accuracy, at 256 x 256.

    python -m difftrack_jax.main --config=configs/evaluate/tapvid_kinetics.py \
        --config.predictions=DIR --config.data_dir=DIR

Queries are sampled here; predictions hold one track for each, in that order (first: track by track, strided: frame by
frame).

    predictions  NAME.npz: points [n, t, 2] in 0..1, occluded [n, t]
    data_dir     the official pickles, or NAME.npz with the same two
"""

import ml_collections

from difftrack_jax.runners import recipes


def get_config(size: str = "") -> ml_collections.ConfigDict:
    del size  # there is nothing to shrink
    return recipes.evaluation(
        benchmark="tapvid_kinetics",
        split="test",
        queries="strided",  # strided | first
    )
