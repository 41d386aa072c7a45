"""TAP-Vid-Kubric: any point of simulated videos.

    python -m difftrack_jax.main --config=configs/track/tapvid_kubric.py --config.data_dir=tapvid_kubric

The folder holds tapvid_kubric.pkl, saved once from Kubric's reader (difftrack_jax/data/builders/tapvid.py says how).
"""

import ml_collections

from difftrack_jax.runners import recipes


def get_config(size: str = "") -> ml_collections.ConfigDict:
    return recipes.benchmark(
        size,
        benchmark="tapvid_kubric",
        submission="tapvid",
        split="test",
    )
