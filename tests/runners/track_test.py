"""The track runner from config to files: what it writes, what it refuses, and that a kill changes nothing."""

import importlib.util
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import av
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

import difftrack_jax as dt
from difftrack_jax import main
from difftrack_jax.checkpoints import bundled, session_state
from difftrack_jax.models import variants
from difftrack_jax.models.unet_adm import UNetADM
from difftrack_jax.runners import overrides, track
from difftrack_jax.tracking import settings
from difftrack_jax.visualize.video import VideoWriter

ROOT = pathlib.Path(__file__).resolve().parents[2]
RECIPE = ROOT / "configs" / "track" / "video.py"
HEIGHT, WIDTH = 48, 66


def load_recipe(path):
    spec = importlib.util.spec_from_file_location("recipe", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_clip(path, count):
    """A bright textured square that walks to the right over a dark texture."""
    rng = np.random.default_rng(0)
    back = rng.integers(0, 90, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    square = rng.integers(120, 255, (14, 14, 3), dtype=np.uint8)
    with VideoWriter(path, 12.5, WIDTH, HEIGHT) as video:
        for index in range(count):
            frame, x = back.copy(), 8 + index % 40
            frame[12:26, x : x + 14] = square
            video.write(frame)


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    """Random weights of the smallest network, a clip, masks, and what is not a video."""
    folder = tmp_path_factory.mktemp("things")
    net = UNetADM(**variants.ADM["tiny"])
    params = jax.jit(net.init)(jax.random.key(0), jnp.zeros((1, 64, 64, 3)), jnp.zeros(1))["params"]
    bundled.save(folder / "tiny.safetensors", params, "tiny")
    write_clip(folder / "clip.mp4", 9)
    write_clip(folder / "long.mp4", 60)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    Image.fromarray(mask).save(folder / "empty.png")
    Image.fromarray(np.ones((8, 8), np.uint8)).save(folder / "small.png")
    mask[12:26, 8:22] = 3
    Image.fromarray(mask).save(folder / "mask.png")
    (folder / "text.mp4").write_text("this is no video")
    (folder / "nothing").mkdir()
    (folder / "broken").mkdir()
    for index in range(5):
        grey = Image.fromarray(np.full((HEIGHT, WIDTH, 3), 40 * index, np.uint8))
        grey.save(folder / "broken" / f"{index}.png")
    (folder / "broken" / "3.png").write_bytes(b"not a picture")
    return folder


def recipe(things, **fields):
    config = load_recipe(RECIPE).get_config("tiny")
    config.update(video=str(things / "clip.mp4"), model=str(things / "tiny.safetensors"))
    config.update(max_frames=0, quiet=True)
    config.targets = f"box:8,12,22,26; segment:{things / 'mask.png'}#3@2"
    config.tracker.size = 64
    config.update(fields)
    return config


@pytest.mark.slow
def test_every_file_is_written_and_a_second_run_computes_nothing(things, tmp_path, capsys):
    summary = track.run(recipe(things), tmp_path)
    tracks = json.loads((tmp_path / "tracks.json").read_text())
    video = {"path": str(things / "clip.mp4"), "width": WIDTH, "height": HEIGHT, "fps": 12.5, "frames": 9}
    assert tracks["video"] == video
    assert [(t["id"], t["kind"], t["start"]) for t in tracks["targets"]] == [
        (1, "box", 0),
        (2, "segment", 2),
    ]
    assert [len(frame["targets"]) for frame in tracks["frames"]] == [1, 1, 2, 2, 2, 2, 2, 2, 2]
    given = tracks["frames"][0]["targets"][0]
    assert given["box"] == [8, 12, 22, 26]
    assert given["visible"] is True
    segment = tracks["frames"][2]["targets"][1]["segment"]
    wanted = np.asarray(Image.open(things / "mask.png")) > 0
    overlap = (coco.decode(segment) > 0) & wanted
    assert overlap.sum() > 0.9 * wanted.sum()

    with av.open(str(tmp_path / "overlay.mp4")) as overlay:
        assert overlay.streams.video[0].codec_context.name == "h264"
        assert sum(1 for _ in overlay.decode(video=0)) == 9
    assert len(list((tmp_path / "masks").iterdir())) == 9
    assert (tmp_path / "tracks.txt").read_text().startswith("1,1,9.00,13.00,14.00,14.00,")
    assert json.loads((tmp_path / "config.json").read_text())["task"] == "track"
    on_disk = json.loads((tmp_path / "summary.json").read_text())
    assert on_disk == json.loads(json.dumps(summary))
    assert on_disk["frames"] == 9
    assert {"seconds", "fps", "compile_seconds", "peak_memory_mb", "device", "versions"} <= on_disk.keys()
    files = {path.name for path in tmp_path.iterdir()}
    assert files == {
        ".lock", "config.json", "masks", "overlay.mp4", "summary.json", "tracks.json", "tracks.txt"
    }  # fmt: skip

    before = (tmp_path / "tracks.json").stat().st_mtime_ns
    assert main.execute(recipe(things), str(tmp_path)) == 0
    assert "done already" in capsys.readouterr().out
    assert (tmp_path / "tracks.json").stat().st_mtime_ns == before


def test_frames_before_the_first_target_are_recorded_empty(things, tmp_path):
    config = recipe(things, targets="box:8,12,22,26@3", outputs=("json,mot",), max_frames=5)
    track.run(config, tmp_path)
    frames = json.loads((tmp_path / "tracks.json").read_text())["frames"]
    assert [len(frame["targets"]) for frame in frames] == [0, 0, 0, 1, 1]
    assert [frame["frame"] for frame in frames] == [0, 1, 2, 3, 4]
    assert not (tmp_path / "overlay.mp4").exists()


def test_a_dry_run_leaves_nothing_and_a_profile_is_a_trace(things, tmp_path):
    config = recipe(things, targets="box:8,12,22,26", outputs=("json",))
    config.dry_run = True
    said = track.run(config, tmp_path / "dry")
    assert 0 < said["held_mb"] < said["total_mb"]
    assert not (tmp_path / "dry").exists()
    config.update(dry_run=False, profile=True)
    track.run(config, tmp_path / "traced")
    assert list((tmp_path / "traced" / "profile").rglob("*.xplane.pb"))


def test_the_library_gives_what_the_command_writes(things, tmp_path):
    config = recipe(things, targets="box:8,12,22,26", outputs=("json",))
    track.run(config, tmp_path)
    frames = json.loads((tmp_path / "tracks.json").read_text())["frames"]
    predictions = dt.track(str(things / "clip.mp4"), [dt.Box(8.0, 12.0, 22.0, 26.0)], model=config.model, size=64)
    for frame, prediction in zip(frames, predictions, strict=True):
        np.testing.assert_allclose(frame["targets"][0]["box"], prediction.box[0], atol=0.006)


@pytest.mark.slow
def test_killed_and_started_again_gives_the_same_bytes(things, tmp_path):
    config = recipe(things, video=str(things / "long.mp4"), targets="box:8,12,22,26@3; point:12,15@5")
    config.update(outputs=("json",), checkpoint_every=5)
    track.run(config, tmp_path / "whole")

    fields = ("video", "model", "targets", "checkpoint_every", "max_frames")
    flags = [f"--config={RECIPE}:tiny", *(f"--config.{name}={config[name]}" for name in fields)]
    flags += [
        "--config.tracker.size=64",
        "--config.outputs=json",
        f"--workdir={tmp_path / 'killed'}",
        "--quiet",
    ]
    command = [sys.executable, "-m", "difftrack_jax.main", *flags]
    environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": jax.config.jax_compilation_cache_dir}
    run = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    partial = tmp_path / "killed" / "tracks.partial.jsonl"
    while run.poll() is None and not (partial.exists() and partial.read_bytes().count(b"\n") >= 13):
        time.sleep(0.002)
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    assert not (tmp_path / "killed" / "tracks.json").exists()

    assert track.run(config, tmp_path / "killed")["resumed_from"] >= 10
    whole, resumed = (tmp_path / name / "tracks.json" for name in ("whole", "killed"))
    assert whole.read_bytes() == resumed.read_bytes()


def test_a_state_comes_back_from_disk_as_it_was(tmp_path):
    state = {"key": jax.random.key(3), "array": jnp.arange(3), "host": np.eye(2), "number": 7, "none": None}
    session_state.save(tmp_path / "a" / "s.npz", state, {"frames": 4})
    like = {**state, "array": jnp.zeros(9), "number": 0}
    back = session_state.load(tmp_path / "a" / "s.npz", like)
    assert session_state.read_notes(tmp_path / "a" / "s.npz") == {"frames": 4}
    assert session_state.read_notes(tmp_path / "none.npz") is None
    assert jax.random.key_data(back.pop("key")).tolist() == jax.random.key_data(state.pop("key")).tolist()
    jax.tree.map(np.testing.assert_array_equal, back, state)
    assert type(back["number"]) is int


BAD = {
    "missing video": (dict(video="nowhere.mp4"), "no such video"),
    "not a video": (dict(video="{things}/text.mp4"), "cannot be opened"),
    "zero frames": (dict(video="{things}/nothing"), "no images here"),
    "damaged on the way": (dict(video="{things}/broken", targets="point:5,5"), "3.png: cannot be read"),
    "no targets": (dict(targets=""), "none given"),
    "point outside": (dict(targets="point:100,5"), "lies outside the video (66x48)"),
    "box outside": (dict(targets="box:70,5,90,9"), "lies outside the video (66x48)"),
    "box turned": (dict(targets="box:30,5,10,9"), "needs x0 < x1"),
    "not finite": (dict(targets="point:nan,5"), "finite"),
    "unknown kind": (dict(targets="blob:1,2"), "unknown kind 'blob'"),
    "pose": (dict(targets="pose:joints.json"), "joints.json cannot be read"),
    "empty mask": (dict(targets="segment:{things}/empty.png"), "the mask is empty"),
    "other mask size": (dict(targets="segment:{things}/small.png"), "its mask is 8x8 but the video is 66x48"),
    "after the end": (dict(targets="point:5,5@9"), "frame 9, but the video has 9 frames"),
    "unknown model": (dict(model="maxi"), "model 'maxi'"),
    "missing weights": (dict(model="nowhere.safetensors"), "no such file"),
    "unknown preset": (dict(preset="slow"), "known presets are fast, paper"),
    "unknown operator": (dict(operator="sideways"), "known are offset"),
    "bad setting": (dict(tracker=dict(size=65)), "tracker: size 65"),
    "unknown output": (dict(outputs=("json,gif",)), "unknown 'gif'"),
    "negative length": (dict(max_frames=-1), "max_frames is -1"),
    "bad seed": (dict(video="synthetic:x"), "needs a seed"),
    "unknown task": (dict(task="dream"), "known tasks are track, train"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_leaves_nothing(things, tmp_path, capfd, case):
    fields, message = BAD[case]
    fields = {k: v.format(things=things) if isinstance(v, str) else v for k, v in fields.items()}
    assert main.execute(recipe(things, **fields), str(tmp_path / "out")) == 1
    error = capfd.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_settings_are_known_by_name_and_type():
    preset = settings.PRESETS["fast"]
    assert settings.check({"top_k": 0, "context": 2, "window": "frame"}, preset) == {
        "top_k": None,
        "context": 2.0,
        "window": "frame",
    }
    assert overrides.changes(load_recipe(RECIPE).get_config()) == {}
    for bad in ({"speed": 1}, {"size": 2.5}, {"window": "door"}, {"steps": True}, {"interval": "all"}):
        with pytest.raises(dt.UserError):
            settings.check(bad, preset)
