"""The clip that needs no file: the same however it is read, with targets that lie on its objects."""

import sys

import numpy as np
import pytest

from difftrack_jax.data import demo
from difftrack_jax.errors import UserError


@pytest.fixture(scope="module")
def clip():
    return demo.demo_clip("synthetic:5:10")


def test_frames_do_not_depend_on_where_reading_starts(clip):
    frames = list(clip.source)
    assert len(frames) == clip.source.frames == 10
    assert frames[0].shape == (clip.source.height, clip.source.width, 3)
    assert frames[0].dtype == np.uint8
    np.testing.assert_array_equal(list(clip.source.iterate(7)), frames[7:])
    assert list(clip.source.iterate(10)) == []


def test_something_moves_but_not_far(clip):
    truth = clip.truth(range(10))
    centres = (truth.boxes[..., :2] + truth.boxes[..., 2:]) / 2
    whole = truth.visible.all(axis=1)
    steps = np.linalg.norm(np.diff(centres[whole], axis=1), axis=-1)
    assert 0.5 < steps.mean() < 8


def test_targets_lie_on_different_objects_that_stay_in_sight(clip):
    box, point, segment = clip.targets
    assert [target["kind"] for target in clip.targets] == ["box", "point", "segment"]
    truth = clip.truth((0, 20, 40, 59), [point["args"]])
    boxed = np.flatnonzero((truth.boxes[:, 0] == box["args"]).all(-1))
    masked = np.flatnonzero((truth.masks[:, 0] == segment["args"]).all((-2, -1)))
    x, y = (int(side) for side in point["args"])
    pointed = np.flatnonzero(truth.masks[:, 0, y, x])
    chosen = [*boxed, *pointed, *masked]
    assert len(set(chosen)) == 3
    assert truth.visible[chosen].all()
    np.testing.assert_allclose(truth.points[0, 0], point["args"], atol=0.05)


@pytest.mark.parametrize("spec", ["synthetic:", "synthetic:x", "synthetic:-1", "synthetic:1:2:3", "synthetic:1:0"])
def test_bad_names(spec):
    with pytest.raises(UserError, match="synthetic:"):
        demo.demo_clip(spec)


def test_drawn_without_photographs(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    assert demo.demo_clip("synthetic:1").targets
