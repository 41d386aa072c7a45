"""GOT-10k: one target in each of 180 short videos, from its first box.

    python -m difftrack_jax.main --config=configs/track/got10k.py --config.data_dir=GOT-10k

`--config.split=test` writes what the server takes; only val has its truth at hand. Scores: AO, SR 0.5, SR 0.75.
"""

import ml_collections

from difftrack_jax.runners import recipes


def get_config(size: str = "") -> ml_collections.ConfigDict:
    return recipes.benchmark(
        size,
        benchmark="got10k",
        submission="got10k",
        split="val",
    )
