"""Procedural clips: reproducible, varied, and with masks, boxes and points that tell one story."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.data import synthetic
from difftrack_jax.data.scene import frame_maps, sample_scene
from difftrack_jax.data.textures import procedural_bank
from difftrack_jax.ops.sampling import bilinear, cell_centres

H, W, SEEDS = 48, 64, 20
TIMES = jnp.linspace(1.0, 1.3, 4)
POINTS = 60


@pytest.fixture(scope="module")
def bank():
    return procedural_bank(0, count=12, size=64)


@functools.partial(jax.jit, static_argnames="seeds")
def make(bank, first, seeds):
    """`seeds` clips with their truth, at points spread at random."""

    def one(key):
        scene = sample_scene(key, bank, texture_size=64)
        clip = synthetic.render(scene, TIMES, (H, W))
        points = jax.random.uniform(key, (POINTS, 2)) * jnp.array([[W, H]])
        return clip, points, synthetic.ground_truth(scene, clip, TIMES, points)

    return jax.lax.map(one, jax.vmap(jax.random.key)(first + jnp.arange(seeds)))


@pytest.fixture(scope="module")
def clips(bank):
    return jax.tree.map(np.asarray, make(bank, 0, SEEDS))


def test_frames_are_images_in_range_with_something_in_them(clips):
    frames = clips[0].frames
    assert frames.shape == (SEEDS, 4, H, W, 3)
    assert np.abs(frames).max() <= 1
    assert (frames.std((2, 3)).max(-1) > 0.02).all()


def test_the_same_key_draws_the_same_clip_bit_for_bit(bank, clips):
    again = make(bank, 0, SEEDS)
    jax.tree.map(np.testing.assert_array_equal, again, clips)


def test_different_keys_draw_different_clips(clips):
    first = clips[0].frames[:, 0].reshape(SEEDS, -1)
    difference = np.abs(first[:, None] - first[None]).mean(-1)
    assert (difference + np.eye(SEEDS)).min() > 0.02


def test_clips_move(clips):
    frames = clips[0].frames
    assert (np.abs(frames[:, 0] - frames[:, -1]).mean((1, 2, 3)) > 0.01).mean() > 0.9


def test_objects_appear_at_useful_sizes(clips):
    masks = clips[2].masks  # [clip, object, t, h, w]
    area = masks.mean((-2, -1))
    assert 0.05 < area.sum(1).mean() < 0.6
    shown = area[area > 0]
    assert shown.min() < 0.02
    assert shown.max() > 0.2
    assert (masks.any((1, 2, 3, 4))).mean() > 0.9


def test_masks_are_the_identities_and_never_overlap(clips):
    clip, _, truth = clips
    assert truth.masks.sum(1).max() == 1
    np.testing.assert_array_equal(truth.masks.any(1), clip.ids > 0)


def test_boxes_surround_their_masks(clips):
    truth = clips[2]
    for mask, box in zip(truth.masks.reshape(-1, H, W), truth.boxes.reshape(-1, 4)):
        rows, columns = np.nonzero(mask)
        want = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] if rows.size else [0, 0, 0, 0]
        np.testing.assert_array_equal(box, want)
    np.testing.assert_array_equal(truth.visible, truth.masks.sum((-2, -1)) >= 20)


def test_points_start_where_they_were_put_and_seen(clips):
    _, points, truth = clips
    np.testing.assert_allclose(truth.points[:, :, 0], points, atol=0.05)
    assert truth.point_visible[:, :, 0].all()


def test_a_point_stays_on_its_object_while_it_is_seen(clips):
    """Its identity in the first frame is found within a pixel of it in every frame that shows it."""
    clip, _, truth = clips
    cell = np.floor(truth.points).astype(int)
    met, total = 0, 0
    for s, p, t in zip(*np.nonzero(truth.point_visible)):
        x0, y0 = cell[s, p, 0]
        x, y = cell[s, p, t]
        assert 0 <= x < W
        assert 0 <= y < H
        near = clip.ids[s, t, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
        met += clip.ids[s, 0, min(y0, H - 1), min(x0, W - 1)] in near
        total += 1
    assert total > SEEDS * POINTS
    assert met / total > 0.99


def test_a_point_outside_the_frame_is_not_seen(clips):
    truth = clips[2]
    outside = np.any((truth.points < 0) | (truth.points >= [W, H]), axis=-1)
    assert outside.any()
    assert not truth.point_visible[outside].any()


def test_the_lens_changes_how_a_frame_looks_not_what_it_shows():
    key = jax.random.key(0)
    frames = 0.5 * jnp.sin(jnp.arange(40.0) / 6)[None, :, None, None] * jnp.ones((3, 40, 40, 3))
    seen = jax.jit(synthetic.lens)(key, frames)
    assert seen.shape == frames.shape
    assert jnp.abs(seen).max() <= 1
    assert jnp.abs(seen - frames).max() > 1e-3
    for a, b in zip(seen, frames):
        assert np.corrcoef(np.ravel(a), np.ravel(b))[0, 1] > 0.8


def test_shadows_darken_part_of_a_frame_smoothly_and_nothing_gets_brighter():
    frames = 0.5 * jnp.ones((16, 48, 64, 3))
    shaded = np.asarray(jax.jit(synthetic.shadows)(jax.random.key(0), frames))
    assert shaded.shape == frames.shape
    assert shaded.max() <= 0.5 + 1e-6
    assert shaded.min() > -1
    assert (np.ptp(shaded, axis=(1, 2, 3)) > 0.1).sum() >= 4
    assert np.abs(np.diff(shaded, axis=2)).max() < 0.25


def test_training_times_start_at_the_reference_and_keep_their_gaps():
    times = np.asarray(jax.vmap(lambda k: synthetic.training_times(k, 3))(jax.random.split(jax.random.key(0), 50)))
    gaps = np.abs(times[:, 1:] - times[:, :1])
    assert times.shape == (50, 4)
    assert gaps.min() > 0.019
    assert gaps.max() < 0.81


def test_a_training_batch_has_its_shapes_and_true_sources(bank):
    pairs = synthetic.training_batch(jax.random.key(3), bank, batch=3, size=32, grid=4, queries=2)
    assert [a.shape for a in pairs] == [
        (3, 32, 32, 3),
        (3, 2, 32, 32, 3),
        (3, 2, 2, 16, 2),
        (3, 2, 2, 16),
        (3, 2, 16),
    ]
    assert jnp.abs(pairs.reference).max() <= 1
    assert pairs.seen.any()
    assert pairs.object_.any()
    assert not pairs.object_.all()
    # What is seen lies inside the 4 x 4 grid it is measured in.
    source = np.asarray(pairs.source)[np.asarray(pairs.seen)]
    assert source.min() >= 0
    assert source.max() < 4
    again = synthetic.training_batch(jax.random.key(3), bank, batch=3, size=32, grid=4, queries=2)
    jax.tree.map(np.testing.assert_array_equal, again, pairs)


def test_a_view_is_a_part_of_the_whole_drawn_larger(bank):
    scene = jax.jit(sample_scene, static_argnames="texture_size")(jax.random.key(4), bank, texture_size=64)
    times = jnp.array([0.3, 0.9])
    whole = jax.jit(synthetic.render, static_argnames="size")(scene, times, (64, 64))
    part = jax.jit(synthetic.render, static_argnames="size")(
        scene, times, (32, 32), jnp.array([[0.25, 0.125, 0.5]] * 2)
    )
    np.testing.assert_allclose(part.frames, whole.frames[:, 8:40, 16:48], atol=1e-4)
    np.testing.assert_array_equal(part.ids, whole.ids[:, 8:40, 16:48])


def test_views_lie_in_the_frame_and_follow_an_object(bank):
    def one(key):
        k_scene, k_view = jax.random.split(key)
        scene = sample_scene(k_scene, bank, texture_size=8)
        times = jnp.array([0.0, 0.2, 0.7])
        views = synthetic.training_views(k_view, scene, times)
        places = jax.vmap(lambda s: frame_maps(scene, s)[1][1:])(times)
        return views, places, scene.present[1:]

    views, places, present = map(np.asarray, jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), 64)))
    corner, side = views[..., :2], views[..., 2:]
    assert corner.min() >= 0
    assert (corner + side).max() <= 1 + 1e-6
    assert np.ptp(side, axis=1).max() == 0
    assert 0.05 < (side[:, 0, 0] == 1).mean() < 0.6
    # Where an object stays in the frame, some object's place is in or near most views, those that are small included.
    small = side[:, 0, 0] < 0.5
    away = np.abs(places - (corner + side / 2)[:, :, None]).max(-1)[small]
    near = np.where(present[small][:, None], away, np.inf).min(-1) < 0.35
    assert near.mean() > 0.7


def test_sources_of_windows_look_like_what_they_are_sources_of(bank):
    pairs = synthetic.training_batch(jax.random.key(1), bank, batch=8, size=64, grid=8, queries=2, windows=True)
    assert pairs.seen.any()
    source = np.asarray(pairs.source)[np.asarray(pairs.seen)]
    assert source.min() >= 0
    assert source.max() <= 8
    look = jax.vmap(lambda frame, at: bilinear(frame, 8 * at))
    there = look(pairs.reference, pairs.source[:, 0, 0])
    here = look(pairs.query[:, 0], jnp.broadcast_to(cell_centres(8, 8), (8, 64, 2)))
    seen = np.asarray(pairs.seen[:, 0, 0])
    apart = np.abs(np.asarray(there - here)).mean(-1)
    other = np.abs(np.asarray(there - here[:, ::-1])).mean(-1)
    assert apart[seen].mean() < 0.6 * other[seen].mean()
