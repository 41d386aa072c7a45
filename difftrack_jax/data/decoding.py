"""Frames out of an encoded stream, through PyAV, and one clear line when they do not come.

What a viewer would show: the display matrix is applied; pixels that are not square stay as stored. Every
stored frame counts once, so a variable rate only moves `rate`, the average. A file that was cut off says so:
an mp4 at once, from its index, before any work is lost; other kinds where they end.
"""

import os
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import av
import numpy as np

from difftrack_jax.errors import UserError
from difftrack_jax.typing import HostFrame, UInt8

ASSUMED_FPS = 25.0


def open_container(name: str, file: Any, **kwargs: Any) -> av.container.InputContainer:
    try:
        return av.open(file, **kwargs)
    except (OSError, av.FFmpegError) as error:
        hint = "is the camera there and free?" if kwargs.get("format") else "not a video, damaged or cut off"
        raise UserError(f"{name}: cannot be opened ({error.strerror}): {hint}") from error


def video_stream(container: av.container.InputContainer, name: str) -> av.VideoStream:
    if not container.streams.video:
        raise UserError(f"{name}: this file holds no video")
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    return stream


def rate(stream: av.VideoStream) -> float:
    rates = (float(rate) for rate in (stream.average_rate, stream.guessed_rate) if rate)
    return next((rate for rate in rates if 0.01 <= rate <= 1000), ASSUMED_FPS)


def declared_frames(
    container: av.container.InputContainer, stream: av.VideoStream, path: str, max_frames: int | None
) -> int | None:
    """Frames in the file's index; raises before the work begins when the file ends before them."""
    if "mp4" not in container.format.name or not stream.frames:
        return stream.frames or None
    size, entries = os.path.getsize(path), list(getattr(stream, "index_entries", ()))
    total = sum(not entry.is_discard for entry in entries) or stream.frames
    whole = next((i for i, entry in enumerate(entries) if entry.pos + entry.size > size), total)
    if whole < min(total, max_frames or total):
        raise UserError(f"{path}: cut off, it holds {whole} of its {total} frames; copy it again or lower max_frames")
    return total


def decode(container: av.container.InputContainer, path: str, start: int = 0) -> Iterator[HostFrame]:
    """Upright RGB arrays of the frames from `start` on; those before are decoded too, and dropped."""
    stream, index, turn, end = video_stream(container, path), 0, None, 0.0
    while True:
        try:
            for packet in container.demux(stream):
                if packet.is_corrupt and container.format.name in ("avi", "matroska,webm"):
                    raise UserError(f"{path}: cut off or damaged after frame {index}")
                for frame in packet.decode():
                    turn = turn or _turn(frame)
                    if index >= start:
                        yield turn(frame.to_ndarray(format="rgb24"))
                    index, end = index + 1, _end(frame)
            return _check_length(stream, path, index, end)
        except av.error.BlockingIOError:  # A camera between two frames.
            time.sleep(0.002)
        except av.FFmpegError as error:
            raise UserError(f"{path}: cannot decode frame {index} ({error.strerror}), it may be damaged") from error


def _end(frame: av.VideoFrame) -> float:
    return 0.0 if frame.pts is None else float((frame.pts + (frame.duration or 0)) * frame.time_base)


def _check_length(stream: av.VideoStream, path: str, frames: int, end: float) -> None:
    """Matroska has no index of frames, only a length; one that stops well before it has been cut off."""
    declared = re.fullmatch(r"(\d+):(\d+):(\d+\.\d+)", stream.metadata.get("DURATION", ""))
    if declared and frames:
        hours, minutes, seconds = (float(part) for part in declared.groups())
        length = 3600 * hours + 60 * minutes + seconds
        if length - end > max(0.5, 2 / rate(stream)):
            raise UserError(f"{path}: cut off, it holds {end:.1f} of its {length:.1f} seconds ({frames} frames)")


def _turn(frame: av.VideoFrame) -> Callable[[HostFrame], HostFrame]:
    """What the display matrix asks for: x' = a x + c y and y' = b x + d y, as a transposition and flips."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return lambda array: array
    (a, b), (c, d) = np.frombuffer(bytes(data), np.int32).reshape(3, 3)[:2, :2].tolist()
    swap = abs(b) > abs(a)
    flip_x, flip_y = (c < 0, b < 0) if swap else (a < 0, d < 0)

    def turn(array: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "y x 3"]:
        array = array.transpose(1, 0, 2) if swap else array
        return np.ascontiguousarray(array[:: -1 if flip_y else 1, :: -1 if flip_x else 1])

    return turn
