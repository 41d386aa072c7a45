"""Train the bundled tracker's word encoder on procedural scenes and phrases about them.

    python -m difftrack_jax.main --config=configs/train/mini_words.py --workdir=runs/words          # resumes from there
    python -m difftrack_jax.main --config=configs/train/mini_words.py:tiny                          # a laptop minute

Hardware, minutes and the scores to expect are in difftrack_jax/assets/mini_words/MODEL_CARD.md.
"""

import ml_collections


def get_config(size: str = "") -> ml_collections.ConfigDict:
    tiny = size == "tiny"
    return ml_collections.ConfigDict(
        dict(
            task="train",
            objective="words",
            recipe="configs/train/mini_words.py",
            model="tiny_words" if tiny else "mini_words",
            seed=0,
            start_from="",  # a bundled name or a weight file to continue from; empty starts from random weights
            steps=20 if tiny else 3000,
            batch=2 if tiny else 16,  # scenes a step
            phrases=4 if tiny else 8,  # about each scene
            size=64 if tiny else 128,
            photographs=not tiny,  # scikit-image's as backgrounds, beside drawn textures
            weights=dict(words=1.0, object_=0.15, box=2.0, point=0.5, fits=0.5),
            learning_rate=1.5e-3,
            warmup=100,
            decay=0.6,  # the last share of the steps, over which the rate falls to zero
            beta2=0.98,
            weight_decay=0.01,
            clip=1.0,
            average=0.998,
            eval_scenes=2 if tiny else 192,
            log_every=10 if tiny else 25,
            eval_every=20 if tiny else 250,
            save_every=10 if tiny else 250,
            mesh=dict(data=0, fsdp=1),  # devices: rows that share a batch (0: all), and that share parameters
            profile=False,  # true: a trace of a few steps goes to the workdir
            dry_run=False,  # true: only say what memory and compilation a step takes
            quiet=False,
            overwrite=False,
        )
    )
