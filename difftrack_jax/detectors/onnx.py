"""An ONNX file through onnxruntime, and the crops that such networks look at."""

import pathlib

import numpy as np
from PIL import Image

from difftrack_jax.errors import UserError
from difftrack_jax.typing import Float, HostFrame


class OnnxFile:
    """One image in, its first output out: `run(x [b, 3, h, w]) -> array [b, ...]`.

    size: height and width of the input, channels: of the output's last axis, each None where the file leaves it open.
    one: takes one image at a time.
    """

    def __init__(self, path: str):
        """Raises UserError for a file that is absent, no ONNX, or takes no images."""
        if not pathlib.Path(path).expanduser().is_file():
            raise UserError(f"detector {path}: no such file")
        try:
            import onnxruntime
        except ImportError as error:
            raise UserError(f"detector {path}: needs onnxruntime: pip install 'difftrack_jax[detectors]'") from error
        try:
            self._session = onnxruntime.InferenceSession(
                str(pathlib.Path(path).expanduser()), providers=onnxruntime.get_available_providers()
            )
        except Exception as error:  # onnxruntime has a class for each reason and no base for all
            raise UserError(f"detector {path}: cannot be loaded ({str(error).splitlines()[0]})") from error
        self.path, self._input = path, self._session.get_inputs()[0]
        shape = self._input.shape
        if len(shape) != 4 or shape[1] not in (3, "3") or self._input.type != "tensor(float)":
            raise UserError(f"detector {path}: takes {self._input.type} {shape}, not float images [b, 3, h, w]")
        self.size = (shape[2], shape[3]) if all(isinstance(side, int) for side in shape[2:]) else None
        self.one = shape[0] == 1
        last = (self._session.get_outputs()[0].shape or [None])[-1]
        self.channels = last if isinstance(last, int) else None

    def __call__(self, images: Float[np.ndarray, "b 3 h w"]) -> np.ndarray:
        """Raises UserError for what the network itself refuses."""
        batches = np.split(images, len(images)) if self.one else [images]
        try:
            answers = [self._session.run(None, {self._input.name: batch.astype(np.float32)})[0] for batch in batches]
        except Exception as error:
            raise UserError(f"detector {self.path}: failed ({str(error).splitlines()[0]})") from error
        return np.concatenate(answers)


def warp(frame: HostFrame, size: tuple[int, int], origin: tuple[float, float], step: tuple[float, float]) -> np.ndarray:
    """size = (h, w) pixels of the frame, bilinear, as cv2.warpAffine and cv2.resize take them; black outside.

    The corner of the result lies at `origin` = (x, y), and its pixels are `step` = (x, y) of the frame's apart.
    """
    transform = (step[0], 0.0, origin[0], 0.0, step[1], origin[1])
    picture = Image.fromarray(frame).transform(
        (size[1], size[0]), Image.Transform.AFFINE, transform, Image.Resampling.BILINEAR
    )
    return np.asarray(picture)
