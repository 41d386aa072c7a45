"""A video and its detections, from the command's config to its files: who is who, where, and after a kill."""

import importlib.util
import json
import pathlib

import numpy as np
import pytest
from PIL import Image

from difftrack_jax import main
from difftrack_jax.checkpoints import session_state
from difftrack_jax.data import demo
from difftrack_jax.data.formats import mot, rle
from difftrack_jax.data.frames import ArrayFrames
from difftrack_jax.data.records import make_clip, make_rows
from difftrack_jax.detectors import loading
from difftrack_jax.detectors.base import Detections
from difftrack_jax.errors import UserError
from difftrack_jax.ops.boxes import iou
from difftrack_jax.runners import crowds, track
from difftrack_jax.tracking.multi_object import MultiObject, Rules
from difftrack_jax.tracking.session import Tracker
from difftrack_jax.tracking.settings import Settings

from ..tracking.oracle import colourful, oracle, shifted

RECIPE = pathlib.Path(__file__).resolve().parents[2] / "configs" / "track" / "video.py"
SIZE, FRAMES = (96, 128), 6
# Whole cells of the network, whose matches are then exact.
STARTS, STEPS = np.array([[8, 8], [88, 40], [8, 72]]), np.array([[8, 0], [-8, 0], [8, 0]])
SIDES = np.array([[32, 24], [24, 32], [40, 24]])
KINDS = ("cat", "dog", "cow")


def boxes_at(t):
    corner = STARTS + t * STEPS
    return np.concatenate([corner, corner + SIDES], axis=1).astype(float)


