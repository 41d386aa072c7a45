"""DAVIS 2017, semi-supervised: several objects, from their masks in the first frame.

    python -m difftrack_jax.main --config=configs/track/davis2017.py --config.data_dir=DAVIS

`--config.benchmark=davis2016` is the set of single objects. Scores: J and F, mean, recall and decay.
"""

import ml_collections

from difftrack_jax.runners import recipes


def get_config(size: str = "") -> ml_collections.ConfigDict:
    return recipes.benchmark(
        size,
        benchmark="davis2017",
        submission="davis",
        split="val",
    )
