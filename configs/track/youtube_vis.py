"""YouTube-VIS: instances of 40 classes as masks, from those of the first frame that shows any.

    python -m difftrack_jax.main --config=configs/track/youtube_vis.py --config.data_dir=youtube_vis_2019

Only splits with annotations have masks to begin from: `val` is the part of train that the evaluation kit sets aside.
`--config.benchmark=youtube_vis_2021` is the later set. Scores: track AP and AR.
"""

import ml_collections

from difftrack_jax.runners import recipes


def get_config(size: str = "") -> ml_collections.ConfigDict:
    return recipes.benchmark(
        size,
        benchmark="youtube_vis_2019",
        submission="youtube_vis",
        split="val",
    )
