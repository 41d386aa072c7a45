"""PoseTrack21 and PoseTrack18: poses with identities, json a video.

Truth: posetrack_data/SPLIT/SEQ.json, or a folder of SEQ.json. Predictions: SEQ.json, images in the same order.
Reported are the numbers of PoseTrack21's kit (mAP and keypoint HOTA) and, as the group poseval, those of the older
evaluator (AP, MOTA).
"""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence

from difftrack_jax.data.formats import posetrack as text
from difftrack_jax.errors import UserError
from difftrack_jax.metrics import keypoints, pose_ap, pose_hota, pose_mota
from difftrack_jax.metrics.base import Metric
from difftrack_jax.runners.scoring.base import Files, Scorer

# How each evaluator tells a missing joint.
_RULES = {"PoseTrack21": keypoints.positive, "poseval": keypoints.annotated}


@dataclasses.dataclass(frozen=True)
class PoseTrackScorer(Scorer):
    """whole_video: a labelled frame without predictions misses the joints of the whole video, as in the kit; False
    counts that frame's.
    """

    annotation: str = (
        "posetrack_data/{split}/{sequence}.json, annotations/{split}/{sequence}.json, {split}/{sequence}.json, "
        "{sequence}.json"
    )
    prediction: str = "{sequence}.json"
    columns: tuple[str, ...] = ("AP_Total", "HOTA", "DetA", "AssA", "FA-HOTA", "MOTA_Total", "MOTP_Total")
    whole_video: bool = True

    @property
    def metrics(self) -> Mapping[str, Metric]:
        return {"mAP": pose_ap, "HOTA": pose_hota, "poseval AP": pose_ap, "poseval MOTA": pose_mota}

    def evaluate(self, files: Files, name: str):
        path = files.place(files.data_dir, self.annotation, name)
        found = files.place(files.predictions, self.prediction, name)
        gt, pred = text.read_poses(path), text.read_poses(found)
        if [image.image for image in gt] != [image.image for image in pred]:
            raise UserError(f"{found}: its images are not those of {path.name}, in the same order, by id")
        kit, poseval = (_frames(path, gt, pred, rule) for rule in _RULES)
        return {
            "mAP": pose_ap.evaluate(kit),
            "HOTA": pose_hota.evaluate(kit, self.whole_video),
            "poseval AP": pose_ap.evaluate(poseval),
            "poseval MOTA": pose_mota.evaluate(poseval),
        }


def _frames(path: pathlib.Path, gt: Sequence[text.Poses], pred: Sequence[text.Poses], rule: str):
    """Labelled frames with somebody in them, without what is to be ignored."""
    joints, frames = _RULES[rule], []
    for truth, found in zip(gt, pred):
        if not truth.labelled or not len(truth.id):
            continue
        head = keypoints.head_size(truth.head)
        if not (head > 0).all():
            raise UserError(
                f"{path}: image {truth.image} has a person without bbox_head, which distances are measured by"
            )
        frame = keypoints.Frame(
            truth.id, joints(truth.joints), head, found.id, joints(found.joints), keypoints.without_ears(found.score)
        )
        frames.append(keypoints.ignore(frame, truth.regions))
    return frames
