"""Train the bundled tracker on procedural video.

    python -m difftrack_jax.main --config=configs/train/mini_tracker.py --workdir=runs/mini        # resumes from there
    python -m difftrack_jax.main --config=configs/train/mini_tracker.py:windows                    # what comes after it
    python -m difftrack_jax.main --config=configs/train/mini_tracker.py:tiny                       # a laptop minute

`windows` goes on from other weights, with scenes as the windows of the tracker show them, on its own grid of 24 x 24.

Hardware, hours and the scores to expect are in difftrack_jax/assets/mini/MODEL_CARD.md.
"""

import ml_collections


def get_config(size: str = "") -> ml_collections.ConfigDict:
    tiny = size == "tiny"
    config = ml_collections.ConfigDict(
        dict(
            task="train",
            objective="tracker",
            recipe="configs/train/mini_tracker.py",
            model="tiny" if tiny else "mini",
            capture=("output_blocks_0_1", "output_blocks_1_1") if tiny else ("output_blocks_2_1", "output_blocks_3_1"),
            coarse=() if tiny else ("output_blocks_1_1",),
            seed=0,
            start_from="",  # a bundled name or a weight file, or a,b: their mean; empty starts from random weights
            steps=20 if tiny else 2000,
            batch=2 if tiny else 6,  # scenes a step
            queries=2,  # frames a scene that look for the reference's content
            size=64 if tiny else 128,
            windows=False,  # show what the tracker's windows show, not whole scenes
            stride=8,  # pixels a cell of the captured grid
            photographs=not tiny,  # scikit-image's, beside drawn textures
            photographs_in="",  # a folder of more images to cut textures from
            # consistency: of a walk there and back between a scene's two queries
            weights=dict(interpolation=0.5, correspondence=1.0, coarse=0.3, objects=3.0, consistency=0.0),
            learning_rate=1.2e-3,
            warmup=200,
            decay=0.3,  # the last share of the steps, over which the rate falls to zero
            beta2=0.98,
            weight_decay=0.02,
            clip=1.0,
            average=0.998,
            eval_clips=2 if tiny else 24,
            log_every=10 if tiny else 25,
            eval_every=20 if tiny else 250,
            save_every=10 if tiny else 100,
            mesh=dict(data=0, fsdp=1),  # devices: rows that share a batch (0: all), and that share parameters
            profile=False,  # true: a trace of a few steps goes to the workdir
            dry_run=False,  # true: only say what memory and compilation a step takes
            quiet=False,
            overwrite=False,
        )
    )
    if size == "windows":
        config.update(start_from="mini", windows=True, size=192, batch=4, steps=2200, decay=0.4, learning_rate=7e-4)
        config.weights.consistency = 0.2
    return config
