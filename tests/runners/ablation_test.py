"""The ablation's table: rows are runs of a benchmark, what is done stays done, and wrong rows are named."""

import importlib.util
import json
import pathlib

import numpy as np
import pytest

from difftrack_jax.data import procedural_clips, registry
from difftrack_jax.errors import UserError
from difftrack_jax.runners import ablation, benchmark

from .walker import Walker

CONFIG = pathlib.Path(__file__).resolve().parents[2] / "configs" / "track" / "ablation.py"
T = 5


def made_up_clip() -> procedural_clips.ObjectClip:
    """A square that walks one pixel to the right, as the walker does; in frames that TAP-Vid need not resize."""
    frames = np.full((T, 256, 256, 3), 40, np.uint8)
    masks = np.zeros((T, 256, 256), bool)
    boxes = np.array([[10.0 + t, 12.0, 22.0 + t, 24.0] for t in range(T)])
    for t in range(T):
        masks[t, 12:24, 10 + t : 22 + t] = True
        frames[t][masks[t]] = 200
    corners = np.array([[12.5, 14.5], [19.5, 14.5], [12.5, 21.5], [19.5, 21.5]])
    points = corners[None] + np.arange(T)[:, None, None] * [1, 0]
    return procedural_clips.ObjectClip(frames, masks, boxes, np.ones(T, bool), points, np.ones((T, 4), bool))


@pytest.fixture
def config():
    spec = importlib.util.spec_from_file_location("ablation_config", CONFIG)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config("tiny")
    config.quiet = True
    return config


@pytest.fixture
def walkers(monkeypatch):
    made = []
    monkeypatch.setattr(benchmark, "load_tracker", lambda *_, **__: made.append(Walker()) or made[-1])
    monkeypatch.setattr(procedural_clips, "clips", lambda *_, **__: [made_up_clip()])
    return made


def test_clips_read_back_from_the_three_layouts(tmp_path):
    clip = made_up_clip()
    procedural_clips.write(tmp_path, [clip])
    boxes = registry.benchmark("otb", tmp_path / "otb").read("all", "clip00")
    np.testing.assert_allclose(boxes.rows.box, clip.boxes, atol=1e-3)
    np.testing.assert_array_equal(boxes.frames[1], clip.frames[1])
    masks = registry.benchmark("davis2016", tmp_path / "davis").read("val", "clip00")
    np.testing.assert_allclose(masks.rows.box, clip.boxes)
    points = registry.benchmark("tapvid_davis", tmp_path / "tapvid_davis").read("test", "clip00")
    seen = points.rows.take(points.rows.id == points.rows.id[0])
    np.testing.assert_allclose(seen.keypoints[:, 0, :2], clip.points[:, 0], atol=1e-4)


def test_a_perfect_tracker_fills_the_table_with_ones(config, walkers, tmp_path):
    ablation.run(config, tmp_path / "run")
    rows = json.loads((tmp_path / "run" / "ablation.json").read_text())["rows"]
    assert list(rows) == ["fast", "beta_4"]
    for row in rows.values():
        # Success counts thresholds 0, .05, .. 1, and no overlap is above 1.
        assert row["otb"]["score"] == pytest.approx(20 / 21)
        assert row["davis"]["score"] == 1.0
        assert row["tapvid_davis"]["score"] == pytest.approx(1.0)


def test_rows_that_are_done_are_not_run_again_and_others_join(config, walkers, tmp_path):
    config.only = "fast"
    ablation.run(config, tmp_path / "run")
    before = len(walkers)
    config.only = ""
    config.rows.more = {"beta": 2}
    ablation.run(config, tmp_path / "run")
    assert list(json.loads((tmp_path / "run" / "ablation.json").read_text())["rows"]) == ["fast", "beta_4", "more"]
    assert sum(not walker.sessions for walker in walkers[before:]) == 3  # those of `fast`, loaded but not used
    assert (tmp_path / "run" / "ablation.md").read_text().count("\n") == 5


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c.rows.fast.update(betta=4), "rows.fast.betta"),
        (lambda c: c.rows.fast.update(process="magic"), "magic"),
        (lambda c: c.update(only="slow"), "no row 'slow'"),
        (lambda c: c.update(clips=0), "nothing to track"),
        (lambda c: c.update(frames=1), "frames 1"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(config, tmp_path, change, said):
    change(config)
    with pytest.raises(UserError, match=said):
        ablation.run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_held_out_clips_hold_their_object():
    clip = next(iter(procedural_clips.clips(1, frames=3, always_visible=True)))
    assert clip.visible.all()
    inside = clip.points[0].astype(int)
    assert clip.masks[0][inside[:, 1], inside[:, 0]].all()
    rows, columns = np.nonzero(clip.masks[2])
    assert clip.boxes[2].tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
