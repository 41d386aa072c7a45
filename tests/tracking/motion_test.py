"""Words of motion: what fits them, under a camera that moves or not, and how a video with them is read."""

import numpy as np
import pytest

from difftrack_jax.data import moving_examples
from difftrack_jax.ops.boxes import iou
from difftrack_jax.tracking import motion, stream
from difftrack_jax.tracking.indicators import Box, Text
from difftrack_jax.tracking.session import Tracker

from .oracle import colourful, oracle, shifted
from .text_test import SETTINGS

WAYS = np.array([[0, 0], [-1, 0.2], [0.05, 0], [0, 0.5], [2, 0.1], [0.6, -0.5]], np.float32)


@pytest.mark.parametrize(
    ("said", "fits"),
    [
        (("moving",), [1, 3, 4, 5]),
        (("still",), [0, 2]),
        (("moving", "left"), [1]),
        (("right",), [4, 5]),
        (("up",), []),
        (("down",), [3]),
        (("moving", "up", "right"), [5]),
        (("fast",), [4, 1, 5, 3]),
        (("slow",), [3, 5, 1, 4]),
        (("moving", "right", "slow"), [5, 4]),
        (("still", "moving"), []),
    ],
)
def test_what_fits_moves_as_is_said(said, fits):
    assert motion.fitting(WAYS, said) == fits


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (4, -2), (-7, 3), (0, 9)])
@pytest.mark.parametrize("size", [(120, 160), (200, 96)])
def test_the_background_goes_where_the_camera_takes_it(dx, dy, size):
    wide = colourful(320, 320)
    seen = [wide[60 + dy * t :, 80 + dx * t :][: size[0], : size[1]] for t in range(4)]
    np.testing.assert_allclose(motion.background(seen), [-3 * dx, -3 * dy], atol=1.5)


def test_a_plain_background_stands_still_behind_what_moves():
    still = np.full((120, 160, 3), 90, np.uint8)
    still[40:70, 30:60] = 250, 10, 10
    frames = [shifted(still, 5 * t, 0) for t in range(4)]
    np.testing.assert_allclose(motion.background(frames), 0, atol=1e-3)


def test_what_a_panning_camera_holds_in_its_middle_moves():
    """And what it passes by does not; ways are in sizes of the boxes."""
    wide = colourful(160, 320)
    frames = []
    for t in range(5):
        frame = wide[:120, 8 * t : 8 * t + 160].copy()
        frame[50:70, 60:100] = 255
        frames.append(frame)
    held, passed = np.array([60.0, 50, 100, 70]), np.array([120.0, 20, 140, 40])
    ways = motion.ways(np.stack([held, passed]), np.stack([held, passed - [32, 0, 32, 0]]), frames)
    np.testing.assert_allclose(ways[0], [32 / 800**0.5, 0], atol=0.1)
    assert motion.fitting(ways, ("moving", "right")) == [0]
    assert motion.fitting(ways, ("still",)) == [1]


class Listens:
    """In place of a network that finds phrases: two boxes fit, and the one that goes right is meant."""

    def looks_ahead(self, phrases):
        return True

    def find(self, frame, phrases, ways):
        boxes = np.array([[8.0, 8, 32, 32], [64, 40, 96, 72]])
        return [[Box(*map(float, boxes[i])) for i in motion.fitting(ways(boxes), ("right",))]], None


def test_frames_that_were_looked_at_ahead_are_tracked_like_all_others():
    """Every frame comes once and in order, however many are read before a phrase joins."""
    start = 2
    tracker = Tracker(oracle(), SETTINGS)
    tracker._finder = Listens()
    still, moving = colourful(96, 128), colourful(32, 32, seed=1)
    frames = [still.copy() for _ in range(start + 4)]
    for t, frame in enumerate(frames):
        frame[40:72, 64 + 8 * (t - start) :][:, :32] = moving[:, : 128 - (64 + 8 * (t - start))]
    told = [(start, Text("what goes right")), (0, Box(0, 60, 40, 90))]
    seen = list(stream.follow(tracker, iter(frames), told))
    assert [tracked.prediction.frame for tracked in seen] == list(range(start + 4))
    assert all(tracked.frame is frame for tracked, frame in zip(seen, frames))
    assert [len(tracked.prediction.id) for tracked in seen] == [1] * start + [2] * 4
    spoken = seen[-1].prediction.box[seen[-1].prediction.kind.index("text")]
    assert iou(spoken, np.array([88, 40, 120, 72], np.float32)) > 0.6


def test_examples_can_be_told_apart_by_motion_alone():
    example = next(moving_examples.examples(3))
    first, last = example.frames[0].astype(int), example.frames[-1].astype(int)
    assert (first != last).any()
    assert iou(example.box, example.twin) < 0.3
    assert next(moving_examples.examples(3)).phrase == example.phrase
    assert not next(moving_examples.examples(3, nobody=True)).box.any()
