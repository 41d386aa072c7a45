"""What the tracker's choices buy, on procedural clips and, where folders are given, on real ones.

    python -m difftrack_jax.main --config=configs/track/ablation.py --workdir=runs/ablation
    python -m difftrack_jax.main --config=configs/track/ablation.py --workdir=runs/real --config.clips=0 \
        --config.data.otb=OTB100 --config.data.davis=DAVIS --config.only=fast,paper

One line a row, each changing the preset in what it names; what is done is kept, so rows can be run a few at a time
(--config.only=fast,tuned_all) and the table grows. Rows of the chain take T = 10 steps; `paper` takes 50.
"""

import ml_collections

CHAIN = dict(order="sequential", steps=10, interval=(0.1, 0.8))

ROWS = dict(
    fast=dict(),
    process_label_propagation=dict(process="label_propagation"),
    process_reconstruction=dict(process="reconstruction"),
    # Table 2's operators and Alg. 2's line 4, in the chain.
    chain_offset=dict(CHAIN, operator="offset"),
    chain_destination=dict(CHAIN, operator="destination"),
    chain_start=dict(CHAIN, operator="start"),
    chain_blend=dict(CHAIN, operator="blend"),
    chain_noised_offset=dict(CHAIN, operator="noised_offset"),
    # k over which attention is added up, and beta.
    interval_paper=dict(interval=(0.02, 0.8), samples=8),
    interval_late=dict(interval=(0.4, 0.8), samples=4),
    beta_1=dict(beta=1),
    beta_4=dict(beta=4),
    # What of A_X is read, and from how many frames.
    entries_all=dict(top_k=0),
    memory_0=dict(memory=0),
    memory_3=dict(memory=3),
    # Cells alone: no alignment by pixels, masks carried by whole cells.
    pixels_off=dict(pixels=False),
    # Online tuning: of which parameters, and how many steps.
    tuned_all=dict(tune_first=20, tune_steps=1, trainable="all"),
    tuned_attention=dict(tune_first=20, tune_steps=1, trainable="attention"),
    tuned_low_rank=dict(tune_first=20, tune_steps=1, trainable="low_rank"),
    tuned_more=dict(tune_first=100, tune_steps=4, trainable="attention"),
    # Algorithm 2 as printed: T = 50, whole frames, beta 4, tuned 500 steps on the first pair and one on each later.
    paper=dict(preset="paper"),
)


def get_config(size: str = "") -> ml_collections.ConfigDict:
    tiny = size == "tiny"
    rows = {name: ROWS[name] for name in ("fast", "beta_4")} if tiny else ROWS
    return ml_collections.ConfigDict(
        dict(
            task="ablation",
            rows={name: dict(row, size=64) if tiny else row for name, row in rows.items()},
            only="",  # "fast,paper": these rows; empty takes all
            clips=1 if tiny else 8,  # procedural clips; 0 for real ones alone
            frames=4 if tiny else 20,  # of each
            data={name: "" for name in ("otb", "davis", "tapvid_davis")},  # official folders, instead of clips
            limit=0,  # sequences of each; 0 is all
            max_frames=0,  # then targets stand still, which is no result; 0 tracks them all
            model="mini",
            preset="fast",
            seed=0,
            quiet=False,
            overwrite=False,
        )
    )
