"""Joints from heat maps: HRNet and SimpleBaseline exported to ONNX (Sun et al., CVPR 2019; leoxiaobin's lib/core).

    crop      a box grown to the input's aspect and by 1.25, 256 x 192, ImageNet's mean and deviation
    output    [n, j, h, w], a heat map for each joint; its peak, moved by a quarter cell towards the higher neighbour
"""

import numpy as np

from difftrack_jax.detectors.onnx import OnnxFile, warp
from difftrack_jax.errors import UserError
from difftrack_jax.typing import Float, HostFrame

_SIZE = (256, 192)
_MARGIN = 1.25
_MEAN, _STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


class HeatMaps:
    """Joints of the body in each box, in the order of the network's training data."""

    def __init__(self, path: str):
        """Raises UserError for a file that is absent or no ONNX."""
        self._net = OnnxFile(path)
        self._size = self._net.size or _SIZE

    def __call__(self, frame: HostFrame, boxes: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n j 3"]:
        places = grown(boxes, self._size)
        crops = [_crop(frame, place, self._size) for place in places]
        maps = self._net(((np.stack(crops) / 255.0 - _MEAN) / _STD).transpose(0, 3, 1, 2))
        if maps.ndim != 4 or len(maps) != len(boxes):
            raise UserError(f"detector {self._net.path}: answers {maps.shape}, not heat maps [n, joints, h, w]")
        return joints(maps.astype(np.float64), places)


def grown(boxes: Float[np.ndarray, "n 4"], size: tuple[int, int]) -> Float[np.ndarray, "n 4"]:
    """The part of the frame that is looked at: centre x, y, width and height, of the aspect of size = (h, w)."""
    centre, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    aspect = size[1] / size[0]
    width = np.maximum(sides[:, 0], sides[:, 1] * aspect)
    return np.concatenate([centre, _MARGIN * np.stack([width, width / aspect], axis=1)], axis=1)


def joints(maps: Float[np.ndarray, "n j h w"], places: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n j 3"]:
    """x, y in pixels of the frame and the height of the peak; places as from `grown`."""
    n, j, h, w = maps.shape
    flat = maps.reshape(n, j, -1)
    y, x = np.divmod(flat.argmax(axis=2), w)
    # The quarter cell, where the peak has neighbours on both sides.
    inside = (x > 1) & (x < w - 1) & (y > 1) & (y < h - 1)
    at = lambda dx, dy: flat[*np.ogrid[:n, :j], np.clip(y + dy, 0, h - 1) * w + np.clip(x + dx, 0, w - 1)]
    shift = lambda a, b: 0.25 * np.sign(at(*a) - at(*b)) * inside
    cell = np.stack([x + shift((1, 0), (-1, 0)), y + shift((0, 1), (0, -1))], axis=-1)
    centre, sides = places[:, None, :2], places[:, None, 2:]
    # Official code counts pixels by their indices, and their centres lie half a pixel on.
    place = (cell - np.array([w, h]) / 2) * sides / np.array([w, h]) + centre
    return np.concatenate([place, flat.max(axis=2)[..., None]], axis=-1)


def _crop(frame: HostFrame, place: Float[np.ndarray, "4"], size: tuple[int, int]) -> np.ndarray:
    """The official transform maps index (W/2, H/2) of the crop to index `centre` of the frame."""
    x, y, width, height = place.tolist()
    step = (width / size[1], height / size[0])
    origin = (x + 0.5 - step[0] * (size[1] / 2 + 0.5), y + 0.5 - step[1] * (size[0] / 2 + 0.5))
    return warp(frame, size, origin, step)