def masks_at(t):
    masks = np.zeros((3, *SIZE), bool)
    for mask, (x0, y0, x1, y1) in zip(masks, boxes_at(t).astype(int)):
        mask[y0:y1, x0:x1] = True
    return masks


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Three textured squares that walk over a textured ground, and what a detector says of them: shaken boxes in MOT
    text, one in six of the later ones missing; and masks in COCO json.
    """
    folder, rng = tmp_path_factory.mktemp("found"), np.random.default_rng(0)
    (folder / "clip").mkdir()
    ground, textures = colourful(*SIZE), [colourful(*SIZE, seed=n + 1) for n in range(3)]
    rows, entries = [], []
    for t in range(FRAMES):
        frame = ground.copy()
        for n, (mask, box) in enumerate(zip(masks_at(t), boxes_at(t))):
            texture = textures[n][: SIDES[n, 1], : SIDES[n, 0]]
            frame[mask] = texture.reshape(-1, 3)
            if not t or rng.random() > 1 / 6:
                rows.append((t, box + rng.uniform(-1, 1, 4)))
            code = {"size": list(SIZE), "counts": rle.encode(mask)}
            found = {"image_id": 10 + t, "category_id": n, "bbox": [*box[:2], *(box[2:] - box[:2])], "score": 0.9}
            entries.append(found | {"segmentation": code})
        Image.fromarray(frame).save(folder / "clip" / f"{t}.png")
    assert len(rows) < 3 * FRAMES
    frame, box = zip(*rows)
    mot.write_results(folder / "det.txt", make_rows(frame, box=box, score=np.full(len(rows), 0.9)))
    images = [{"id": 10 + t, "width": SIZE[1], "height": SIZE[0]} for t in range(FRAMES)]
    kinds = [{"id": n, "name": name} for n, name in enumerate(KINDS)]
    (folder / "masks.json").write_text(json.dumps({"images": images, "annotations": entries, "categories": kinds}))
    return folder


@pytest.fixture
def exact(monkeypatch):
    """The runner with a network whose matches are exact; what it would have loaded is kept."""
    asked = []

    def load(*_, **settings):
        asked.append(settings)
        return Tracker(oracle(), Settings(size=128, window="frame", top_k=None))

    monkeypatch.setattr(track, "load_tracker", load)
    return asked


def recipe(video, **fields):
    spec = importlib.util.spec_from_file_location("recipe", RECIPE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config()
    config.update(video=str(video), quiet=True, outputs=("json", "mot"), **fields)
    return config


def overlaps(frames, boxes):
    """IoU of every shown box with the object that its id stands for, by the first frame that shows it."""
    owner, out = {}, []
    for t, frame in enumerate(frames):
        for target in frame["targets"]:
            every = iou(np.array(target["box"]), boxes[:, t])
            owner.setdefault(target["id"], int(every.argmax()))
            out.append(every[owner[target["id"]]])
    return owner, np.array(out)


def test_a_detections_file_tracks_a_procedural_clip(files, exact, tmp_path):
    track.run(recipe(files / "clip", detections=str(files / "det.txt")), tmp_path)
    tracks = json.loads((tmp_path / "tracks.json").read_text())
    owner, overlap = overlaps(tracks["frames"], np.stack([boxes_at(t) for t in range(FRAMES)], axis=1))
    assert sorted(owner.values()) == [0, 1, 2]  # three objects, three ids, from the first frame to the last
    assert len(overlap) == 3 * FRAMES
    assert overlap.min() > 0.6
    assert overlap.mean() > 0.85
    rows = mot.read_results(tmp_path / "tracks.txt")
    assert rows.count == len(overlap)
    assert set(rows.id) == set(owner)
    assert exact == [{"window": "frame", "size": 512}]


def test_masks_and_classes_of_a_coco_file_come_out_again(files, exact, tmp_path):
    config = recipe(files / "clip", detections=str(files / "masks.json"), classes="cat,cow")
    config.outputs = ("json", "masks", "overlay")
    track.run(config, tmp_path)
    tracks = json.loads((tmp_path / "tracks.json").read_text())
    assert [(t["kind"], t["label"]) for t in tracks["targets"]] == [("segment", "cat"), ("segment", "cow")]
    for t, frame in enumerate(tracks["frames"]):
        masks = [rle.decode(target["segment"]["counts"], SIZE) for target in frame["targets"]]
        np.testing.assert_array_equal(masks, masks_at(t)[[0, 2]])
    assert len(list((tmp_path / "masks").iterdir())) == FRAMES
    assert (tmp_path / "overlay.mp4").is_file()


def test_the_first_frames_detections_are_followed_to_the_end(files, exact, tmp_path):
    track.run(recipe(files / "clip", detections=str(files / "masks.json"), births="detections"), tmp_path)
    tracks = json.loads((tmp_path / "tracks.json").read_text())
    assert [(t["id"], t["kind"], t["start"]) for t in tracks["targets"]] == [(n, "segment", 0) for n in (1, 2, 3)]
    assert [len(frame["targets"]) for frame in tracks["frames"]] == [3] * FRAMES
    assert exact == [{}]  # the preset's: a window for each


@pytest.mark.slow
def test_the_bundled_network_keeps_who_is_who_in_a_synthetic_clip(tmp_path):
    clip = demo.demo_clip("synthetic:5:10").truth(range(10))
    t = np.tile(np.arange(10), len(clip.boxes))
    keep = np.random.default_rng(0).random(len(t)) > 0.2 * (t > 0)
    found = make_rows(t[keep], box=clip.boxes.reshape(-1, 4)[keep], score=np.full(int(keep.sum()), 0.9))
    mot.write_results(tmp_path / "det.txt", found)
    config = recipe("synthetic:5:10", detections=str(tmp_path / "det.txt"))
    config.tracker.size = 128
    track.run(config, tmp_path / "out")
    tracks = json.loads((tmp_path / "out" / "tracks.json").read_text())
    owner, overlap = overlaps(tracks["frames"], clip.boxes)
    assert sorted(owner.values()) == [0, 1, 2, 3]
    assert overlap.mean() > 0.9


def test_a_run_goes_on_from_its_state_as_if_never_stopped(tmp_path):
    picture = colourful(96, 128)
    frames = [shifted(picture, 4 * t, 0) for t in range(6)]
    boxes = np.array([[16.0, 16, 48, 40], [72, 40, 104, 72]])

    def seen(t, frame):
        return Detections(boxes + [4.0 * t, 0, 4.0 * t, 0], np.full(2, 0.9), ("a", "b"))

    objects = MultiObject(Tracker(oracle(), Settings(size=128, window="frame", top_k=None)))
    whole = [tracked.prediction for tracked in crowds.follow(objects, frames, seen)]
    crowd = list(crowds.follow(objects, frames[:3], seen))[-1].session
    session_state.save(tmp_path / "state.npz", crowd, {})
    like = crowds.like(objects, objects.tracker.init(frames[0], crowds.targets_of(seen(0, frames[0]))))
    back = session_state.load(tmp_path / "state.npz", like)
    for got, wanted in zip(crowds.follow(objects, frames[3:], seen, back, 3), whole[3:], strict=True):
        assert got.prediction.frame == wanted.frame
        assert got.prediction.label == wanted.label == ("a", "b")
        np.testing.assert_array_equal(got.prediction.id, wanted.id)
        np.testing.assert_array_equal(got.prediction.box, wanted.box)


def test_before_anything_is_detected_nothing_is_tracked_and_a_run_can_go_on_from_there():
    frames = [colourful(96, 128)] * 3
    objects = MultiObject(Tracker(oracle(), Settings(size=128, window="frame", top_k=None)))
    out = list(crowds.follow(objects, frames, lambda t, frame: Detections(np.zeros((0, 4)), np.zeros(0)), None, 2))
    assert [(tracked.session, len(tracked.prediction.id), tracked.prediction.frame) for tracked in out] == [
        (None, 0, 2), (None, 0, 3), (None, 0, 4),
    ]  # fmt: skip


def test_a_detector_finds_whom_a_benchmark_begins_with():
    frames = np.zeros((4, 10, 20, 3), np.uint8)
    masks = np.zeros((2, 10, 20), bool)
    masks[0, 2:6, 3:9] = masks[1, 1:4, 12:18] = True

    def detect(frame, calls=[]):  # noqa: B006
        calls.append(1)
        scores = np.array([0.9, 0.4]) if len(calls) > 2 else np.zeros(2)
        return Detections(np.array([[3.0, 2, 9, 6], [12, 1, 18, 4]]), scores, ("a", "b"), masks)

    index, found = crowds.first_seen(iter(frames), loading.of_detector(detect), Rules(), 0.5)
    rows = crowds.rows_of(index, found)
    assert (index, rows.frame.tolist(), rows.score.tolist()) == (2, [2], [0.9])
    np.testing.assert_array_equal(rle.decode(rows.segment[0], (10, 20)), masks[0])


BAD = {
    "both": (dict(detections="{files}/det.txt", detector="boxes:x"), "detector: give this or detections, not both"),
    "targets too": (dict(detections="{files}/det.txt", targets="point:5,5"), "targets: leave them empty beside"),
    "no file": (dict(detections="nowhere.txt"), "nowhere.txt: no such file"),
    "no such births": (dict(detections="{files}/det.txt", births="first"), "births 'first': known are online and"),
    "no such class": (dict(detections="{files}/masks.json", classes="bat"), "knows no 'bat'; it knows cat, cow, dog"),
    "no classes": (dict(detections="{files}/det.txt", classes="cat"), "are of no class"),
    "nothing sure": (
        dict(detections="{files}/det.txt", births="detections", min_score=0.95), "nothing is detected with a score",
    ),
    "no such rule": (dict(detections="{files}/det.txt", rules=dict(fear=1)), "rules.fear: no such rule"),
    "an unknown detector": (dict(detector="magic:x"), "needs KIND:PATH"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_leaves_nothing(files, tmp_path, capfd, case):
    fields, message = BAD[case]
    fields = {k: v.format(files=files) if isinstance(v, str) else v for k, v in fields.items()}
    config = recipe(files / "clip")
    with config.unlocked():
        config.update(fields)
    assert main.execute(config, str(tmp_path / "out")) == 1
    error = capfd.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_masks_of_another_size_stop_a_run_that_leaves_nothing(tmp_path, files, exact, capfd):
    entry = {"image_id": 0, "bbox": [1, 1, 5, 5], "segmentation": {"size": [4, 4], "counts": rle.encode(np.eye(4) > 0)}}
    (tmp_path / "small.json").write_text(json.dumps([entry]))
    assert main.execute(recipe(files / "clip", detections=str(tmp_path / "small.json")), str(tmp_path / "out")) == 1
    assert "a mask is 4x4, but the video is 128x96" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


def test_public_detections_are_needed_and_have_no_classes():
    clip = make_clip("x", ArrayFrames(np.zeros((1, 8, 8, 3), np.uint8)))
    with pytest.raises(UserError, match=r"x: has no detections; give --config\.detections=DIR"):
        crowds.public(clip, recipe(""))
    found = make_rows([0, 0], box=[[1, 1, 4, 4], [2, 2, 7, 7]], score=[0.9, 0.3])
    seen = crowds.public(clip._replace(detections=found), recipe("", min_score=0.5))
    assert seen(0, clip.frames[0]).scores.tolist() == [0.9]
    with pytest.raises(UserError, match="classes: the detections of x are of no class"):
        crowds.public(clip._replace(detections=found), recipe("", classes="person"))
