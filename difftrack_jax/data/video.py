"""Frames one at a time, from wherever a user keeps them, in memory that does not grow with the video.

`open_source` turns a video file, a folder or glob of images, a camera or a stream on stdin into a `Source`.
Its size and rate are known at once, from the first frame; its frames come as uint8 [h, w, 3] RGB when asked
for, upright as a viewer would show them (see decoding.py for video, images.py for images).
"""

import contextlib
import dataclasses
import glob
import itertools
import os
import pathlib
import queue
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import av

from difftrack_jax.data import decoding, images
from difftrack_jax.errors import UserError
from difftrack_jax.typing import HostFrame

_DEVICES = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}


@dataclasses.dataclass(frozen=True)
class Source:
    """Frames that can be asked for again; a camera or stdin goes on where it was instead of starting over.

    frames: how many there are to come, as the file declares it, None where nobody knows.
    fps: frames per second, 25.0 for images. read: start -> frames from that index on.
    """

    path: str
    width: int
    height: int
    fps: float
    frames: int | None
    read: Callable[[int], Iterator[HostFrame]]
    max_frames: int | None = None

    def __iter__(self) -> Iterator[HostFrame]:
        return self.iterate()

    def iterate(self, start: int = 0) -> Iterator[HostFrame]:
        """Frames from index `start` on: images before it stay unread, those of a video are dropped."""
        with contextlib.closing(self.read(start)) as frames:
            indices = itertools.count(start) if self.max_frames is None else range(start, self.max_frames)
            for index, frame in zip(indices, frames):
                if frame.shape[:2] != (self.height, self.width):
                    found = f"{frame.shape[1]}x{frame.shape[0]}"
                    first = f"{self.width}x{self.height}"
                    raise UserError(f"{self.path}: frame {index} is {found}, but the first is {first}")
                yield frame


def open_source(spec: str, max_frames: int | None = None) -> Source:
    """A video file | a folder of images | 'a/*.jpg' | camera:0 | - (an encoded stream on stdin)."""
    if max_frames is not None and max_frames < 1:
        raise UserError(f"max_frames is {max_frames}: it must be at least 1")
    source = _open(spec, max_frames)
    if max_frames is None:
        return source
    known = max_frames if source.frames is None else min(max_frames, source.frames)
    frames = None if source.frames is None else known
    return dataclasses.replace(source, frames=frames, max_frames=max_frames)


def _open(spec: str, max_frames: int | None) -> Source:
    if spec.startswith("camera:"):
        return _camera(spec)
    if spec in ("-", "pipe:"):
        return _live(spec, sys.stdin.buffer, None)
    path = os.path.expanduser(spec)
    if os.path.isdir(path):
        return _folder(path)
    if os.path.isfile(path):
        image = pathlib.Path(path).suffix.lower() in images.SUFFIXES
        return _images(path, [path]) if image else _video(path, max_frames)
    if glob.has_magic(path):
        return _images(spec, [match for match in glob.glob(path, recursive=True) if os.path.isfile(match)])
    raise UserError(f"{spec}: no such video, folder or glob")


# Images.


def _folder(path: str) -> Source:
    try:
        names = os.listdir(path)
    except OSError as error:
        raise UserError(f"{path}: cannot list this folder ({error.strerror})") from error
    # A leading dot marks the thumbnails and resource forks that file managers leave behind.
    return _images(path, [os.path.join(path, name) for name in names if not name.startswith(".")])


def _images(name: str, paths: Sequence[str]) -> Source:
    paths = sorted((p for p in paths if pathlib.Path(p).suffix.lower() in images.SUFFIXES), key=images.natural)
    if not paths:
        kinds = ", ".join(sorted(images.SUFFIXES))
        raise UserError(f"{name}: no images here ({kinds}); a video file has to be named itself")
    height, width = images.read_image(paths[0]).shape[:2]

    def read(start: int) -> Iterator[HostFrame]:
        for path in paths[start:]:
            frame = images.read_image(path)
            if frame.shape[:2] != (height, width):
                found, first = f"{frame.shape[1]}x{frame.shape[0]}", f"{paths[0]} is {width}x{height}"
                raise UserError(f"{path} is {found}, but {first}: all frames must have one size")
            yield frame

    return Source(name, width, height, decoding.ASSUMED_FPS, len(paths), read)


# Video files, and streams that pass only once.


def _video(path: str, max_frames: int | None) -> Source:
    with decoding.open_container(path, path) as container:
        stream = decoding.video_stream(container, path)
        fps, frames = decoding.rate(stream), decoding.declared_frames(container, stream, path, max_frames)
        first = next(decoding.decode(container, path), None)
    if first is None:
        raise UserError(f"{path}: this video has no frames that can be decoded")

    def read(start: int) -> Iterator[HostFrame]:
        with decoding.open_container(path, path) as container:
            yield from decoding.decode(container, path, start)

    return Source(path, first.shape[1], first.shape[0], fps, frames, read)


def _camera(spec: str) -> Source:
    kind, device = _DEVICES.get(sys.platform), spec.removeprefix("camera:")
    if kind is None:
        raise UserError(f"{spec}: cameras cannot be read on {sys.platform}")
    if kind == "v4l2" and device.isdigit():
        device = f"/dev/video{device}"
    if kind == "dshow":  # Knows its cameras by name only.
        cameras = [d.name for d in av.enumerate_input_devices(kind) if "video" in d.media_types]
        known = device.isdigit() and int(device) < len(cameras)
        device = f"video={cameras[int(device)] if known else device}"
    return _live(spec, device, kind)


def _live(name: str, file: Any, kind: str | None) -> Source:
    """A stream that cannot be rewound: all readers share it, and it stays open until it ends."""
    options = {"framerate": "30"} if kind == "avfoundation" else {}
    container = decoding.open_container(name, file, format=kind, options=options)
    fps, frames = decoding.rate(decoding.video_stream(container, name)), decoding.decode(container, name)
    try:
        first = next(frames)
    except (StopIteration, UserError) as error:
        hint = "" if kind else "; a piped mp4 must be written with -movflags +faststart, mkv and ts always work"
        raise UserError(f"{name}: no frames arrive{hint}") from error
    pending = itertools.chain([first], frames)

    def read(start: int) -> Iterator[HostFrame]:
        yield from itertools.islice(pending, start, None)

    return Source(name, first.shape[1], first.shape[0], fps, None, read)


def prefetch(items: Iterable[Any], depth: int = 2) -> Iterator[Any]:
    """The same items, made up to `depth` ahead by a thread that stops with its reader and hands on errors."""
    ahead: queue.Queue = queue.Queue(depth)
    stop = threading.Event()

    def put(kind: str, value: Any) -> bool:
        while not stop.is_set():
            with contextlib.suppress(queue.Full):
                ahead.put((kind, value), timeout=0.05)
                return True
        return False

    def fill() -> None:
        iterator = iter(items)
        try:
            while put("item", next(iterator)):
                pass
        except StopIteration:
            put("end", None)
        except BaseException as error:
            put("error", error)
        finally:
            if hasattr(iterator, "close"):
                iterator.close()

    thread = threading.Thread(target=fill, daemon=True, name="prefetch")
    thread.start()
    try:
        while (entry := ahead.get())[0] == "item":
            yield entry[1]
        if entry[0] == "error":
            raise entry[1]
    finally:
        stop.set()
        thread.join(timeout=5)
