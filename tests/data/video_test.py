"""Frame sources give back what was stored, one frame at a time, and name what is wrong with a file."""

import fractions
import itertools
import threading
import time

import av
import numpy as np
import pytest
from PIL import Image

from difftrack_jax.data import decoding, images, video
from difftrack_jax.errors import UserError


def write(path, frames, codec="ffv1", pix_fmt="bgr0", rate=10, times=None, rotation=None):
    """Stores frames without loss unless told otherwise; times are in ticks of 1/100 s."""
    with av.open(str(path), "w", options={"movflags": "faststart"} if path.suffix == ".mp4" else {}) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        if rotation is not None:
            stream.set_display_rotation(**rotation)
        for index, frame in enumerate(frames):
            packed = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format=pix_fmt)
            if times:
                packed.pts, packed.time_base = times[index], fractions.Fraction(1, 100)
            container.mux(stream.encode(packed))
        container.mux(stream.encode())
    return str(path)


def mp4(path, frames, **kwargs):
    return write(path, frames, codec="libx264", pix_fmt="yuv420p", **kwargs)


@pytest.fixture
def frames(rng):
    return list(rng.integers(0, 256, (12, 23, 37, 3), dtype=np.uint8))


def test_video_gives_back_stored_frames_again_and_again(tmp_path, frames):
    source = video.open_source(write(tmp_path / "clip.mkv", frames))
    assert (source.width, source.height, source.fps) == (37, 23, 10.0)
    for _ in range(2):
        np.testing.assert_array_equal(list(source), frames)
    np.testing.assert_array_equal(list(source.iterate(9)), frames[9:])
    assert list(source.iterate(40)) == []


def test_mp4_knows_its_length_and_max_frames_shortens_it(tmp_path):
    ramp = [np.full((32, 48, 3), 20 * i, np.uint8) for i in range(10)]
    path = mp4(tmp_path / "clip.mp4", ramp)
    assert video.open_source(path).frames == 10
    source = video.open_source(path, max_frames=4)
    assert source.frames == 4
    assert [int(frame.mean() / 20 + 0.5) for frame in source] == [0, 1, 2, 3]
    assert [int(frame.mean() / 20 + 0.5) for frame in source.iterate(2)] == [2, 3]


def test_variable_rate_counts_every_frame_once(tmp_path, frames):
    times = [0, 10, 20, 60, 70, 100, 110, 120, 200, 210, 220, 230]
    source = video.open_source(
        mp4(tmp_path / "clip.mp4", [np.pad(f, ((0, 1), (0, 1), (0, 0))) for f in frames], times=times)
    )
    assert len(list(source)) == 12
    assert source.fps == pytest.approx(12 / 2.4, rel=0.05)


def test_two_frames_of_a_long_video_decode_few(tmp_path, monkeypatch):
    long = [np.full((16, 16, 3), i % 256, np.uint8) for i in range(500)]
    path = mp4(tmp_path / "clip.mp4", long, rate=fractions.Fraction(30000, 1001))
    ends = []
    monkeypatch.setattr(decoding, "_end", lambda frame: ends.append(frame.pts) or 0.0)
    source = video.open_source(path)
    assert len(list(itertools.islice(source, 2))) == 2
    assert len(ends) <= 4
    assert source.fps == pytest.approx(30000 / 1001)


