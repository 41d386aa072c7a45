"""Every benchmark's evaluation by name: `SCORERS["mot17"]`. Adding one is a line here, or a module beside it.

A name is the registry's (`data.registry`) where the benchmark can be tracked too; its recipe is
configs/evaluate/NAME.py.
"""

from collections.abc import Mapping

from difftrack_jax.errors import UserError
from difftrack_jax.metrics.davis import NAMES
from difftrack_jax.runners.scoring.base import Files, Scorer
from difftrack_jax.runners.scoring.davis import DavisScorer
from difftrack_jax.runners.scoring.kitti import KittiScorer
from difftrack_jax.runners.scoring.mot import GrootScorer, MotScorer
from difftrack_jax.runners.scoring.mots import MotsScorer
from difftrack_jax.runners.scoring.posetrack import PoseTrackScorer
from difftrack_jax.runners.scoring.sot import Got10kScorer, LasotScorer, OtbScorer
from difftrack_jax.runners.scoring.tapvid import TapvidScorer
from difftrack_jax.runners.scoring.youtube_vis import YoutubeVisScorer

__all__ = ["SCORERS", "Files", "Scorer", "find"]

_KITTI_MOTS = MotsScorer(
    annotation=(
        "label_02/{sequence}.txt, instances_txt/{sequence}.txt, training/instances_txt/{sequence}.txt, {sequence}.txt"
    ),
    lists="evaluate_mots.seqmap.{split}",
    first=0,
    classes=("car", "pedestrian"),
)

SCORERS: Mapping[str, Scorer] = {
    "otb": OtbScorer(annotation="{sequence}/groundtruth_rect.txt, {class}/groundtruth_rect.{number}.txt", rules="otb"),
    "lasot": LasotScorer(
        annotation="{class}/{sequence}/groundtruth.txt, {sequence}/groundtruth.txt, annos/{sequence}.txt",
        lists="{split}_set.txt, {split}ing_set.txt",
    ),
    "got10k": Got10kScorer(),
    "mot15": MotScorer(py_motmetrics=True),
    "mot17": MotScorer(distractors="MOT17"),
    "mot20": MotScorer(distractors="MOT20"),
    # One class and no flags of 0, so there is nothing to take out; TrackEval's script runs it as MOT17 all the same.
    "dancetrack": MotScorer(
        annotation="{split}/{sequence}/gt/gt.txt, {split}1/{sequence}/gt/gt.txt, {split}2/{sequence}/gt/gt.txt, "
        "{sequence}/gt/gt.txt",
        distractors="MOT17",
    ),
    "refer_kitti": MotScorer(
        annotation="gt_template/{video}/{expression}/gt.txt, {video}/{expression}/gt.txt",
        prediction="{video}/{expression}/predict.txt",
    ),
    "groot": GrootScorer(),
    "kitti": KittiScorer(),
    "kitti_mots": _KITTI_MOTS,
    "mots20": MotsScorer(),
    "posetrack21": PoseTrackScorer(),
    "posetrack18": PoseTrackScorer(),
    "davis2016": DavisScorer(
        annotation="Annotations_2016/480p/{sequence}, Annotations/480p/{sequence}",
        lists="ImageSets/2016/{split}.txt, ImageSets/480p/{split}.txt",
        single=True,
    ),
    "davis2017": DavisScorer(),
    "davis2017_unsupervised": DavisScorer(
        annotation="Annotations_unsupervised/480p/{sequence}, Annotations/480p/{sequence}",
        columns=(*NAMES, "HOTA", "DetA", "AssA", "MOTA", "IDF1"),
        unsupervised=True,
    ),
    "youtube_vis_2019": YoutubeVisScorer(),
    "youtube_vis_2021": YoutubeVisScorer(),
    **{
        name: TapvidScorer(pickles=name)
        for name in ("tapvid_davis", "tapvid_kinetics", "tapvid_kubric", "tapvid_rgb_stacking")
    },
}


def find(name: str) -> Scorer:
    """The evaluation of a benchmark; UserError when there is none of that name."""
    if name not in SCORERS:
        raise UserError(f"benchmark {name!r}: unknown; there are {', '.join(SCORERS)}")
    return SCORERS[name]
