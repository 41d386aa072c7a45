"""LaSOT from language: the target is what the video's sentence speaks of; no box is given.

python -m difftrack_jax.main --config=configs/track/lasot_text.py --config.data_dir=LaSOTBenchmark
"""

import ml_collections

from difftrack_jax.runners import recipes


def get_config(size: str = "") -> ml_collections.ConfigDict:
    return recipes.benchmark(
        size,
        benchmark="lasot",
        submission="sot",
        split="test",
        births="text",
    )
