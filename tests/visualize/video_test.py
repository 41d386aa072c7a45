"""A written video is whole, plays at the rate of its source, and shows the frames that went in."""

from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from difftrack_jax.errors import UserError
from difftrack_jax.visualize import video


def ramp(height, width, count=6):
    """Smooth pictures, each in a colour of its own."""
    y, x = np.mgrid[0:height, 0:width]
    colours = np.random.default_rng(0).integers(40, 216, (count, 3))
    shade = 30 * np.sin(x / 9)[..., None] + 10 * np.cos(y / 7)[..., None]
    return [(colour + shade).astype(np.uint8) for colour in colours]


def read(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return (
            stream.average_rate,
            stream.pix_fmt,
            [f.to_ndarray(format="rgb24") for f in container.decode(stream)],
        )


def write(path, frames, fps=25):
    with video.VideoWriter(path, fps, frames[0].shape[1], frames[0].shape[0]) as writer:
        for frame in frames:
            writer.write(frame)
    return path


@pytest.mark.parametrize("size", [(48, 64), (45, 61)])
def test_frames_come_back_nearly_as_they_were(tmp_path, size):
    frames = ramp(*size)
    rate, pix_fmt, back = read(write(tmp_path / "clip.mp4", frames))
    assert (rate, pix_fmt, len(back)) == (25, "yuv420p", 6)
    even = [side + side % 2 for side in size]
    for got, want in zip(back, frames):
        assert list(got.shape[:2]) == even
        padded = np.pad(want, ((0, even[0] - size[0]), (0, even[1] - size[1]), (0, 0)), mode="edge")
        assert np.abs(got.astype(int) - padded).mean() < 3


def test_header_comes_first_so_that_browsers_start_at_once(tmp_path):
    data = write(tmp_path / "clip.mp4", ramp(48, 64)).read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    assert [file.name for file in tmp_path.iterdir()] == ["clip.mp4"]


@pytest.mark.parametrize(
    ("fps", "fraction"),
    [
        (29.97, Fraction(30000, 1001)),
        (30000 / 1001, Fraction(30000, 1001)),
        (23.976, Fraction(24000, 1001)),
        (59.94, Fraction(60000, 1001)),
        (30, Fraction(30)),
        (25.0, Fraction(25)),
        (12.5, Fraction(25, 2)),
        (1 / 3, Fraction(1, 3)),
    ],
)
def test_a_decimal_rate_is_the_fraction_that_is_meant(tmp_path, fps, fraction):
    assert video.frame_rate(fps) == fraction
    assert read(write(tmp_path / "clip.mp4", ramp(16, 16), fps))[0] == fraction


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = write(tmp_path / "clip.mp4", ramp(16, 16))
    before = path.read_bytes()
    with pytest.raises(ValueError, match="a frame of"):
        write(path, [*ramp(16, 16), *ramp(18, 16)])
    with pytest.raises(UserError, match="no frames were written"), video.VideoWriter(path, 25, 16, 16):
        pass
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["clip.mp4"]


def test_what_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"clip\.mp4: cannot be written"):
        write(tmp_path / "file" / "clip.mp4", ramp(16, 16))
    with pytest.raises(UserError, match="fps is 0"):
        write(tmp_path / "clip.mp4", ramp(16, 16), fps=0)


def test_gif_keeps_its_length_and_its_colours(tmp_path):
    frames = ramp(30, 40, count=9)
    video.write_gif(tmp_path / "clip.gif", iter(frames), fps=30, width=20)
    with Image.open(tmp_path / "clip.gif") as image:
        assert (image.size, image.n_frames, image.info["loop"]) == ((20, 15), 9, 0)
        total = 0
        for index, frame in enumerate(frames):
            image.seek(index)
            total += image.info["duration"]
            assert np.abs(np.asarray(image.convert("RGB")).mean((0, 1)) - frame.mean((0, 1))).max() < 6
    assert total == 300  # 9 frames at 30 a second.
