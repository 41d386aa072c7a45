"""TAP-Vid-Kinetics: any point of 1144 videos of people, in the shards that TAP-Vid makes of Kinetics-700 val.

    python -m difftrack_jax.main --config=configs/track/tapvid_kinetics.py --config.data_dir=tapvid_kinetics

A shard is in memory at a time; JPEG frames are decoded when they are needed.
"""

import ml_collections

from difftrack_jax.runners import recipes


def get_config(size: str = "") -> ml_collections.ConfigDict:
    return recipes.benchmark(
        size,
        benchmark="tapvid_kinetics",
        submission="tapvid",
        split="test",
    )
