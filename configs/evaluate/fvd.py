"""Frechet Video Distance between two folders of videos, with the published I3D weights.

    python -m difftrack_jax.main --config=configs/evaluate/fvd.py --config.real=FOLDER --config.generated=FOLDER \
        --config.weights=rgb_imagenet.pt

Customary: 2,048 videos a side, clips of 16 frames. Without the weights nothing is printed under this name.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    return ml_collections.ConfigDict(
        dict(
            task="fvd",
            real="",
            generated="",
            weights="",  # rgb_imagenet.pt or i3d_pretrained_400.pt
            port="piergiaj",  # whose batch norm: piergiaj (1e-3) or common_metrics (1e-5)
            frames=16,  # of a clip, at least 10
            quiet=False,
            overwrite=False,
        )
    )
