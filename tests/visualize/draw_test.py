"""Drawing shows each target where it is, in its own colour, and leaves the rest of the frame alone."""

import numpy as np
import pytest

from difftrack_jax.typing import Prediction
from difftrack_jax.visualize import canvas, draw

GREY = np.full((120, 160, 3), 128, np.uint8)
NONE = np.full(4, np.nan)


def one(kind, target=1, visible=True, point=(np.nan, np.nan), box=NONE, segment=None, pose=None):
    return Prediction(
        frame=0,
        id=np.array([target]),
        kind=(kind,),
        point=np.array([point], np.float64),
        box=np.array([box], np.float64),
        segment=(segment,),
        pose=(pose,),
        visible=np.array([visible]),
        score=np.ones(1),
    )


def disc(x, y, radius):
    rows, columns = np.mgrid[:120, :160] + 0.5
    return (columns - x) ** 2 + (rows - y) ** 2 < radius**2


def person(x, y):
    rng = np.random.default_rng(3)
    return np.concatenate([rng.uniform(-15, 15, (17, 2)) + (x, y), np.ones((17, 1))], axis=1)


TARGETS = {
    "point": one("point", point=(80, 60)),
    "box": one("box", point=(80, 60), box=(60, 45, 100, 75)),
    "text": one("text", box=(60, 45, 100, 75)),
    "segment": one("segment", segment=disc(80, 60, 18)),
    "pose": one("pose", pose=person(80, 60)),
}


@pytest.mark.parametrize("visible", [True, False])
@pytest.mark.parametrize("kind", TARGETS)
def test_only_pixels_near_the_target_change(kind, visible):
    before = GREY.copy()
    picture = draw.draw(before, TARGETS[kind]._replace(visible=np.array([visible])))
    np.testing.assert_array_equal(before, GREY)
    changed = (picture != GREY).any(-1)
    assert changed.any()
    rows, columns = np.nonzero(changed)
    # Shapes reach 20 pixels around (80, 60); a tag adds its height above.
    assert columns.min() > 50
    assert columns.max() < 110
    assert rows.min() > 20
    assert rows.max() < 85


@pytest.mark.parametrize("kind", TARGETS)
def test_a_hidden_target_is_fainter(kind):
    seen = draw.draw(GREY, TARGETS[kind]).astype(int)
    hidden = draw.draw(GREY, TARGETS[kind]._replace(visible=np.array([False]))).astype(int)
    assert 0 < np.abs(hidden - GREY).sum() < np.abs(seen - GREY).sum()


def test_a_box_is_drawn_on_its_border_and_empty_within():
    picture = draw.draw(GREY, one("box", target=2, box=(40.5, 50.5, 90.5, 100.5)))
    assert picture[75, 40].tolist() == pytest.approx(draw.colour(2), abs=60)
    np.testing.assert_array_equal(picture[60:90, 50:80], GREY[60:90, 50:80])


def test_a_mask_is_tinted_with_the_colour_of_its_id():
    middle = draw.draw(GREY, one("segment", target=3, segment=disc(80, 60, 25)))[60, 80]
    want = 0.58 * GREY[0, 0] + 0.42 * np.array(draw.colour(3))
    np.testing.assert_allclose(middle, want, atol=2)


def test_a_point_is_centred_to_a_fraction_of_a_pixel():
    for x in (60.0, 60.25, 60.5, 60.75):
        # Below the dot lies no tag.
        half = draw.draw(np.zeros_like(GREY), one("point", point=(x, 61.0)))[61:].sum((0, 2)).astype(float)
        assert (half * (np.arange(160) + 0.5)).sum() / half.sum() == pytest.approx(x, abs=0.06)


def test_colours_stay_with_their_id_and_differ():
    colours = [draw.colour(target) for target in range(1, 22)]
    assert len(set(colours)) == 21
    assert colours == [draw.colour(target) for target in range(1, 22)]
    assert draw.colour(22) == draw.colour(1)
    both = Prediction(
        frame=0,
        id=np.array([5, 2]),
        kind=("segment", "segment"),
        point=np.zeros((2, 2)),
        box=np.zeros((2, 4)),
        segment=(disc(40, 60, 20), disc(120, 60, 20)),
        pose=(None, None),
        visible=np.array([True, True]),
        score=np.ones(2),
    )
    alone = draw.draw(GREY, one("segment", target=2, segment=disc(120, 60, 20)))
    np.testing.assert_array_equal(draw.draw(GREY, both)[:, 85:], alone[:, 85:])


def test_letters_can_be_read_on_every_colour():
    for target in range(1, 22):
        light = canvas.luminance(draw.colour(target))
        ink = canvas.luminance(canvas.DARK) if light > 0.24 else 1.0
        assert (max(light, ink) + 0.05) / (min(light, ink) + 0.05) > 3.5


def test_lines_grow_with_the_frame():
    widths = []
    for scale in (1, 4):
        frame = np.repeat(np.repeat(GREY, scale, 0), scale, 1)
        picture = draw.draw(frame, one("box", box=np.array([40.0, 50, 90, 100]) * scale))
        widths.append((picture[75 * scale, : 65 * scale] != 128).any(-1).sum())
    assert widths[1] >= 2 * widths[0] > 0


def test_trails_keep_the_last_points_and_forget_lost_targets():
    trails = draw.Trails(length=3)
    for step in range(5):
        trails.update(one("point", point=(10.0 * step, 50), visible=step != 3))
    np.testing.assert_array_equal(trails[1], [[20, 50], [np.nan, np.nan], [40, 50]])
    trails.update(one("point", target=2, point=(1.0, 1.0)))
    assert trails[1].shape == (0, 2)
    assert trails[2].tolist() == [[1, 1]]


def test_a_trail_leads_to_the_point_and_fades():
    trails = draw.Trails(length=10)
    for step in range(10):
        trails.update(one("point", point=(20.0 + 10 * step, 60)))
    now = one("point", point=(110.0, 60))
    change = np.abs(draw.draw(GREY, now, trails).astype(int) - draw.draw(GREY, now)).sum((0, 2))
    assert change[100] > change[60] > change[30] > 0
    assert change[:15].sum() == change[120:].sum() == 0


def test_anything_can_be_asked_for_without_an_error(rng):
    kinds = list(TARGETS)
    for _ in range(60):
        box = rng.normal(60, 10.0 ** rng.integers(0, 7), 4)
        pose = rng.normal(60, 90, (rng.integers(1, 20), 3))
        pose[rng.random(len(pose)) < 0.3] = np.nan
        segment = rng.random((120, 160)) < rng.choice([0.0, 0.0001, 0.5, 1.0])
        target = one(
            kinds[rng.integers(5)],
            int(rng.integers(0, 999)),
            bool(rng.integers(2)),
            box[:2],
            box,
            segment,
            pose,
        )
        frame = rng.integers(0, 256, (120, 160, 3), dtype=np.uint8)
        assert draw.draw(frame, target, draw.Trails().update(target), {7: "a red car"}).shape == frame.shape
    for size in ((1, 1), (3, 500), (8, 8)):
        assert draw.draw(np.zeros((*size, 3), np.uint8), one("box", box=(0, 0, 4, 4))).shape == (*size, 3)


def test_no_targets_leave_the_frame_as_it_was(rng):
    frame = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    nothing = Prediction(
        0, np.zeros(0, int), (), np.zeros((0, 2)), np.zeros((0, 4)), (), (), np.zeros(0, bool), np.zeros(0)
    )
    np.testing.assert_array_equal(draw.draw(frame, nothing, draw.Trails().update(nothing)), frame)
