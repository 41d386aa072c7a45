"""MOTS20: pedestrians as masks, from those of the first frame.

    python -m difftrack_jax.main --config=configs/track/mots.py --config.data_dir=MOTS

`--config.births=appearance` also begins later targets from their first mask. Scores: HOTA, sMOTSA, MOTSA, MOTSP, IDF1.
"""

import ml_collections

from difftrack_jax.runners import recipes


def get_config(size: str = "") -> ml_collections.ConfigDict:
    return recipes.benchmark(
        size,
        benchmark="mots20",
        submission="mots",
        split="train",
        slots=32,
    )
