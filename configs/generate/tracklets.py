"""Make videos from tracklets: boxes over time, each of one instance with a name, and a caption.

    python -m difftrack_jax.main --config=configs/generate/tracklets.py            # a clip that needs no file
    python -m difftrack_jax.main --config=configs/generate/tracklets.py \
        --config.tracklets=tracklets.json --config.caption='on a blue background' --config.num_videos=4
    python -m difftrack_jax.main --config=configs/generate/tracklets.py:tiny       # a few seconds

Writes video_000.mp4, video_000_boxes.mp4 (boxes drawn), frames/, tracklets.json and summary.json into the workdir.
FILE.json is {"width", "height", "fps", "frames", "caption", "tracklets": [{"id", "category", "boxes": [[x0, y0, x1,
y1] or null, ...]}]}, in pixels. Any number of frames: longer clips are made of overlapping windows.
"""

import ml_collections


def get_config(size: str = "") -> ml_collections.ConfigDict:
    tiny = size == "tiny"
    config = ml_collections.ConfigDict(
        dict(
            task="generate",
            tracklets="synthetic:3",  # FILE.json | MOT gt.txt | synthetic:SEED[:FRAMES]
            caption=ml_collections.config_dict.placeholder(str),  # none: that of the tracklets
            category="",  # of all tracklets, in place of theirs, as in 'red disc'
            model="mini",  # bundled, small enough for a laptop; or a folder or file of trained weights
            steps=4 if tiny else 0,  # of the solver; 0 is the model's own number (published: 50)
            guidance=-1.0,  # below 0 is the model's own strength (published: 5.0)
            rule="",  # plain | rescaled (the released code's, made for 1.2); empty is the model's own
            solver="",  # dpm++2m | ddim; empty is the model's own
            grounding_beta=1.0,  # share of the steps that see the boxes; 1 as published
            overlap=-1,  # frames that two windows share; below 0 is half a window
            num_videos=1,
            width=0,  # of a MOT file's frames, where no seqinfo.ini says it
            height=0,
            seed=0,  # of all noise: same seed, same video
            profile=False,  # true: a trace of a few steps goes to the workdir
            dry_run=False,  # true: only say what memory and compilation it takes
            quiet=False,  # true: no progress
            overwrite=False,  # true: replace what another config left in the workdir
        )
    )
    return config
