"""Train the bundled generator on procedural clips: single frames first, then clips.

    python -m difftrack_jax.main --config=configs/train/mini_generator.py:image --workdir=runs/image
    python -m difftrack_jax.main --config=configs/train/mini_generator.py:video --workdir=runs/video \
        --config.init_from=runs/image
    python -m difftrack_jax.main --config=configs/train/mini_generator.py:more                # from the bundled weights
    python -m difftrack_jax.main --config=configs/train/mini_generator.py:tiny                # a laptop minute

As published, the instance enhancer and the instance tokens join in the second stage. The ablations of the paper's
Table 4 are `:more` with --config.unet.injection.kind=off, and with --config.unet.instances=False besides: they leave
out what they lack and see the same data. Hardware, minutes, scores: difftrack_jax/assets/mini_generator/MODEL_CARD.md.
"""

import ml_collections


def get_config(size: str = "image") -> ml_collections.ConfigDict:
    tiny, more, video = size == "tiny", size == "more", size != "image"
    config = ml_collections.ConfigDict(
        dict(
            task="train",
            objective="tracklets",
            recipe="configs/train/mini_generator.py",
            stage="all",  # everything moves: nothing here is pretrained
            model="tiny_video" if tiny else "mini_video",
            unet=dict(
                instances=video,
                painted=True,  # models/painting.py
                injection=dict(
                    kind="fuse" if video else "off",
                    where=("decoder",),
                    read="cross",
                    join="channels",
                    scope="frame",
                    roi_size=1,
                ),
            ),
            init_from="mini" if more else "",  # weights of an earlier stage: a workdir, a file, or the bundled ones
            gates=0.3 if video else 1.0,  # start of the gates that are new in a stage
            seed=int(more),  # data that the bundled weights have not seen
            steps=20 if tiny else 400 if more else 600 if video else 700,
            batch=2 if video else 16,
            frames=4 if tiny else 8 if video else 1,
            size=16 if tiny else 48,
            objects=2 if tiny else 4,
            data="procedural",
            latents="pixels",  # blocks of 4 x 4
            accumulate=1,
            schedule="cosine",
            rule=dict(kind="data", weighting="velocity", cap=5.0, foreground=2.0, drop_text=0.1, drop_boxes=0.1),
            dropout=0.0,  # of temporal convolutions
            remat=False,
            dtype="float32",
            learning_rate=1e-3 if video else 2e-3,
            warmup=30 if video else 100,
            beta2=0.99,
            weight_decay=1e-2,
            clip=1.0,
            average=0.998,
            eval_clips=2 if tiny else 8 if video else 64,
            log_every=10 if tiny else 25,
            eval_every=20 if tiny else 900,
            save_every=10 if tiny else 50,
            mesh=dict(data=0, fsdp=1),  # devices: rows that share a batch (0: all), and that share parameters
            profile=False,  # true: a trace of a few steps goes to the workdir
            dry_run=False,  # true: only say what memory and compilation a step takes
            quiet=False,
            overwrite=False,
        )
    )
    return config
