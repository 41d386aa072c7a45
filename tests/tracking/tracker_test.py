import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.backbones import pixel_backbone
from difftrack_jax.errors import UserError
from difftrack_jax.models import variants
from difftrack_jax.models.unet_adm import UNetADM
from difftrack_jax.ops.boxes import iou
from difftrack_jax.tracking import processes, tracker
from difftrack_jax.tracking.indicators import Box, Point, Pose, Segment
from difftrack_jax.tracking.session import Tracker
from difftrack_jax.tracking.settings import PRESETS, Settings

from .oracle import colourful, oracle, shifted

SMALL = Settings(size=64, top_k=None, point_side=0.6)


@pytest.fixture(scope="module")
def tiny():
    """The tiny network with random weights, nowhere zero."""
    net = UNetADM(**variants.ADM["tiny"])
    shapes = jax.eval_shape(lambda k: net.init(k, jnp.zeros((1, 64, 64, 3)), jnp.zeros(1))["params"], jax.random.key(0))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda s: jnp.asarray(0.1 * rng.normal(size=s.shape), jnp.float32), shapes)
    return pixel_backbone("tiny", params)


def walk(n, h=96, w=128, dx=3, dy=2):
    first = colourful(h, w)
    return [shifted(first, dx * t, dy * t) for t in range(n)]


def follow(track, frames, targets):
    session = track.init(frames[0], targets)
    out = [track.predict(session)]
    for frame in frames[1:]:
        session, prediction = track.step(session, frame)
        out.append(prediction)
    return out


def test_exact_matches_track_a_box_a_point_and_a_segment_by_whole_cells():
    """The window is the frame at its own size, and every step moves by one cell of eight pixels."""
    frames = walk(4, dx=8, dy=8)
    mask = np.zeros((96, 128), bool)
    mask[16:48, 72:96] = True
    settings = dataclasses.replace(SMALL, window="frame", size=128)
    last = follow(Tracker(oracle(), settings), frames, [Box(24, 24, 56, 48), Point(20, 44), Segment(mask)])[-1]
    assert iou(last.box[0], np.array([48, 48, 80, 72], np.float32)) > 0.85
    np.testing.assert_allclose(last.point[1], [44, 68], atol=1.5)
    moved = shifted(mask[..., None], 24, 24)[..., 0]
    assert (last.segment[2] & moved).sum() / (last.segment[2] | moved).sum() > 0.8
    assert last.visible.all()


def test_the_step_compiles_once_over_fifty_frames():
    track = Tracker(oracle(), SMALL)
    frames = walk(3)
    session = track.init(frames[0], [Box(40, 30, 72, 54)])
    counted = jax.jit(
        chex.assert_max_traces(lambda p, s, f: tracker.step(track.backbone, SMALL, p, s, f)[0], n=1), donate_argnums=1
    )
    state = session.pure
    for t in range(50):
        state = counted({}, state, jnp.asarray(frames[t % 3], jnp.float32) / 127.5 - 1)
    assert int(state.index) == 50


def test_the_same_seed_gives_bit_identical_tracks_twice(tiny):
    settings = dataclasses.replace(SMALL, tune_first=1, tune_steps=1, trainable="low_rank")
    runs = [follow(Tracker(tiny, settings, seed=3), walk(3), [Box(40, 30, 72, 54)]) for _ in range(2)]
    for a, b in zip(*runs):
        np.testing.assert_array_equal(a.box, b.box)
        np.testing.assert_array_equal(a.score, b.score)


def test_jit_equals_no_jit():
    frames = walk(2)
    track = Tracker(oracle(), SMALL)
    state = track.init(frames[0], [Box(40, 30, 72, 54)]).pure
    frame = jnp.asarray(frames[1], jnp.float32) / 127.5 - 1
    jitted = jax.jit(lambda s, f: tracker.step(track.backbone, SMALL, {}, s, f)[1])(state, frame)
    with jax.disable_jit():
        plain = tracker.step(track.backbone, SMALL, {}, state, frame)[1]
    chex.assert_trees_all_close(jitted, plain, atol=2e-2)


