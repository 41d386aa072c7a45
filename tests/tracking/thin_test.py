"""Points on what is thinner than a cell of the attention, with the bundled network."""

import numpy as np

from difftrack_jax.tracking.indicators import Point
from difftrack_jax.tracking.session import load_tracker

HEIGHT, WIDTH = 240, 480


def frames(count):
    """A pole of six pixels that goes to the right by three pixels a frame, over ground that goes to the left."""
    rng = np.random.default_rng(0)
    waves, phase = rng.uniform(-0.25, 0.25, (12, 2)), rng.uniform(0, 2 * np.pi, 12)
    mix = rng.uniform(-1, 1, (12, 3))
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    for t in range(count):
        ground = 110 + 40 * np.sin(np.stack([x + 3 * t, y], -1) @ waves.T + phase) @ mix
        pole = np.abs(x - 50 - 3 * t - 0.1 * (y - 60)) < 3
        coat = np.array([215, 120, 40]) + 20 * np.sin(0.5 * y)[..., None]
        yield np.clip(np.where(pole[..., None], coat, ground), 0, 255).astype(np.uint8)


def test_a_point_on_a_thin_pole_goes_with_it_and_not_with_the_ground():
    tracker = load_tracker("mini", "fast")
    first, *rest = frames(6)
    session = tracker.init(first, [Point(50.5, 60.5)])
    for t, frame in enumerate(rest, 1):
        session, found = tracker.step(session, frame)
        assert abs(found.point[0, 0] - 50.5 - 3 * t) < 3, t  # inside it
