"""MOT17: pedestrians, from the public detections of every frame, online: one pass over the frame follows them all.

    python -m difftrack_jax.main --config=configs/track/mot17.py --config.data_dir=MOT17

`--config.sequences=*-FRCNN` takes one of the three detectors, `--config.split=val_half` the half that the field ablates
on, `--config.detections=DIR` detections of your own. `--config.benchmark=mot20` is MOT20. Scores: HOTA, CLEAR, IDF1.
"""

import ml_collections

from difftrack_jax.runners import recipes


def get_config(size: str = "") -> ml_collections.ConfigDict:
    config = recipes.benchmark(
        size,
        benchmark="mot17",
        submission="mot",
        split="train",
        births="online",
        slots=32,
    )
    config.tracker.window = "frame"
    config.tracker.size = 128 if size == "tiny" else 512  # network pixels of the frame's longer side
    return config