@pytest.mark.parametrize("operator", ["offset", "destination", "start", "blend"])
def test_parallel_and_sequential_read_the_same_under_an_exact_network(operator):
    first, second = (jnp.asarray(f, jnp.float32) / 127.5 - 1 for f in walk(2, 64, 64))
    backbone = oracle(end=second)
    key = processes.remember(backbone, {}, SMALL, first)
    cells = jnp.ones((1, 64, 1)), jnp.zeros((1, 64, 1, 2))
    memory = processes.Memory(jax.tree.map(lambda a: a[None], key), *cells, first[None], jnp.ones((1, 64, 64, 1)))
    read = lambda order: processes.read(
        backbone,
        {},
        dataclasses.replace(SMALL, order=order, operator=operator, steps=10, interval=(0.1, 0.8), samples=0),
        first,
        second,
        memory,
        None,
        jax.random.key(0),
    )
    chex.assert_trees_all_close(read("parallel"), read("sequential"), atol=1e-5)


def test_label_propagation_is_a_fixed_point_on_a_still_video():
    frames = walk(4, dx=0, dy=0)
    settings = dataclasses.replace(SMALL, process="label_propagation", top_k=1)
    out = follow(Tracker(oracle(), settings), frames, [Box(40, 30, 72, 54), Point(60, 40)])
    for prediction in out[1:]:
        np.testing.assert_allclose(prediction.box, out[0].box, atol=0.5)


@pytest.mark.parametrize(
    "changes",
    [
        dict(process="reconstruction"),
        dict(process="reconstruction", order="sequential", steps=3, interval=(0.3, 1.0)),
        dict(process="label_propagation"),
        dict(order="sequential", steps=3, interval=(0.3, 1.0), beta=2),
        dict(window="frame", radius=3.0, pixels=True),
        dict(tune_first=1, tune_steps=1, trainable="attention"),
    ],
    ids=["reconstruction", "reconstruction-chain", "labels", "chain", "frame", "tuned"],
)
def test_every_process_runs_behind_the_same_interface(tiny, changes):
    settings = dataclasses.replace(SMALL, **dict(pixels=False) | changes)
    out = follow(Tracker(tiny, settings), walk(3), [Box(40, 30, 72, 54), Point(60, 40)])
    assert len(out) == 3
    assert np.isfinite(np.stack([p.box for p in out])).all()


def test_isolated_targets_do_not_feel_each_other():
    frames = walk(3)
    alone = follow(Tracker(oracle(), SMALL), frames, [Point(60, 40)])
    among = follow(Tracker(oracle(), SMALL), frames, [Point(60, 40), Point(30, 50)])
    np.testing.assert_allclose(among[-1].point[0], alone[-1].point[0], atol=1e-4)


def test_what_is_lost_is_looked_for_in_a_wider_window_and_a_point_in_its_own():
    """Coarser cells would lose what is thin."""
    track, frame = Tracker(oracle(), dataclasses.replace(SMALL, point_side=0.3)), walk(1)[0]
    for target, wider in ((Box(40, 30, 70, 60), 1.5), (Point(50, 40), 1.0)):
        seen = jax.tree.map(lambda a: a[0], track.init(frame, [target]).pure.targets)
        sides = []
        for visible in (seen.visible, ~seen.visible):
            window = tracker._window(track.settings, frame.shape[:2], seen._replace(visible=visible))
            sides.append(window[2:] - window[:2])
        np.testing.assert_allclose(sides[1], wider * sides[0], rtol=1e-6)


def test_targets_join_and_leave_and_ids_are_never_reused():
    frames = walk(4, dx=0, dy=0)
    track = Tracker(oracle(), SMALL)
    session = track.init(frames[0], [Box(40, 30, 72, 54)])
    session, _ = track.step(session, frames[1])
    session = track.add(session, frames[1], Point(70, 50))
    session, prediction = track.step(session, frames[2])
    assert prediction.id.tolist() == [1, 2]
    np.testing.assert_allclose(prediction.point[1], [70, 50], atol=1.5)
    session = track.remove(session, 1)
    session = track.add(session, frames[2], Point(50, 50))
    session, prediction = track.step(session, frames[3])
    assert sorted(prediction.id.tolist()) == [2, 3]
    with pytest.raises(UserError, match="not being followed"):
        track.remove(session, 1)


