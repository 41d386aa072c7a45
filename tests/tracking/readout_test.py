import jax
import jax.numpy as jnp
import numpy as np
import pytest

from difftrack_jax.ops.sampling import cell_centres
from difftrack_jax.ops.windows import from_window
from difftrack_jax.tracking import readout, slots, tracker
from difftrack_jax.tracking.indicators import BOX, POINT, POSE, SEGMENT
from difftrack_jax.tracking.settings import Settings

GRID = (16, 16)
WINDOW = jnp.array([0.0, 0.0, 128.0, 128.0])  # 8 pixels a cell


def target(kind, anchor, size):
    """One slot whose mask says the whole box."""
    anchor, size = jnp.array([anchor], jnp.float32), jnp.array([size], jnp.float32)
    window = jnp.concatenate([anchor - size / 2, anchor + size / 2], axis=1)
    empty = jax.tree.map(lambda a: a[0], slots.empty(1, 1, 64))
    full = jnp.ones_like(empty.mask)
    yes = jnp.ones(1, bool)
    return empty._replace(
        kind=jnp.array([kind]), valid=yes, visible=yes, anchor=anchor, size=size, mask=full, mask_window=window
    )


def exact_matches(targets, shift, scale):
    """What an exact A_X carries when everything moves by p -> centre + scale (p - centre) + shift about the anchor."""
    p = from_window(cell_centres(*GRID), WINDOW, GRID)
    old = (p - targets.anchor - jnp.asarray([shift])) / scale + targets.anchor  # anchor [1, 2]
    u = (old - targets.anchor) / targets.size
    inside = jnp.max(jnp.abs(u), axis=-1) < 0.5
    bump = jnp.exp(-0.5 * jnp.sum(u**2, axis=-1) / 0.25**2) * inside
    return evidence(bump[:, None], u[None, :, None])


def evidence(share, votes=None, perfect=None, credit=None):
    """Of one reference and one target, in a window of 128 pixels."""
    votes = jnp.zeros((1, 256, 1, 2)) if votes is None else votes
    perfect = readout.concentration_of(share) if perfect is None else perfect
    masks, ones = jnp.repeat(jnp.repeat(share.reshape(16, 16, 1), 8, 0), 8, 1), jnp.ones((1, 256, 1))
    return readout.Evidence(share, votes, ones, ones if credit is None else credit, perfect, masks)


@pytest.mark.parametrize(("shift", "scale"), [((0.0, 0.0), 1.0), ((13.0, -7.0), 1.0), ((-9.0, 4.0), 1.08)])
def test_a_box_is_carried_along_exactly_by_exact_matches(shift, scale):
    before = target(BOX, (64.0, 60.0), (50.0, 36.0))
    after = readout.read(exact_matches(before, shift, scale), before, WINDOW, GRID, Settings(scale_rate=1.0))
    np.testing.assert_allclose(after.anchor[0], np.asarray(before.anchor[0]) + np.array(shift), atol=0.2)
    # The prior of one cell on the scale holds it back a little.
    np.testing.assert_allclose(after.size[0], np.asarray(before.size[0]) * scale, rtol=0.03)
    assert bool(after.visible[0])


@pytest.mark.parametrize("cell", [(0, 0), (7, 9), (15, 15)])
def test_a_map_that_is_a_delta_reads_out_its_own_cell(cell):
    row, column = cell
    before = target(POINT, (64.0, 60.0), (6.0, 6.0))
    share = jnp.zeros((16, 16)).at[row, column].set(1.0).reshape(256, 1)
    settings = Settings(point="soft_arg_max")
    after = readout.read(evidence(share, perfect=jnp.ones(1)), before, WINDOW, GRID, settings)
    np.testing.assert_allclose(after.anchor[0], [8 * (column + 0.5), 8 * (row + 0.5)], atol=1e-3)


def test_the_vote_places_a_point_between_cells():
    before = target(POINT, (61.0, 59.0), (6.0, 6.0))
    p = from_window(cell_centres(*GRID), WINDOW, GRID)
    moved = p - jnp.array([[5.0, 3.0]])
    u = (moved - before.anchor) / before.size
    share = jnp.exp(-0.5 * jnp.sum((u * 6.0) ** 2, axis=-1) / 8.0**2)[:, None]
    after = readout.read(evidence(share, u[None, :, None]), before, WINDOW, GRID, Settings())
    np.testing.assert_allclose(after.anchor[0], [66.0, 62.0], atol=0.2)


