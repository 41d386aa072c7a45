"""Convert the released TrackDiffusion (text to video; a pipeline folder, or the folder of its U-Net alone).

    python -m difftrack_jax.main --config=configs/convert/trackdiffusion.py \
        --config.source=TrackDiffusion_Pretrain --config.target=weights/trackdiffusion

Whether it has instance injectors is read off its weights: pengxiang/TrackDiffusion_Pretrain has none, the U-Net under
trackdiffusion_ytvis/modelscope_ft may. Frame tables, instance table and null features that a release lacks start at
zero; nothing else may be absent. With `:tiny`, networks of this layout and any size.
"""

import ml_collections

from difftrack_jax.runners import recipes


def get_config(size: str = "") -> ml_collections.ConfigDict:
    return recipes.conversion(size, "trackdiffusion", video_unet=0, vae=83_653_863, text_encoder=123_060_480)
