"""Score results on LaSOT: success, precision, normalised precision at 0.20 and as area.

    python -m difftrack_jax.main --config=configs/evaluate/lasot.py \
        --config.predictions=DIR --config.data_dir=DIR

Rules: lasot (the official toolkit), pytracking_lasot, got10k. They differ where the target is absent.

    predictions  SEQ.txt with x,y,w,h a line
    data_dir     CLASS/CLASS-N/groundtruth.txt and flags, or the toolkit's folder
"""

import ml_collections

from difftrack_jax.runners import recipes


def get_config(size: str = "") -> ml_collections.ConfigDict:
    del size  # there is nothing to shrink
    return recipes.evaluation(
        benchmark="lasot",
        split="test",
        rules="lasot",  # whose, see difftrack_jax/metrics/sot.py
        short="",  # results that end early: error | zeros (lost from there on) | cut; empty leaves it to the rules
    )