def test_a_point_goes_where_votes_lead_to_what_looks_like_it():
    """Every other row moved with the point, the rest with what is behind it, and they are as sure of it."""
    before = target(POINT, (61.0, 59.0), (6.0, 6.0))
    p = from_window(cell_centres(*GRID), WINDOW, GRID)
    mine = (jnp.arange(256) // 16 % 2 == 0)[:, None]
    moved = p - jnp.where(mine, jnp.array([[5.0, 3.0]]), jnp.array([[-7.0, 0.0]]))
    u = (moved - before.anchor) / before.size
    share = jnp.exp(-0.5 * jnp.sum((u * 6.0) ** 2, axis=-1) / 8.0**2)[:, None]
    credit = jnp.where(mine, 1.0, 0.02)[None]
    found = [
        readout.read(evidence(share, u[None, :, None], credit=c), before, WINDOW, GRID, Settings()).anchor[0]
        for c in (credit, None)
    ]
    np.testing.assert_allclose(found[0], [66.0, 62.0], atol=0.3)
    assert np.linalg.norm(np.asarray(found[1]) - [66.0, 62.0]) > 2


def test_a_frame_in_which_a_point_is_hidden_hardly_says_what_it_looks_like():
    """Votes that lead to what does not look like the point are those of what is in front of it."""
    before = target(POINT, (61.0, 59.0), (6.0, 6.0))
    p = from_window(cell_centres(*GRID), WINDOW, GRID)
    u = (p - before.anchor) / before.size
    share = jnp.exp(-0.5 * jnp.sum((u * 6.0) ** 2, axis=-1) / 8.0**2)[:, None]
    peak = {}
    for name, credit in (("seen", 1.0), ("hidden", 0.01)):
        matches = evidence(share, u[None, :, None], credit=jnp.full((1, 256, 1), credit))
        after = readout.read(matches, before, WINDOW, GRID, Settings())
        peak[name] = float(tracker.on_grid(after, WINDOW, GRID)[0].max())
    plain = float(tracker.on_grid(before, WINDOW, GRID)[0].max())
    np.testing.assert_allclose(peak["seen"], plain, rtol=0.01)
    assert 0 < peak["hidden"] < 0.3 * plain


@pytest.mark.parametrize("kind", [BOX, SEGMENT, POSE])
def test_only_the_kernels_of_lone_points_fade(kind):
    before = target(kind, (64.0, 60.0), (32.0, 32.0))
    nothing = evidence(jnp.zeros((256, 1)), perfect=jnp.ones(1))._replace(mass=jnp.zeros((1, 256, 1)))
    assert float(readout.read(nothing, before, WINDOW, GRID, Settings()).clear[0]) == 1.0


def test_a_segment_comes_back_as_the_pixels_that_claim_it():
    before = target(SEGMENT, (64.0, 64.0), (32.0, 32.0))
    share = jnp.zeros((16, 16)).at[5:9, 6:12].set(1.0)
    after = readout.read(evidence(share.reshape(256, 1), perfect=jnp.ones(1)), before, WINDOW, GRID, Settings())
    x0, y0, x1, y1 = 48.0, 40.0, 96.0, 72.0
    box = jnp.concatenate([after.anchor - after.size / 2, after.anchor + after.size / 2], axis=1)[0]
    np.testing.assert_allclose(box, [x0, y0, x1, y1], atol=3.0)
    whole = np.asarray(tracker.full_mask(after.mask[0], after.mask_window[0], (128, 128)))
    truth = np.zeros((128, 128), bool)
    truth[40:72, 48:96] = True
    assert (whole & truth).sum() / (whole | truth).sum() > 0.9


def test_a_target_nobody_claims_is_not_visible_and_stays_where_it_was():
    before = target(BOX, (64.0, 60.0), (50.0, 36.0))
    nothing = evidence(jnp.zeros((256, 1)), perfect=jnp.ones(1))
    after = readout.read(nothing._replace(mass=jnp.zeros((1, 256, 1))), before, WINDOW, GRID, Settings())
    assert not bool(after.visible[0])
    assert float(after.score[0]) == 0.0
    np.testing.assert_array_equal(after.anchor, before.anchor)


def test_background_that_stays_does_not_hold_back_a_box_that_moves():
    """Half of the cells under the kernel are background at rest; the other half moves by 24 pixels."""
    before = target(BOX, (64.0, 64.0), (64.0, 64.0))
    p = np.asarray(from_window(cell_centres(*GRID), WINDOW, GRID))
    object_ = np.abs(p - [[88.0, 64.0]]).max(-1) < 22  # its new place
    old = np.where(object_[:, None], p - [[24.0, 0.0]], p)
    u = jnp.asarray((old - 64.0) / 64.0, jnp.float32)
    share = jnp.exp(-0.5 * jnp.sum(u**2, axis=-1) / 0.25**2) * (jnp.max(jnp.abs(u), axis=-1) < 0.5)
    after = readout.read(evidence(share[:, None], u[None, :, None]), before, WINDOW, GRID, Settings())
    np.testing.assert_allclose(after.anchor[0], [88.0, 64.0], atol=3.0)


def test_a_reference_that_never_saw_a_target_says_nothing_of_it():
    """Half of every row falls on a reference in which the target is not marked: the share is that of the other half."""
    rows = jnp.full((4, 4), 0.25)
    kernels = jnp.stack([jnp.ones((2, 1)), jnp.zeros((2, 1))])
    late = readout.carry(rows, kernels, (1, 2))
    np.testing.assert_allclose(late.share, 1.0, rtol=1e-6)


@pytest.mark.parametrize(
    ("first", "later", "visible"), [(0.0, 0.0, True), (0.0, 60.0, True), (60.0, 60.0, False), (60.0, 0.0, False)]
)
def test_a_point_is_hidden_where_its_first_frame_has_its_surroundings_elsewhere(first, later, visible):
    """The last frame always matches, even an occluder, and so may later ones. A hidden point is followed, too."""
    before = target(POINT, (64.0, 60.0), (6.0, 6.0))
    p = from_window(cell_centres(*GRID), WINDOW, GRID)
    u = (p - before.anchor - jnp.array([[4.0, 0.0]])) / before.size
    share = jnp.exp(-0.5 * jnp.sum((u * 6.0) ** 2, axis=-1) / 8.0**2)[:, None]
    votes = jnp.stack([u + jnp.array([[away, 0.0]]) / 6.0 for away in (first, later, 0.0)])
    mass = jnp.tile(jnp.array([0.2, 0.2, 0.6]).reshape(3, 1, 1), (1, 256, 1))
    seen = evidence(share, votes[:, :, None])._replace(mass=mass)
    after = readout.read(seen, before, WINDOW, GRID, Settings())
    assert bool(after.visible[0]) is visible
    assert (float(after.score[0]) > 0.4) is visible
    np.testing.assert_allclose(after.anchor[0], [68.0, 60.0], atol=0.5)
