"""DanceTrack: dancers who look alike, from their boxes in the first frame.

    python -m difftrack_jax.main --config=configs/track/dancetrack.py --config.data_dir=dancetrack

The benchmark has no public detections; yours are taken with `--config.births=detections --config.detections=DIR`.
"""

import ml_collections

from difftrack_jax.runners import recipes


def get_config(size: str = "") -> ml_collections.ConfigDict:
    return recipes.benchmark(
        size,
        benchmark="dancetrack",
        submission="mot",
        split="val",
        slots=32,
    )
