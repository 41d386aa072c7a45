"""Frames of a clip as a sequence that decodes one image when it is asked for one.

`PathFrames` are files that stay where they are: official folders of images are never copied, because a copy would
double hundreds of gigabytes and hold the same bytes. `EncodedFrames` are the bytes of image files kept in memory or
in an array_record, for clips that come as pickles and have no files of their own. `ArrayFrames` are decoded already.
"""

import abc
import functools
import io
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from difftrack_jax.data import images
from difftrack_jax.data.video import Source
from difftrack_jax.errors import UserError
from difftrack_jax.typing import HostFrame, UInt8


class Frames(abc.ABC):
    """A sequence of uint8 [h, w, 3] RGB frames."""

    size: tuple[int, int]  # width, height

    @abc.abstractmethod
    def __len__(self) -> int: ...

    @abc.abstractmethod
    def __getitem__(self, index: int) -> HostFrame: ...


class PathFrames(Frames):
    """Image files under a root, by relative path."""

    def __init__(self, root: pathlib.Path, paths: Sequence[str]):
        self.root, self.paths = pathlib.Path(root), tuple(paths)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> HostFrame:
        return images.read_image(str(self.root / self.paths[index]))

    @functools.cached_property
    def size(self) -> tuple[int, int]:
        path = self.root / self.paths[0]
        try:
            with Image.open(path) as image:  # only the header is read
                return image.size
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: cannot be read as an image ({error})") from error


class EncodedFrames(Frames):
    """Images as the bytes of their files (JPEG, PNG)."""

    def __init__(self, encoded: Sequence[bytes], name: str = "a frame"):
        self.encoded, self.name = tuple(encoded), name

    def __len__(self) -> int:
        return len(self.encoded)

    def __getitem__(self, index: int) -> HostFrame:
        try:
            with Image.open(io.BytesIO(self.encoded[index])) as image:
                return np.array(image.convert("RGB"))
        except (OSError, ValueError) as error:
            raise UserError(f"{self.name}: image {index} cannot be decoded ({error})") from error

    @functools.cached_property
    def size(self) -> tuple[int, int]:
        with Image.open(io.BytesIO(self.encoded[0])) as image:
            return image.size


class ArrayFrames(Frames):
    """Frames that are decoded already, as one array (a view of a pickle, say)."""

    def __init__(self, array: UInt8[np.ndarray, "t h w 3"]):
        self.array = array

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, index: int) -> HostFrame:
        return np.ascontiguousarray(self.array[index])

    @functools.cached_property
    def size(self) -> tuple[int, int]:
        return self.array.shape[2], self.array.shape[1]


class MappedFrames(Frames):
    """Other frames, each changed when it is read; `order` picks and orders them (a reversed or shortened clip)."""

    def __init__(
        self,
        frames: Frames,
        order: Sequence[int] | None = None,
        change: Callable[[HostFrame], HostFrame] | None = None,
        size: tuple[int, int] | None = None,
    ):
        self.frames, self.change = frames, change
        self.order = range(len(frames)) if order is None else order
        self.size = size or frames.size

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int) -> HostFrame:
        frame = self.frames[self.order[index]]
        return frame if self.change is None else self.change(frame)


def resized(frames: Frames, size: tuple[int, int]) -> Frames:
    """Frames of (width, height); Lanczos, as TAP-Vid's own reader does through mediapy."""
    if frames.size == size:
        return frames
    change = lambda frame: np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS))
    return MappedFrames(frames, change=change, size=size)


class CachedFrames(Frames):
    """Frames that stay in memory once they were decoded: for short clips that are gone through many times."""

    def __init__(self, frames: Frames):
        self.frames, self.size = frames, frames.size
        self._kept: dict[int, HostFrame] = {}

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> HostFrame:
        if index not in self._kept:
            self._kept[index] = self.frames[index]
        return self._kept[index]


def encode_png(frame: HostFrame) -> bytes:
    """The bytes of a PNG file that decodes to exactly this frame."""
    file = io.BytesIO()
    Image.fromarray(frame).save(file, "PNG", compress_level=3)
    return file.getvalue()


def as_source(frames: Frames, name: str, fps: float = 25.0) -> Source:
    """Frames as the kind of video source that trackers and writers take."""

    def read(start: int):
        for index in range(start, len(frames)):
            yield frames[index]

    width, height = frames.size
    return Source(name, width, height, fps, len(frames), read)
