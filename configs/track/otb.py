"""OTB: one target in each of up to 100 videos, from its first box.

    python -m difftrack_jax.main --config=configs/track/otb.py --config.data_dir=OTB100

`--config.split=tb50` is the harder half; `--config.benchmark=vot` reads folders of VOT. Scores: success, precision.
"""

import ml_collections

from difftrack_jax.runners import recipes


def get_config(size: str = "") -> ml_collections.ConfigDict:
    return recipes.benchmark(
        size,
        benchmark="otb",
        submission="sot",
        split="all",
    )
