"""What the recipes of both stages of TrackDiffusion's training have in common (configs/train/tracklets_stage*.py)."""

import ml_collections


def training(stage: str, size: str) -> ml_collections.ConfigDict:
    """The paper's settings; size "tiny" is a network of pixels on procedural clips, a laptop minute."""
    first, tiny = stage == "stage1", size == "tiny"
    return ml_collections.ConfigDict(
        dict(
            task="train",
            objective="tracklets",
            recipe=f"configs/train/tracklets_{stage}.py",
            stage=stage,  # which parameters move
            model="tiny_video" if tiny else "trackdiffusion",
            unet=dict(
                instances=True,
                # The instance enhancer joins in the second stage.
                injection=dict(
                    kind="off" if first else "fuse",
                    where=("decoder",),
                    read="cross",
                    join="channels",
                    scope="frame",
                    roi_size=1,
                ),
            ),
            init_from="",  # weights to start from: a workdir or file of an earlier stage, or a converted folder
            pretrained="",  # folder with vae, text_encoder and tokenizer, for latents="vae"
            gates=0.0,  # fusers and injectors start closed
            seed=1,
            steps=6 if tiny else 60_000 if first else 50_000,
            batch=2 if tiny else 8,
            accumulate=1,  # batches a step
            data="procedural" if tiny else "youtube_vis_2021",  # or got10k, mot17, nuscenes
            data_dir="",
            split="train",
            sequences="",
            interval=1,  # frames from one to the next; 2 for got10k
            latents="pixels" if tiny else "vae",
            frames=1 if first else 4 if tiny else 16,
            size=16 if tiny else 480,  # width
            height=16 if tiny else 320,
            objects=2,  # of a procedural clip, at most
            schedule="scaled_linear",
            rule=dict(kind="noise", weighting="flat", cap=5.0, foreground=2.0, drop_text=0.1, drop_boxes=0.1),
            dropout=0.0 if tiny else 0.1,  # of temporal convolutions
            remat=not tiny,
            dtype="float32" if tiny else "bfloat16",  # parameters are float32 either way
            learning_rate=1e-3 if tiny else 1e-5,
            warmup=2 if tiny else 1000,
            beta2=0.999,
            weight_decay=1e-2,
            clip=0.0,  # none, as published
            average=0.0,  # of the weights; 0.9999 is the usual one, none as published
            eval_clips=2,
            log_every=2 if tiny else 50,
            eval_every=6 if tiny else 5000,
            save_every=2 if tiny else 1000,
            mesh=dict(data=0, fsdp=1),  # devices: rows that share a batch (0: all), and that share parameters
            profile=False,  # true: a trace of a few steps goes to the workdir
            dry_run=False,  # true: only say what memory and compilation a step takes
            quiet=False,
            overwrite=False,
        )
    )
