"""A video's tracks in every official format, and back."""

import numpy as np
import pytest

from difftrack_jax.data.formats import posetrack, rle
from difftrack_jax.data.records import make_rows
from difftrack_jax.errors import UserError
from difftrack_jax.visualize import exchange, export

H, W, T = 20, 32, 4
VIDEO = exchange.Video(W, H, T)
# What a format keeps of rows, and how many decimals of it.
KEPT = {
    "mot": ({"frame", "id", "box", "score"}, 0.0101),
    "mots": ({"frame", "id", "segment"}, 0),
    "kitti": ({"frame", "id", "box", "score"}, 1e-5),
    "davis": ({"frame", "id", "segment"}, 0),
    "boxes": ({"frame", "id", "box"}, 1e-4),
    "ytvis": ({"frame", "segment"}, 0),
    "poses": ({"frame", "id", "keypoints", "box", "score"}, 1.1e-3),
    "points": ({"frame", "id", "keypoints"}, 1e-4),
    "csv": ({"frame", "id", "box", "score", "visible"}, 6e-4),
}


def tracks(rng, joints=0):
    """Two targets in each frame, with boxes, disjoint masks, and joints."""
    n = 2 * T
    frame, target = np.repeat(np.arange(T), 2), np.tile([1, 2], T)
    low = np.stack([rng.uniform(0, 5, n) + 16 * (target - 1), rng.uniform(0, 5, n)], axis=1)
    box = np.concatenate([low, low + rng.uniform(3, 9, (n, 2))], axis=1)
    masks = np.zeros((n, H, W), bool)
    for mask, (x0, y0, x1, y1) in zip(masks, box.astype(int)):
        mask[y0:y1, x0:x1] = True
    keypoints = np.concatenate([rng.uniform(1, 19, (n, joints, 2)), np.ones((n, joints, 1))], axis=2)
    score = rng.random(n).round(4)
    segments = [rle.encode(mask) for mask in masks]
    return make_rows(frame, id=target, box=box, segment=segments, score=score, keypoints=keypoints)


def test_every_format_is_listed_here():
    assert set(KEPT) == set(exchange.FORMATS)


@pytest.mark.parametrize("name", exchange.FORMATS)
def test_tracks_come_back(tmp_path, rng, name):
    rows = tracks(rng, {"poses": len(posetrack.JOINTS), "points": 1}.get(name, 0))
    path = exchange.write(name, tmp_path, rows, VIDEO)
    back = exchange.read(name, path, VIDEO)
    columns, tolerance = KEPT[name]
    for column in columns:
        got, want = getattr(back, column), getattr(rows, column)
        if column == "segment":
            assert got.tolist() == want.tolist()
        else:
            np.testing.assert_allclose(got, want, atol=tolerance, err_msg=column)
    # Written again, over the first, the bytes are the same.
    before = {p.name: p.read_bytes() for p in sorted(tmp_path.rglob("*")) if p.is_file()}
    exchange.write(name, tmp_path, rows, VIDEO)
    if name != "points":  # zip files hold the time
        assert {p.name: p.read_bytes() for p in sorted(tmp_path.rglob("*")) if p.is_file()} == before
    assert not list(tmp_path.rglob(".*partial*"))


@pytest.mark.parametrize("name", ["mot", "mots", "kitti", "davis", "ytvis"])
def test_what_cannot_be_seen_is_not_written(tmp_path, rng, name):
    rows = tracks(rng)
    hidden = rows._replace(visible=rows.id == 2)
    back = exchange.read(name, exchange.write(name, tmp_path, hidden, VIDEO), VIDEO)
    assert back.count == T
    assert len(set(back.id)) == 1


def test_a_target_that_joins_later_stands_still_before(tmp_path, rng):
    rows = tracks(rng)
    late = rows.take((rows.id == 1) | (rows.frame >= 2))
    back = exchange.read("boxes", exchange.write("boxes", tmp_path, late, VIDEO), VIDEO)
    mine = back.take(back.id == 2)
    np.testing.assert_array_equal(mine.box[0], mine.box[2])
    assert mine.count == T


def test_joints_must_be_posetracks(tmp_path, rng):
    with pytest.raises(UserError, match="people have 17 joints, these have 5"):
        exchange.write("poses", tmp_path, tracks(rng, 5), VIDEO)
    with pytest.raises(UserError, match="none of the targets is a point"):
        exchange.write("points", tmp_path, tracks(rng, 0), VIDEO)
    assert not list(tmp_path.iterdir())


def test_unknown_formats_are_answered_with_the_known(tmp_path, rng):
    with pytest.raises(UserError, match="format 'coco': unknown; known are mot, mots"):
        exchange.read("coco", tmp_path, VIDEO)
    (tmp_path / "a.csv").write_text("frame,id\n1,2\n")
    with pytest.raises(UserError, match=r"a\.csv: is not a table with the columns frame, id, visible"):
        exchange.read("csv", tmp_path / "a.csv", VIDEO)


def test_rows_become_predictions_and_rows_again(rng):
    rows = tracks(rng)
    predictions = list(exchange.predictions(rows, VIDEO, "segment"))
    assert [prediction.frame for prediction in predictions] == list(range(T))
    back = export.to_rows(predictions)
    for column in ("frame", "id", "box", "score", "visible", "segment"):
        np.testing.assert_array_equal(getattr(back, column), getattr(rows, column))
    points = list(exchange.predictions(tracks(rng, 1), VIDEO, "point"))
    assert points[0].point.shape == (2, 2)
