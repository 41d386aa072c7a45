"""TAP-Vid-RGB-Stacking: any point of 50 simulated videos of a robot stacking objects without texture.

python -m difftrack_jax.main --config=configs/track/tapvid_rgb_stacking.py --config.data_dir=tapvid_rgb_stacking
"""

import ml_collections

from difftrack_jax.runners import recipes


def get_config(size: str = "") -> ml_collections.ConfigDict:
    return recipes.benchmark(
        size,
        benchmark="tapvid_rgb_stacking",
        submission="tapvid",
        split="test",
    )
