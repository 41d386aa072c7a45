"""Batches: fixed shapes and honest masks, the same whatever was interrupted, every clip once over all hosts."""

import itertools
import json

import numpy as np
import pytest

pytest.importorskip("grain", reason="needs the extra `data`")

from difftrack_jax.data import loader, registry
from difftrack_jax.data.frames import ArrayFrames
from difftrack_jax.data.loader import Window
from difftrack_jax.data.records import make_clip, make_rows
from difftrack_jax.errors import UserError

from .builders.layouts import make


def clip(number, t=6, targets=2):
    """Frame f of clip i is filled with 10 i + f; target n covers columns n to n + 1 of 8, from frame n on."""
    pixels = np.broadcast_to((10 * number + np.arange(t, dtype=np.uint8))[:, None, None, None], (t, 4, 8, 3))
    frame, target = np.nonzero(np.arange(t)[:, None] >= np.arange(targets))
    box = np.stack([target, 0 * target, target + 1, 0 * target + 4], axis=1)
    rows = make_rows(frame, id=target + 1, category=target + 7, box=box)
    return make_clip(f"clip{number}", ArrayFrames(pixels), rows, captions=((0, f"number {number}"), (1, "one")))


CLIPS = [clip(number) for number in range(9)]
PLAIN = Window(frames=4, size=(8, 4), slots=3, random=False)


def taken(batches, count=None):
    return list(itertools.islice(iter(batches), count))


def test_shapes_masks_and_shares():
    (batch,) = taken(loader.batches(CLIPS[:2], PLAIN, 2, shuffle=False, epochs=1))
    assert batch.frames.shape == (2, 4, 4, 8, 3)
    assert batch.frames.dtype == np.uint8
    assert batch.frames[1, :, 0, 0, 0].tolist() == [10, 11, 12, 13]
    assert batch.present.all()
    assert batch.valid[0].tolist() == [[True, False, False]] + [[True, True, False]] * 3
    np.testing.assert_array_equal(batch.boxes[0, 1], [[0, 0, 0.125, 1], [0.125, 0, 0.25, 1], [0, 0, 0, 0]])
    assert batch.id[0].tolist() == [1, 2, 0]
    assert batch.category[0].tolist() == [7, 8, -1]
    assert batch.caption.tolist() == ["number 0", "number 1"]
    assert not batch.boxes[~batch.valid].any()


def test_a_short_clip_is_padded_and_says_so():
    window = PLAIN._replace(frames=8)
    (batch,) = taken(loader.batches([clip(3, t=5)], window, 1, epochs=1))
    assert batch.present[0].tolist() == [True] * 5 + [False] * 3
    assert batch.frames[0, 4:, 0, 0, 0].tolist() == [34] * 4
    assert not batch.valid[0, 5:].any()


def test_padding_slots_changes_nothing_else():
    narrow, wide = (taken(loader.batches(CLIPS, PLAIN._replace(slots=n), 3, seed=1, epochs=1)) for n in (2, 6))
    for a, b in zip(narrow, wide):
        np.testing.assert_array_equal(a.boxes, b.boxes[:, :, :2])
        np.testing.assert_array_equal(a.frames, b.frames)
        assert not b.valid[:, :, 2:].any()


def test_targets_without_a_slot_are_the_smallest():
    rows = make_rows([0, 0, 0], id=[1, 2, 3], box=[[0, 0, 1, 1], [0, 0, 4, 4], [0, 0, 2, 2]])
    one = make_clip("x", ArrayFrames(np.zeros((1, 4, 8, 3), np.uint8)), rows)
    _, _, ids, _ = loader.slots(one, np.array([0]), 2)
    assert ids.tolist() == [2, 3]


def test_a_mirrored_window_mirrors_its_boxes():
    rng = np.random.default_rng(0)
    pictures = np.zeros((1, 4, 8, 3), np.uint8)
    pictures[0, 1:3, 1:4] = 255
    one = make_clip("x", ArrayFrames(pictures), make_rows([0], id=[1], box=[[1, 1, 4, 3]]))
    seen = set()
    for _ in range(20):
        batch = loader.cut(one, Window(1, (8, 4), 1, flip=True), rng)
        x0, y0, x1, y1 = (batch.boxes[0, 0] * [8, 4, 8, 4]).astype(int)
        rows, columns = np.nonzero(batch.frames[0, ..., 0])
        assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (x0, y0, x1, y1)
        seen.add(x0)
    assert seen == {1, 4}


@pytest.mark.parametrize("stop", [0, 1, 3])
def test_resuming_equals_never_stopping(stop):
    make_batches = lambda threads: loader.batches(CLIPS, PLAIN._replace(random=True), 2, seed=5, threads=threads)
    whole = taken(make_batches(3), 7)
    first = iter(make_batches(3))
    for _ in range(stop):
        next(first)
    state = json.loads(json.dumps(first.get_state()))
    again = iter(make_batches(1))
    again.set_state(state)
    for want, got in zip(whole[stop:], itertools.islice(again, 7 - stop)):
        for a, b in zip(want, got):
            np.testing.assert_array_equal(a, b)


def test_hosts_share_every_epoch_without_overlap():
    seen = []
    for index in range(2):
        mine = taken(loader.batches(CLIPS, PLAIN, 2, seed=2, epochs=1, process=(index, 2)))
        assert len(mine) == 2  # as many on each: one clip of nine is left out
        seen += [name for batch in mine for name in batch.name.tolist()]
    assert len(set(seen)) == len(seen) == 8


def test_epochs_differ_and_seeds_repeat():
    order = lambda seed, count: [n for b in taken(loader.batches(CLIPS, PLAIN, 3, seed=seed), count) for n in b.name]
    two = order(4, 6)
    assert two == order(4, 6)
    assert two[:9] != two[9:]
    assert set(two[:9]) == set(two[9:]) == {c.name for c in CLIPS}


def test_too_few_clips_are_an_error():
    with pytest.raises(UserError, match="9 clips are too few for batches of 5 on each of 2 hosts"):
        loader.batches(CLIPS, PLAIN, 5, process=(0, 2))


def test_only_the_window_is_decoded():
    class Counting(ArrayFrames):
        reads = 0

        def __getitem__(self, index):
            Counting.reads += 1
            return super().__getitem__(index)

    one = CLIPS[0]._replace(frames=Counting(np.zeros((200, 4, 8, 3), np.uint8)))
    loader.cut(one, PLAIN._replace(random=True), np.random.default_rng(0))
    assert Counting.reads == PLAIN.frames


def test_official_and_prepared_folders_give_the_same(tmp_path):
    root = make("youtube_vis_2019", tmp_path / "official")
    built = registry.prepare("youtube_vis_2019", root, tmp_path / "prepared")
    window = Window(frames=2, size=(12, 10), slots=4)
    official, prepared = (
        taken(loader.batches(loader.clips("youtube_vis_2019", "val", folder), window, 2, epochs=2))
        for folder in (root, built.data_dir)
    )
    for want, got in zip(official, prepared):
        for a, b in zip(want, got):
            np.testing.assert_array_equal(a, b)
    assert len(official) == len(prepared) == 2
    root.rename(tmp_path / "moved")
    moved = loader.clips("youtube_vis_2019", "val", built.data_dir, media=str(tmp_path / "moved"))
    np.testing.assert_array_equal(taken(loader.batches(moved, window, 2, epochs=1))[0].frames, official[0].frames)
    with pytest.raises(UserError, match="has no split 'train'"):
        loader.clips("youtube_vis_2019", "train", built.data_dir)
