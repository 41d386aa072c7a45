"""Score results on PoseTrack21.

    python -m difftrack_jax.main --config=configs/evaluate/posetrack21.py \
        --config.predictions=DIR --config.data_dir=DIR

mAP and keypoint HOTA of PoseTrack21's kit, AP and MOTA of poseval.

    predictions  SEQ.json, images in the order of the truth
    data_dir     SEQ.json, or the official folder
"""

import ml_collections

from difftrack_jax.runners import recipes


def get_config(size: str = "") -> ml_collections.ConfigDict:
    del size  # there is nothing to shrink
    return recipes.evaluation(
        benchmark="posetrack21",
        split="val",
        whole_video=True,  # a frame without predictions misses the whole video's joints, as in the official kit
    )
