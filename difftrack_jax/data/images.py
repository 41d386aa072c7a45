"""One image file of any kind as upright uint8 RGB: EXIF turns applied, alpha laid on black, 16 bits to 8."""

import re

import numpy as np
from PIL import Image, ImageOps

from difftrack_jax.errors import UserError
from difftrack_jax.typing import HostFrame

SUFFIXES = frozenset((".bmp", ".jp2", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"))


def natural(name: str) -> list[tuple[int, str]]:
    """A sorting key that reads numbers as numbers, so that frame2 comes before frame10."""
    parts = re.split(r"([0-9]+)", name)
    return [(int(part), part) if index % 2 else (0, part.lower()) for index, part in enumerate(parts)]


def read_image(path: str) -> HostFrame:
    """One image file of any kind as upright uint8 RGB."""
    try:
        with Image.open(path) as image:
            return _rgb(ImageOps.exif_transpose(image))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: cannot be read as an image, it may be damaged ({error})") from error


def _rgb(image: Image.Image) -> HostFrame:
    if image.mode.startswith("I") or image.mode == "F":
        # 16-bit greys come as I;16 or I; floats are taken to be in [0, 1] unless they say otherwise.
        values = np.nan_to_num(np.asarray(image).astype(np.float32))
        top = 1.0 if image.mode == "F" and values.max() <= 1 else 255.0 if values.max() <= 255 else 65535.0
        top = 65535.0 if image.mode.startswith("I;16") else top
        grey = (values.clip(0, top) * (255.0 / top)).round().astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=-1)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image)
    return np.array(image.convert("RGB"))
