"""LaSOT, protocol II: one target in each of 280 long videos, from its first box.

    python -m difftrack_jax.main --config=configs/track/lasot.py --config.data_dir=LaSOTBenchmark

Scores: success, precision, both normalised precisions.
"""

import ml_collections

from difftrack_jax.runners import recipes


def get_config(size: str = "") -> ml_collections.ConfigDict:
    return recipes.benchmark(
        size,
        benchmark="lasot",
        submission="sot",
        split="test",
    )
