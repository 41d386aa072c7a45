"""Videos that any browser plays: H.264, 4:2:0, header first, at the rate of the source; and GIF for a README.

A file appears under its final name only when it is whole. 4:2:0 needs even sizes, so the last row or column
of an odd frame is repeated once. Colours are converted and tagged as BT.709, which readers understand alike.
"""

import contextlib
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import av
import numpy as np
from PIL import Image

from difftrack_jax.errors import UserError
from difftrack_jax.typing import HostFrame
from difftrack_jax.visualize.files import atomic_write

Rate = float | int | Fraction
_BT709 = 1  # FFmpeg's number for the matrix, the primaries and the transfer curve alike.
_LIMITED = 1


def frame_rate(fps: Rate) -> Fraction:
    """A decimal rate as the fraction that is meant: 29.97 -> 30000/1001, 12.5 -> 25/2."""
    if not 0 < fps < 10000:
        raise UserError(f"fps is {fps}: it must be above 0")
    broadcast = Fraction(round(fps * 1.001) * 1000, 1001)
    if broadcast and abs(broadcast / Fraction(fps) - 1) < 2e-4:
        return broadcast
    return Fraction(fps).limit_denominator(1001)


class VideoWriter:
    """Writes uint8 [h, w, 3] RGB frames to an mp4.

    with VideoWriter("overlay.mp4", fps=25, width=640, height=360) as video:
      video.write(frame)
    """

    def __init__(
        self,
        path: str | os.PathLike,
        fps: Rate,
        width: int,
        height: int,
        codec: str = "libx264",
        crf: int = 19,
        preset: str = "veryfast",
    ):
        self.path, self.rate, self.shape, self.frames = path, frame_rate(fps), (height, width, 3), 0
        self._codec, self._options = codec, {"crf": str(crf), "preset": preset}

    def __enter__(self) -> "VideoWriter":
        with contextlib.ExitStack() as stack:
            stack.enter_context(_encoder_errors(self.path))
            temporary = stack.enter_context(atomic_write(self.path))
            movflags = {"movflags": "+faststart"}
            self._container = stack.enter_context(av.open(str(temporary), "w", format="mp4", options=movflags))
            self._stream = self._add_stream()
            self._stack = stack.pop_all()
        return self

    def _add_stream(self) -> av.VideoStream:
        height, width = self.shape[0] + self.shape[0] % 2, self.shape[1] + self.shape[1] % 2
        stream = self._container.add_stream(self._codec, rate=self.rate, options=self._options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED
        return stream

    def write(self, frame: HostFrame) -> None:
        if frame.shape != self.shape:
            raise ValueError(f"{self.path}: a frame of {frame.shape} in a video of {self.shape}")
        padded = np.pad(frame, ((0, self.shape[0] % 2), (0, self.shape[1] % 2), (0, 0)), mode="edge")
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(padded), format="rgb24")
        picture = picture.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
        picture.pts, picture.time_base = self.frames, 1 / self.rate
        self._container.mux(self._stream.encode(picture))
        self.frames += 1

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        with self._stack:  # Closes and renames; or, on any error in here, closes and removes.
            if error is not None:
                raise error
            if not self.frames:
                raise UserError(f"{self.path}: no frames were written")
            self._container.mux(self._stream.encode())


@contextlib.contextmanager
def _encoder_errors(path: str | os.PathLike) -> Iterator[None]:
    try:
        yield
    except av.FFmpegError as error:
        raise UserError(f"{path}: cannot be encoded ({error.strerror})") from error


def write_gif(path: str | os.PathLike, frames: Iterable[HostFrame], fps: Rate, width: int | None = None) -> None:
    """An endless GIF, one palette for all frames, scaled to `width` if given, at most 50 frames a second."""
    pictures = [_scaled(Image.fromarray(frame), width) for frame in frames]
    if not pictures:
        raise UserError(f"{path}: no frames were written")
    palette = _shared_palette(pictures)
    pictures = [picture.quantize(palette=palette) for picture in pictures]
    # GIF counts in 1/100 s: each frame ends at the tick nearest to its time, so the whole keeps its length.
    ends = [round(index * 100 / fps) for index in range(len(pictures) + 1)]
    durations = [10 * max(2, end - start) for start, end in itertools.pairwise(ends)]
    with atomic_write(path) as temporary:
        pictures[0].save(temporary, save_all=True, append_images=pictures[1:], duration=durations, loop=0)


def _scaled(picture: Image.Image, width: int | None) -> Image.Image:
    if width is None or width == picture.width:
        return picture
    return picture.resize((width, max(1, round(picture.height * width / picture.width))), Image.Resampling.LANCZOS)


def _shared_palette(pictures: Sequence[Image.Image]) -> Image.Image:
    """256 colours for all pictures together; a palette for each would make still parts flicker."""
    pixels = len(pictures) * pictures[0].width * pictures[0].height
    step = max(1, round((pixels / 1e6) ** 0.5))  # A million of them are enough to choose by.
    strip = np.concatenate([np.asarray(picture)[::step, ::step] for picture in pictures])
    return Image.fromarray(strip).quantize(256)
