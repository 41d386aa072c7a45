"""How videos are prepared for the I3D network whose features FVD compares (Unterthiner et al., 2018).

The features are the 400 logits, before the softmax, of I3D trained on Kinetics-400, in clips of 16 frames (at least
10). Every frame's shorter side is brought to 224 pixels by bilinear interpolation without antialiasing, the other
side rounded up, the middle cut out, and values scaled from [0, 255] to [-1, 1], once. Say with a number which
resolution, frame rate, codec and number of videos it is of; `frechet` has the distance.
"""

import math

import numpy as np
from jaxtyping import Float, UInt8

RESOLUTION = 224
FRAMES = 16


def preprocess(video: UInt8[np.ndarray, "t h w 3"], resolution: int = RESOLUTION) -> Float[np.ndarray, "t r r 3"]:
    """float32 in [-1, 1]."""
    height, width = video.shape[1:3]
    scale = resolution / min(height, width)
    longer = math.ceil(max(height, width) * scale)
    size = (resolution, longer) if height < width else (longer, resolution)
    image = video.astype(np.float32) / 255
    for axis, (old, new) in enumerate(zip((height, width), size), 1):
        image = _interpolate(image, axis, old, new)
    top, left = (size[0] - resolution) // 2, (size[1] - resolution) // 2
    return (image[:, top : top + resolution, left : left + resolution] - 0.5) * 2


def _interpolate(image: Float[np.ndarray, "t h w 3"], axis: int, old: int, new: int) -> Float[np.ndarray, "t ..."]:
    """Linear along one axis, between pixel centres; the borders repeat."""
    # As torch has it: the step rounded to float32, the product not.
    step = float(np.float32(old / new))
    place = np.maximum((np.arange(new) + 0.5) * step - 0.5, 0).astype(np.float32)
    low = place.astype(np.int64)
    weight = (place - low).reshape([-1 if i == axis else 1 for i in range(4)])
    below, above = image.take(low, axis=axis), image.take(np.minimum(low + 1, old - 1), axis=axis)
    return below * (1 - weight) + above * weight
