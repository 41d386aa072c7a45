"""GroOT: pedestrians of MOT17, named by sentences about their looks and what they do.

    python -m difftrack_jax.main --config=configs/track/groot.py --config.data_dir=GroOT

The folder holds GroOT's annotations/v1.0 and MOT17. Refer-KITTI: `--config.benchmark=refer_kitti
--config.submission=refer_kitti --config.split=test`.
"""

import ml_collections

from difftrack_jax.runners import recipes


def get_config(size: str = "") -> ml_collections.ConfigDict:
    return recipes.benchmark(
        size,
        benchmark="groot",
        submission="mot",
        split="train",
        births="text",
        slots=32,
    )
