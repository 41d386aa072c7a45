"""Track what you point at in a video.

    python -m difftrack_jax.main --config=configs/track/video.py              # a clip that needs no file
    python -m difftrack_jax.main --config=configs/track/video.py --config.video=clip.mp4 \
        --config.targets='box:10,20,80,60; point:5,9@12'
    python -m difftrack_jax.main --config=configs/track/video.py --config.video=clip.mp4 \
        --config.detections=det.txt                                           # or --config.detector=rtdetr:FOLDER
    python -m difftrack_jax.main --config=configs/track/video.py:tiny         # a few seconds

Writes tracks.json, tracks.txt (MOT), overlay.mp4, masks/ and summary.json into the workdir. Every setting of
the tracker can be changed, as in --config.tracker.beta=4 (difftrack_jax/tracking/settings.py explains them).
Detections begin and end targets by themselves (docs/detectors.md).
"""

import ml_collections

from difftrack_jax.runners import overrides, recipes


def get_config(size: str = "") -> ml_collections.ConfigDict:
    tiny = size == "tiny"
    config = ml_collections.ConfigDict(
        dict(
            task="track",
            video="synthetic:5:40",  # FILE | FOLDER | 'GLOB' | camera:0 | - | synthetic:SEED[:FRAMES]
            targets="",  # 'KIND:ARGS[@FRAME]; ...' | FILE.json; empty takes those of the synthetic clip
            detections="",  # instead of targets: a file in MOT text or COCO json
            **recipes.detection(),
            births="online",  # with detections: targets come and go | detections: those of the first frame that has any
            model="mini",  # bundled and small | adm256 | sd15 | PATH | OWNER/REPO on the Hub (backbones/loading.py)
            dtype="",  # float32 | bfloat16; empty: bfloat16 for published networks on accelerators
            process="",  # interpolation | reconstruction | label_propagation; empty takes the preset's
            operator="",  # offset | destination | start | blend; empty takes the preset's
            preset="fast",  # one setting for every video; `paper` is Algorithm 2 with fine-tuning, and slow
            seed=0,  # of all noise: same seed, same tracks
            max_frames=12 if tiny else 0,  # 0 is the whole video
            # masks appear where there are segments; also csv, boxes, mots, kitti, ytvis, poses, points (exchange.py)
            outputs=("json", "mot", "overlay", "masks"),
            tracker=overrides.empty(),  # a setting left empty is the preset's
            checkpoint_every=50,  # frames; at most as many are tracked again after a kill
            profile=False,  # true: a trace of a few steps goes to the workdir
            dry_run=False,  # true: only say what memory and compilation it takes
            quiet=False,  # true: no progress
            overwrite=False,  # true: replace what another config left in the workdir
        )
    )
    if tiny:
        config.tracker.size = 128  # pixels of a search window: a quarter of the work
    return config
