"""YOLOX from its official ONNX export (Ge et al., arXiv:2107.08430; tools/export_onnx.py).

    input     [1, 3, H, W], BGR in [0, 255]: the frame scaled to fit, in the upper left corner, the rest grey (114)
    output    [1, A, 5 + C], A cells of the grids of stride 8, 16, 32 (and 64 of P6), one after the other:
              x, y = (cell + t_xy) stride;  w, h = exp(t_wh) stride;  objectness and class scores are sigmoids already

The score is objectness times the best class's; of boxes that overlap by more than .45 the best one is kept, whatever
its class. Exports with `--decode_in_inference` give boxes in pixels, and are recognised by that.
"""

import numpy as np

from difftrack_jax.detectors.base import Detections, distinct
from difftrack_jax.detectors.coco import CLASSES
from difftrack_jax.detectors.onnx import OnnxFile, warp
from difftrack_jax.errors import UserError
from difftrack_jax.typing import Float, HostFrame, UInt8

LEAST, OVERLAP = 0.1, 0.45  # the official demo's
_SIZE = (640, 640)
_GREY = 114
_STRIDES = ((8, 16, 32), (8, 16, 32, 64))
_LARGEST = 12.0  # no box is e^12 cells wide


class Yolox:
    """Boxes of an ONNX file."""

    def __init__(self, path: str):
        """Raises UserError for a file that is absent or no ONNX."""
        self._net = OnnxFile(path)
        self._size = self._net.size or _SIZE
        self.names = _names(self._net.channels - 5) if self._net.channels else ()

    def __call__(self, frame: HostFrame) -> Detections:
        image, ratio = letterbox(frame, self._size)
        answer = self._net(image[..., ::-1].transpose(2, 0, 1)[None].astype(np.float32))
        if answer.ndim != 3 or answer.shape[2] < 6:
            raise UserError(f"detector {self._net.path}: answers {answer.shape}, not [1, cells, 5 + classes] as YOLOX")
        boxes, scores = decode(answer[0], self._size, self._net.path)
        best = scores.argmax(axis=1)
        score = scores.max(axis=1)
        keep = np.nonzero(score >= LEAST)[0]
        keep = keep[distinct(boxes[keep], score[keep], OVERLAP)]
        names = _names(scores.shape[1])
        return Detections(boxes[keep] / ratio, score[keep], tuple(names[number] for number in best[keep]))


def _names(classes: int) -> tuple[str, ...]:
    """COCO's where there are as many, else numbers: the file has none."""
    return CLASSES if classes == len(CLASSES) else tuple(map(str, range(classes)))


def letterbox(frame: HostFrame, size: tuple[int, int]) -> tuple[UInt8[np.ndarray, "h2 w2 3"], float]:
    """The frame scaled to fit into size = (h, w), in the corner of a grey image; and the scale."""
    height, width = frame.shape[:2]
    ratio = min(size[0] / height, size[1] / width)
    inner = (int(height * ratio), int(width * ratio))
    image = np.full((*size, 3), _GREY, np.uint8)
    image[: inner[0], : inner[1]] = warp(frame, inner, (0.0, 0.0), (width / inner[1], height / inner[0]))
    return image, ratio


def decode(
    raw: Float[np.ndarray, "a k"], size: tuple[int, int], path: str = "yolox"
) -> tuple[Float[np.ndarray, "a 4"], Float[np.ndarray, "a c"]]:
    """Boxes in pixels of the network's input of (h, w), and the score of each class."""
    raw = raw.astype(np.float64)
    centre, sides = raw[:, :2], raw[:, 2:4]
    if not len(raw) or sides.max() <= _LARGEST:
        cells, stride = _grid(len(raw), size, path)
        centre, sides = (centre + cells) * stride, np.exp(sides) * stride
    return np.concatenate([centre - sides / 2, centre + sides / 2], axis=1), raw[:, 4:5] * raw[:, 5:]


def _grid(count: int, size: tuple[int, int], path: str):
    """x, y of every cell, and its stride."""
    for strides in _STRIDES:
        shapes = [(size[0] // stride, size[1] // stride) for stride in strides]
        if sum(height * width for height, width in shapes) == count:
            cells = [np.stack(np.meshgrid(np.arange(w), np.arange(h)), axis=-1).reshape(-1, 2) for h, w in shapes]
            steps = [np.full((h * w, 1), stride) for (h, w), stride in zip(shapes, strides)]
            return np.concatenate(cells), np.concatenate(steps)
    raise UserError(f"detector {path}: answers {count} cells, which no grids of YOLOX have at {size[1]}x{size[0]}")
