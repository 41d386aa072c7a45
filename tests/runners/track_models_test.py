"""Every kind of backbone follows every kind of target, from the command's config to its files."""

import importlib.util
import json
import pathlib

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from difftrack_jax import main
from difftrack_jax.ops.boxes import iou
from difftrack_jax.runners import track
from difftrack_jax.visualize.video import VideoWriter

from ..goldens import published_folder

RECIPE = pathlib.Path(__file__).resolve().parents[2] / "configs" / "track" / "video.py"
HEIGHT, WIDTH, FRAMES = 48, 66, 3


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    """The models in their published forms, a clip of a square that walks to the right, and its mask."""
    folder = tmp_path_factory.mktemp("models")
    save_file(published_folder.adm("tiny_adm"), folder / "adm.safetensors")
    published_folder.write_stable_diffusion(folder / "sd", unet="sd2")
    rng = np.random.default_rng(0)
    back = rng.integers(0, 90, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    square = rng.integers(120, 255, (14, 14, 3), dtype=np.uint8)
    with VideoWriter(folder / "clip.mp4", 10.0, WIDTH, HEIGHT) as video:
        for index in range(FRAMES):
            frame = back.copy()
            frame[12:26, 8 + index : 22 + index] = square
            video.write(frame)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[12:26, 8:22] = 1
    Image.fromarray(mask).save(folder / "mask.png")
    return folder


def recipe(things, model, targets, **fields):
    spec = importlib.util.spec_from_file_location("recipe", RECIPE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config("tiny")
    config.update(video=str(things / "clip.mp4"), model=model, targets=targets, max_frames=0, quiet=True)
    config.update(outputs=("json", "mot"), **fields)
    config.tracker.update(size=64, text_size=64, memory=1)
    return config


def tracks(things, model, targets, workdir, **fields):
    track.run(recipe(things, model, targets, **fields), workdir)
    return json.loads((workdir / "tracks.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "process"),
    [
        ("mini", "interpolation"),
        ("adm.safetensors", "interpolation"),
        ("sd", "interpolation"),
        ("sd", "label_propagation"),
    ],
)
def test_points_boxes_and_segments_on_every_backbone(things, tmp_path, model, process):
    model = model if model == "mini" else str(things / model)
    targets = f"point:15,19; box:8,12,22,26; segment:{things / 'mask.png'}"
    found = tracks(things, model, targets, tmp_path / "out", process=process)
    assert [(t["id"], t["kind"]) for t in found["targets"]] == [(1, "point"), (2, "box"), (3, "segment")]
    assert len(found["frames"]) == FRAMES
    for frame in found["frames"]:
        assert [t["id"] for t in frame["targets"]] == [1, 2, 3]
        for target in frame["targets"]:
            assert np.isfinite(target["point"]).all()
            assert 0 <= target["score"] <= 1
    assert found["frames"][0]["targets"][1]["box"] == [8, 12, 22, 26]


@pytest.mark.slow
def test_words_on_stable_diffusion(things, tmp_path):
    pytest.importorskip("transformers", reason="needs the extra `hub`")
    found = tracks(things, str(things / "sd"), "text:a red car; box:8,12,22,26; text:dog", tmp_path / "out")
    assert [(t["id"], t["kind"]) for t in found["targets"]] == [(1, "text"), (2, "box"), (3, "text")]
    for frame in found["frames"]:
        for target in frame["targets"]:
            x0, y0, x1, y1 = target["box"]
            assert x0 < x1
            assert y0 < y1
    first = found["frames"][0]["targets"][0]["box"]
    assert 0 <= first[0] <= first[2] <= WIDTH
    assert 0 <= first[1] <= first[3] <= HEIGHT
    assert (tmp_path / "out" / "tracks.txt").read_text().startswith("1,1,")


@pytest.mark.slow
def test_words_on_the_bundled_model(tmp_path):
    """A drawn clip, from the command's config: two phrases, one about motion, and a box, followed as they move."""
    y, x = np.mgrid[:96, :128] + 0.5
    with VideoWriter(tmp_path / "clip.mp4", 10.0, 128, 96) as video:
        for step in range(FRAMES):
            frame = np.full((96, 128, 3), (110, 120, 130), np.uint8)
            frame[np.hypot(x - 30 - 2 * step, y - 30) < 18] = 225, 25, 25
            frame[52:84, 80 - 4 * step : 112 - 4 * step] = 35, 60, 230
            video.write(frame)
    targets = "text:the red disc on the left; box:50,5,70,25; text:what moves left"
    found = tracks(tmp_path, "mini", targets, tmp_path / "out")
    assert [(t["id"], t["kind"]) for t in found["targets"]] == [(1, "text"), (2, "box"), (3, "text")]
    for step, frame in enumerate(found["frames"]):
        red, _, blue = (np.array(target["box"], np.float32) for target in frame["targets"])
        assert iou(red, np.array([12 + 2 * step, 12, 48 + 2 * step, 48], np.float32)) > 0.5
        assert iou(blue, np.array([80 - 4 * step, 52, 112 - 4 * step, 84], np.float32)) > 0.5


def test_a_phrase_that_fits_nothing_is_one_line_and_leaves_nothing(things, tmp_path, capfd):
    config = recipe(things, "mini", "text:the purple ring at the bottom")
    assert main.execute(config, str(tmp_path / "out")) == 1
    error = capfd.readouterr().err
    assert "nothing in the frame fits 'the purple ring at the bottom'" in error
    assert not (tmp_path / "out" / "tracks.json").exists()


def test_words_where_nobody_reads_them_are_one_line_and_leave_nothing(things, tmp_path, capfd):
    config = recipe(things, str(things / "adm.safetensors"), "text:a red car")
    assert main.execute(config, str(tmp_path / "out")) == 1
    error = capfd.readouterr().err
    assert "reads no text" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