@pytest.mark.parametrize("degrees", [90, -90, 180])
def test_rotated_video_is_upright(tmp_path, degrees):
    picture = np.zeros((32, 48, 3), np.uint8)
    picture[:16, :16, 0] = 250
    source = video.open_source(mp4(tmp_path / "clip.mp4", [picture] * 2, rotation={"degrees": degrees}))
    expected = np.rot90(picture, degrees // 90)
    frame = next(iter(source))
    assert (source.height, source.width) == frame.shape[:2] == expected.shape[:2]
    assert np.abs(frame.astype(int) - expected).mean() < 8


def test_mirrored_video_is_mirrored_back(tmp_path):
    picture = np.zeros((32, 48, 3), np.uint8)
    picture[:16, :16, 0] = 250
    frame = next(iter(video.open_source(mp4(tmp_path / "c.mp4", [picture], rotation={"degrees": 0.0, "hflip": True}))))
    assert np.abs(frame.astype(int) - picture[:, ::-1]).mean() < 8


def test_cut_off_mp4_is_named_before_the_work_begins(tmp_path, rng):
    noise = list(rng.integers(0, 256, (40, 48, 64, 3), dtype=np.uint8))
    whole = (tmp_path / "whole.mp4", tmp_path / "cut.mp4")
    mp4(whole[0], noise)
    data = whole[0].read_bytes()
    whole[1].write_bytes(data[: len(data) * 6 // 10])
    with pytest.raises(UserError, match=r"cut\.mp4: cut off, it holds 2\d of its 40 frames"):
        video.open_source(str(whole[1]))
    assert len(list(video.open_source(str(whole[1]), max_frames=10))) == 10


@pytest.mark.parametrize(("suffix", "codec", "pix_fmt"), [(".mkv", "ffv1", "bgr0"), (".avi", "mpeg4", "yuv420p")])
def test_cut_off_video_without_an_index_is_named_where_it_ends(tmp_path, rng, suffix, codec, pix_fmt):
    path = tmp_path / f"clip{suffix}"
    write(path, list(rng.integers(0, 256, (40, 48, 64, 3), dtype=np.uint8)), codec=codec, pix_fmt=pix_fmt)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(UserError, match=r"clip.*cut off"):
        list(video.open_source(str(path)))


def test_images_come_in_natural_order_among_other_files(tmp_path):
    for number in (1, 2, 9, 10, 11, 100):
        Image.new("RGB", (5, 4), (number, 0, 0)).save(tmp_path / f"frame{number}.png")
    (tmp_path / "labels.txt").write_text("not a frame")
    (tmp_path / "._frame1.png").write_text("a resource fork")
    for spec in (tmp_path, tmp_path / "*.png"):
        source = video.open_source(str(spec))
        assert (source.width, source.height, source.frames, source.fps) == (5, 4, 6, 25.0)
        assert [frame[0, 0, 0] for frame in source] == [1, 2, 9, 10, 11, 100]
        assert [frame[0, 0, 0] for frame in source.iterate(4)] == [11, 100]


def test_a_single_image_is_a_video_of_one_frame(tmp_path):
    Image.new("RGB", (5, 4), "red").save(tmp_path / "still.png")
    assert [frame.tolist() for frame in video.open_source(str(tmp_path / "still.png"))] == [[[[255, 0, 0]] * 5] * 4]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("L", (3, 2), 90), (90, 90, 90)),
        (Image.new("1", (3, 2), 1), (255, 255, 255)),
        (Image.new("RGBA", (3, 2), (200, 100, 50, 255)), (200, 100, 50)),
        (Image.new("RGBA", (3, 2), (200, 100, 50, 0)), (0, 0, 0)),
        (Image.new("LA", (3, 2), (80, 255)), (80, 80, 80)),
        (Image.new("RGB", (3, 2), (10, 200, 30)).quantize(4), (10, 200, 30)),
        (Image.fromarray(np.full((2, 3), 40000, np.uint16)), (156, 156, 156)),  # 40000 / 257 = 155.6
    ],
    ids=["grey", "bilevel", "opaque", "transparent", "grey-alpha", "palette", "16-bit"],
)
def test_any_kind_of_image_becomes_rgb(tmp_path, image, expected):
    image.save(tmp_path / "image.png")
    frame = images.read_image(str(tmp_path / "image.png"))
    assert frame.shape == (2, 3, 3)
    assert frame.dtype == np.uint8
    assert frame[1, 2].tolist() == pytest.approx(expected, abs=1)


def test_photograph_is_turned_as_its_exif_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 20)).save(tmp_path / "photo.jpg", exif=exif)
    assert images.read_image(str(tmp_path / "photo.jpg")).shape == (30, 20, 3)


def test_frame_of_another_size_is_named(tmp_path):
    Image.new("RGB", (5, 4)).save(tmp_path / "1.png")
    Image.new("RGB", (7, 6)).save(tmp_path / "2.png")
    with pytest.raises(UserError, match=r"2\.png is 7x6, but .*1\.png is 5x4"):
        list(video.open_source(str(tmp_path)))


def test_damaged_image_is_named(tmp_path, rng):
    Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(tmp_path / "1.png")
    data = (tmp_path / "1.png").read_bytes()
    (tmp_path / "2.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match=r"2\.png: cannot be read"):
        list(video.open_source(str(tmp_path)))


@pytest.mark.parametrize(
    "spec", ["nothing.mp4", "none/*.png", "empty", "text.mp4", "blank.mp4", "sound.wav", "camera:77"]
)
def test_what_cannot_be_read_is_said_in_one_line(tmp_path, spec):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mp4").write_text("this is not a video")
    (tmp_path / "blank.mp4").touch()
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
    with pytest.raises(UserError) as caught:
        video.open_source(spec if spec.startswith("camera") else str(tmp_path / spec))
    assert spec in str(caught.value)
    assert "\n" not in str(caught.value)


def test_stream_on_stdin_passes_once(tmp_path, frames, monkeypatch):
    with open(write(tmp_path / "clip.mkv", frames), "rb") as file:
        monkeypatch.setattr("sys.stdin", type("Stdin", (), {"buffer": file}))
        source = video.open_source("-")
        np.testing.assert_array_equal(list(itertools.islice(source, 5)), frames[:5])
        np.testing.assert_array_equal(list(source), frames[5:])


def test_prefetch_keeps_order_and_raises_the_error_of_its_source():
    def numbers():
        yield from range(5)
        raise UserError("the tape tore")

    ahead = video.prefetch(numbers(), depth=3)
    assert [next(ahead) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(UserError, match="tape tore"):
        next(ahead)
    assert list(video.prefetch(range(100))) == list(range(100))


def test_prefetch_stops_with_its_reader_and_runs_only_a_little_ahead():
    made, closed = [], threading.Event()

    def numbers():
        try:
            for number in itertools.count():
                made.append(number)
                yield number
        finally:
            closed.set()

    ahead = video.prefetch(numbers(), depth=2)
    assert [next(ahead), next(ahead)] == [0, 1]
    time.sleep(0.1)
    assert len(made) <= 2 + 2 + 1
    ahead.close()
    assert closed.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name == "prefetch"]
