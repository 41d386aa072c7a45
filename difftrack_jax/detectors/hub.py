"""Detectors of `transformers`, from a local folder or by their name on the Hub: boxes, masks, and poses in given boxes.

    Objects("PekingU/rtdetr_r50vd")                                RT-DETR, RT-DETRv2, D-FINE, DETR, YOLOS, ...
    Instances("facebook/mask2former-swin-tiny-coco-instance")      Mask2Former
    Poses("usyd-community/vitpose-base-simple")                    ViTPose

Each model reads frames and answers by its own processor, so that what comes out is what its authors publish. torch and
transformers are imported when a model is loaded.
"""

import contextlib
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from difftrack_jax.checkpoints import huggingface
from difftrack_jax.detectors.base import Detections, around, distinct, nothing
from difftrack_jax.errors import UserError
from difftrack_jax.typing import Float, HostFrame

LEAST = 0.05  # scores below it are noise, of which these models always give a full list
SAME = 0.7  # IoU above which two answers are one object: some models name one box by several classes
_COCO_EXPERT = 0  # ViTPose+ has a head for each data set it was trained on


class Objects:
    """Boxes and class names."""

    def __init__(self, name: str):
        """Raises UserError when the model is not there, or is no object detector."""
        self._net = _Network("AutoModelForObjectDetection", name)
        self.names = self._net.names

    def __call__(self, frame: HostFrame) -> Detections:
        answer = self._net(frame)
        sizes = [frame.shape[:2]]
        found = self._net.processor.post_process_object_detection(answer, threshold=LEAST, target_sizes=sizes)[0]
        boxes, scores, kinds = (found[name].cpu().numpy() for name in ("boxes", "scores", "labels"))
        boxes, scores = boxes.astype(np.float64), scores.astype(np.float64)
        labels = tuple(self._net.labels.get(int(kind), str(kind)) for kind in kinds)
        return Detections(boxes, scores, labels).take(distinct(boxes, scores, SAME))


class Instances:
    """Masks, the boxes around them, and class names."""

    def __init__(self, name: str):
        """Raises UserError when the model is not there, or does not segment."""
        self._net = _Network("AutoModelForUniversalSegmentation", name)
        self.names = self._net.names

    def __call__(self, frame: HostFrame) -> Detections:
        found = self._net.processor.post_process_instance_segmentation(
            self._net(frame), threshold=LEAST, target_sizes=[frame.shape[:2]], return_binary_maps=True
        )[0]
        facts = found["segments_info"]
        if not facts:
            return nothing()
        masks = found["segmentation"].cpu().numpy() > 0.5
        labels = tuple(self._net.labels.get(fact["label_id"], str(fact["label_id"])) for fact in facts)
        boxes, scores = around(masks), np.array([fact["score"] for fact in facts], np.float64)
        every = Detections(boxes, scores, labels, masks)
        return every.take(distinct(boxes, scores, SAME))


class Poses:
    """Joints of the body in each box, in the order of the model's training data (ViTPose: COCO's 17)."""

    def __init__(self, name: str):
        """Raises UserError when the model is not there, or estimates no poses."""
        self._net = _Network("VitPoseForPoseEstimation", name)

    def __call__(self, frame: HostFrame, boxes: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n j 3"]:
        sides = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
        options = {}
        if getattr(self._net.model.config.backbone_config, "num_experts", 1) > 1:
            options["dataset_index"] = self._net.torch.full((len(boxes),), _COCO_EXPERT, device=self._net.device)
        answer = self._net(frame, boxes=[sides], **options)
        found = self._net.processor.post_process_pose_estimation(answer, boxes=[sides])[0]
        # Its joints are indices of pixels, whose centres lie half a pixel on.
        rows = [np.concatenate([one["keypoints"] + 0.5, one["scores"][:, None]], axis=1) for one in found]
        return np.stack(rows).astype(np.float64)


class _Network:
    """A model and its processor, on the GPU where torch has one."""

    def __init__(self, kind: str, name: str):
        folder = _folder(name)
        try:
            import torch
            import transformers
        except ImportError as error:
            raise UserError(f"detector {name}: needs {error.name}: pip install 'difftrack_jax[detectors]'") from error
        with _explained(name), _quiet(transformers.utils.logging):
            self.processor = transformers.AutoImageProcessor.from_pretrained(folder, local_files_only=True)
            load = getattr(transformers, kind).from_pretrained
            self.model, facts = load(folder, local_files_only=True, output_loading_info=True)
        if absent := sorted(facts["missing_keys"]):
            raise UserError(f"detector {name}: {folder} has no weights for {absent[0]}, which {kind} needs")
        self.torch, self.device = torch, "cuda" if torch.cuda.is_available() else "cpu"
        self.model = self.model.to(self.device).eval()
        self.labels = {int(number): label for number, label in self.model.config.id2label.items()}
        self.names = tuple(self.labels[number] for number in sorted(self.labels))

    def __call__(self, frame: HostFrame, boxes: Any = None, **options: Any) -> Any:
        given = {} if boxes is None else {"boxes": boxes}
        inputs = self.processor(images=[frame], return_tensors="pt", input_data_format="channels_last", **given)
        pixels = {name: value.to(self.device) for name, value in inputs.items() if name.startswith("pixel_")}
        with self.torch.inference_mode():
            return self.model(**pixels, **options)


def _folder(name: str) -> pathlib.Path:
    """A local folder, or what the Hub has under this name."""
    path = pathlib.Path(name).expanduser()
    if path.is_dir():
        return path
    if name.startswith((".", "/", "~")) or huggingface.parse(name) is None:
        raise UserError(f"detector {name}: no such folder; give a folder, or OWNER/REPO on the Hub")
    return huggingface.fetch(name, (".",))


@contextlib.contextmanager
def _quiet(logging: Any) -> Iterator[None]:
    """No progress of files that are read, and no advice on other processors."""
    before, shown = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if shown:
            logging.enable_progress_bar()


@contextlib.contextmanager
def _explained(name: str) -> Iterator[None]:
    """What transformers raises for a folder that is not what it should be, in one line."""
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(f"detector {name}: cannot be loaded ({lines[0].strip()})") from error
