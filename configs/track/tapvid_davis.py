"""TAP-Vid-DAVIS: any point of 30 videos, queried in every fifth frame (strided) or where first seen.

    python -m difftrack_jax.main --config=configs/track/tapvid_davis.py --config.data_dir=tapvid_davis

Strided queries are tracked forwards and backwards, and no query sees another. `--config.queries=first` is the other
protocol. Scores: average Jaccard, share within 1 to 16 pixels, occlusion accuracy, at 256 x 256.
"""

import ml_collections

from difftrack_jax.runners import recipes


def get_config(size: str = "") -> ml_collections.ConfigDict:
    return recipes.benchmark(
        size,
        benchmark="tapvid_davis",
        submission="tapvid",
        split="test",
    )
