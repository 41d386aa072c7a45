"""Score results on YouTube-VIS: average precision of tracks.

    python -m difftrack_jax.main --config=configs/evaluate/youtube_vis.py \
        --config.predictions=DIR --config.data_dir=DIR

The official valid set keeps its annotations; any json with annotations is a truth, as one cut from train. The later set
is `--config.benchmark=youtube_vis_2021`.

    predictions  results.json, or a folder that holds it
    data_dir     the json with annotations, or a folder that holds it
"""

import ml_collections

from difftrack_jax.runners import recipes


def get_config(size: str = "") -> ml_collections.ConfigDict:
    del size  # there is nothing to shrink
    return recipes.evaluation(
        benchmark="youtube_vis_2019",
        split="val",
        kind="mask",  # mask | box
    )
