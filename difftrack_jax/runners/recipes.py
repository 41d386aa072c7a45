"""What the recipes of all benchmarks have in common; each says only what is its own (configs/track/*.py)."""

import dataclasses
from typing import Any

import ml_collections

from difftrack_jax.runners import overrides
from difftrack_jax.tracking.multi_object import Rules


def benchmark(size: str, **own: Any) -> ml_collections.ConfigDict:
    """A recipe that tracks a benchmark. size: "tiny" tries it out in a minute, on one sequence."""
    tiny = size == "tiny"
    config = ml_collections.ConfigDict(
        dict(
            task="track",
            benchmark="",  # a name in difftrack_jax/data/registry.py
            submission="",  # the official format, of difftrack_jax/runners/submissions.py
            split="",  # the benchmark's own names
            data_dir="",  # the official folder, as its archive unpacks
            sequences="",  # "a,b" or patterns "MOT17-*-FRCNN"; empty takes all
            limit=1 if tiny else 0,  # only the first so many of them; 0 is all
            births="first",  # first | appearance | detections | online | text, see difftrack_jax/runners/births.py
            detections="",  # a folder of SEQUENCE.txt (MOT) or SEQUENCE.json (COCO), instead of the public ones
            **detection(),
            queries="strided",  # of TAP-Vid: first | strided
            resolution=(256, 256),  # of TAP-Vid: frames are resized to width, height; (0, 0) is another category
            slots=16,  # targets that share a pass; a step compiles once for each number of them
            max_frames=6 if tiny else 0,  # then targets stand still, which is no result; 0 tracks them all
            model="mini",
            process="",
            operator="",
            preset="fast",
            seed=0,
            tracker=overrides.empty(),
            quiet=False,
            overwrite=False,
        )
    )
    config.update(own)
    if tiny:
        config.tracker.size = 128  # pixels of a search window: a quarter of the work
    return config


def detection() -> dict[str, Any]:
    """How detections are made and chosen; the fields that a recipe for a video has too."""
    return dict(
        detector="",  # or KIND:PATH, as in rtdetr:FOLDER, yolox:FILE.onnx, ...; difftrack_jax/detectors/loading.py
        min_score=0.0,  # detections with less are left out before the rules see them; 0 takes all
        classes="",  # "person,car": only these; empty takes all
        rules=dataclasses.asdict(Rules()),  # of births and deaths online, difftrack_jax/tracking/multi_object.py
    )


def evaluation(**own: Any) -> ml_collections.ConfigDict:
    """A recipe that scores stored predictions (configs/evaluate/*.py)."""
    config = ml_collections.ConfigDict(
        dict(
            task="evaluate",
            benchmark="",  # a name in difftrack_jax/runners/scoring
            predictions="",  # a folder in the official submission format
            data_dir="",  # the official folder, or one with nothing but annotations
            split="",  # the benchmark's own names
            sequences="",  # "a,b" or patterns; empty takes all that have annotations
            annotation="",  # where a sequence's truth lies under data_dir, if not where the benchmark has it
            prediction="",  # the same under predictions
            quiet=False,
            overwrite=False,
        )
    )
    config.update(own)
    return config


def conversion(size: str, layout: str, **expected: int) -> ml_collections.ConfigDict:
    """A recipe that converts published weights. expected: parameters of each network, for "tiny" any number."""
    return ml_collections.ConfigDict(
        dict(
            task="convert",
            layout=layout,  # a name in difftrack_jax/runners/convert.py
            source="",  # the published folder or file
            target="",  # the folder to make; empty: the workdir
            dtype="",  # float32 | bfloat16 | float16; empty keeps the source's
            expected={name: 0 if size == "tiny" else count for name, count in expected.items()},  # 0 takes any
            forward=True,  # compare answers with the reference libraries, where they are installed
            quiet=False,
            overwrite=False,  # true: replace an earlier conversion in the target
        )
    )
