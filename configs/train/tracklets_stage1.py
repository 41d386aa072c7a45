"""TrackDiffusion, stage 1: grounding on single frames. Only fusers and location tokens move.

    python -m difftrack_jax.main --config=configs/train/tracklets_stage1.py --workdir=runs/stage1 \
        --config.data_dir=YTVIS2021 --config.pretrained=gligen --config.init_from=gligen
    python -m difftrack_jax.main --config=configs/train/tracklets_stage1.py:tiny          # a laptop minute

Published: 60,000 steps of 8 frames at 480 x 320 on 8 A800 of 80 GB. `gligen` is a folder that configs/convert/gligen.py
wrote from GLIGEN's SD 1.4.
"""

import importlib.util
import pathlib

import ml_collections


def get_config(size: str = "") -> ml_collections.ConfigDict:
    path = pathlib.Path(__file__).with_name("tracklets.py")
    spec = importlib.util.spec_from_file_location("tracklets", path)
    shared = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(shared)
    return shared.base("stage1", size == "tiny")
