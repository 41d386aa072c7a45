"""Score results on OTB: success, precision and normalised precision in one pass.

    python -m difftrack_jax.main --config=configs/evaluate/otb.py \
        --config.predictions=DIR --config.data_dir=DIR

Rules: otb (tracker_benchmark, the published numbers), pysot, pytracking_otb, got10k. The group got10k has AO and SR.

    predictions  SEQ.txt with x,y,w,h a line, or tracker_benchmark's SEQ.json
    data_dir     SEQ/groundtruth_rect.txt, or a json as pysot has it
"""

import ml_collections

from difftrack_jax.runners import recipes


def get_config(size: str = "") -> ml_collections.ConfigDict:
    del size  # there is nothing to shrink
    return recipes.evaluation(
        benchmark="otb",
        split="all",  # all | tb50
        rules="otb",  # whose, see difftrack_jax/metrics/sot.py
        short="",  # results that end early: error | zeros (lost from there on) | cut; empty leaves it to the rules
    )
