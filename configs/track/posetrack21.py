"""PoseTrack21: 17 joints of several people, followed from their poses in the first labelled frame.

    python -m difftrack_jax.main --config=configs/track/posetrack21.py --config.data_dir=PoseTrack21

Joints are tracked as points and put together again. `--config.births=appearance` also follows people who come later,
from their own first pose; `--config.benchmark=posetrack18` reads the older annotations.
"""

import ml_collections

from difftrack_jax.runners import recipes


def get_config(size: str = "") -> ml_collections.ConfigDict:
    return recipes.benchmark(
        size,
        benchmark="posetrack21",
        submission="posetrack",
        split="val",
        slots=32,
    )