def test_targets_join_one_window_too_and_are_followed_from_there():
    frames = walk(5, dx=8, dy=0)
    track = Tracker(oracle(), dataclasses.replace(SMALL, window="frame", size=128))
    session = track.init(frames[0], [Box(24, 24, 56, 48)])
    session, _ = track.step(session, frames[1])
    for target in (Point(60, 44), Box(72, 40, 96, 72)):
        session = track.add(session, frames[1], target)
    session, _ = track.step(session, frames[2])
    session, prediction = track.step(session, frames[3])
    assert prediction.id.tolist() == [1, 2, 3]
    np.testing.assert_allclose(prediction.point[1], [76, 44], atol=2.0)
    assert iou(prediction.box[2], np.array([88, 40, 112, 72], np.float32)) > 0.8


def test_a_corrected_box_goes_on_from_its_new_place():
    frames = walk(3, dx=0, dy=0)
    track = Tracker(oracle(), SMALL)
    session = track.init(frames[0], [Box(40, 30, 72, 54)])
    session = track.move(session, {1: np.array([44, 34, 76, 58])})
    np.testing.assert_allclose(track.predict(session).box[0], [44, 34, 76, 58])
    session, prediction = track.step(session, frames[1])
    assert iou(prediction.box[0], np.array([44, 34, 76, 58], np.float32)) > 0.7


@pytest.mark.parametrize("window", ["target", "frame"])
def test_the_joints_of_a_pose_share_one_identity_and_move_with_the_body(window):
    frames = walk(3, dx=8, dy=0)
    joints = np.array([[40, 40, 1], [56, 44, 1], [48, 60, 1], [0, 0, 0]], np.float32)
    settings = dataclasses.replace(SMALL, window=window, size=128)
    out = follow(Tracker(oracle(), settings), frames, [Pose(joints), Point(90, 50)])
    assert out[-1].id.tolist() == [1, 2]
    assert out[-1].kind == ("pose", "point")
    pose = out[-1].pose[0]
    np.testing.assert_allclose(pose[:3, :2], joints[:3, :2] + [[16, 0]], atol=3.5)
    assert pose[:, 2].tolist() == [1, 1, 1, 0]
    assert np.isnan(pose[3, :2]).all()


@pytest.mark.parametrize(
    ("target", "says"),
    [
        (Box(10, 10, 10, 20), "x0 < x1"),
        (Box(200, 10, 210, 20), "outside"),
        (Box(float("nan"), 10, 210, 20), "not finite"),
        (Point(-1, 5), "outside"),
        (Segment(np.zeros((96, 128), bool)), "empty"),
        (Segment(np.ones((5, 5), bool)), "5x5 but the video is 128x96"),
        (Pose(np.array([[5.0, 5.0, 0.0]])), "no joint is visible"),
        (Pose(np.array([[500.0, 5.0, 1.0]])), "outside"),
        (Pose(np.array([[np.nan, 5.0, 1.0]])), "not finite"),
    ],
)
def test_a_target_that_is_not_in_the_frame_is_refused_in_one_line(target, says):
    with pytest.raises(UserError, match=says) as error:
        Tracker(oracle(), SMALL).init(colourful(96, 128), [target])
    assert "\n" not in str(error.value)


def test_a_frame_of_another_size_is_refused():
    track = Tracker(oracle(), SMALL)
    session = track.init(colourful(96, 128), [Point(5, 5)])
    with pytest.raises(UserError, match="after frames of 128x96"):
        track.step(session, colourful(64, 64))


def test_the_paper_preset_is_the_papers():
    paper = PRESETS["paper"]
    assert paper.steps == 50
    assert paper.beta == 4
    assert paper.ks == tuple(range(1, 41))  # k in [1, 0.8 T]
    assert (paper.tune_first, paper.tune_steps, paper.tune_rate) == (500, 1, 3e-5)
