"""What is written is what was tracked, whatever interrupts the writing."""

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from difftrack_jax.errors import UserError
from difftrack_jax.typing import Prediction
from difftrack_jax.visualize import export, segments

VIDEO = {"path": "clip.mp4", "width": 12, "height": 10, "fps": 25.0}
KINDS = ("point", "box", "segment", "pose", "text")


def prediction(rng, frame, visible=True):
    n = len(KINDS)
    low = rng.uniform(0, 5, (n, 2))
    return Prediction(
        frame=frame,
        id=np.arange(1, n + 1),
        kind=KINDS,
        point=rng.uniform(0, 10, (n, 2)),
        box=np.concatenate([low, low + rng.uniform(1, 5, (n, 2))], axis=1),
        segment=(None, None, rng.random((10, 12)) > 0.5, None, None),
        pose=(None, None, None, rng.uniform(0, 10, (3, 3)).round(), None),
        visible=np.array([True, visible, True, True, True]),
        score=rng.random(n),
    )


@pytest.fixture
def predictions(rng):
    return [prediction(rng, frame, visible=frame != 1) for frame in range(6)]


def written(folder, predictions):
    writer = export.TrackWriter(folder, VIDEO)
    for item in predictions:
        writer.append(item)
    return writer.finish()


def test_tracks_come_back_to_a_hundredth_of_a_pixel(tmp_path, predictions):
    header, read = export.read_tracks(written(tmp_path, predictions))
    assert header["video"] == {**VIDEO, "frames": 6}
    assert header["targets"] == [{"id": i + 1, "kind": kind, "start": 0} for i, kind in enumerate(KINDS)]
    assert [item.frame for item in read] == list(range(6))
    for got, want in zip(read, predictions):
        assert got.kind == want.kind
        np.testing.assert_array_equal(got.id, want.id)
        np.testing.assert_array_equal(got.visible, want.visible)
        np.testing.assert_allclose(got.point, want.point, atol=0.0051)
        np.testing.assert_allclose(got.box[1:], want.box[1:], atol=0.0051)
        assert np.isnan(got.box[0]).all()  # A point has no box.
        np.testing.assert_allclose(got.score, want.score, atol=0.000051)
        np.testing.assert_array_equal(got.segment[2], want.segment[2])
        np.testing.assert_array_equal(got.pose[3], want.pose[3])
        assert got.segment[0] is got.pose[0] is None


def test_file_holds_what_the_contract_says(tmp_path, predictions):
    data = json.loads(written(tmp_path, predictions).read_text())
    assert list(data) == ["video", "targets", "frames"]
    keys = [set(target) - {"id", "visible", "score"} for target in data["frames"][0]["targets"]]
    assert keys == [
        {"point"},
        {"point", "box"},
        {"point", "box", "segment"},
        {"point", "box", "pose"},
        {"point", "box"},
    ]
    assert data["frames"][0]["targets"][2]["segment"]["size"] == [10, 12]
    assert not list(tmp_path.glob("*partial*"))


def test_what_is_not_finite_is_left_out(tmp_path, predictions):
    lost = predictions[0]._replace(box=np.full((5, 4), np.nan), point=np.full((5, 2), np.inf))
    text = written(tmp_path, [lost]).read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    assert np.isnan(export.read_tracks(tmp_path / "tracks.json")[1][0].box).all()


def test_resuming_after_a_torn_line_equals_never_stopping(tmp_path, predictions):
    whole = written(tmp_path / "whole", predictions).read_bytes()
    for done in (0, 3, 4):
        folder = tmp_path / f"torn{done}"
        killed = export.TrackWriter(folder, VIDEO)
        for item in predictions[:4]:
            killed.append(item)
        # No finish and no close: each line must already be in the file.
        with open(folder / "tracks.partial.jsonl", "ab") as file:
            file.write(b'{"frame":4,"targets":[{"id":1,"vis')
        again = export.TrackWriter(folder, VIDEO)
        assert again.recorded() == 4
        again.resume(done)
        for item in predictions[done:]:
            again.append(item)
        assert again.finish().read_bytes() == whole


def test_a_writer_that_does_not_resume_starts_anew(tmp_path, predictions):
    export.TrackWriter(tmp_path, VIDEO).append(predictions[0])
    assert len(export.read_tracks(written(tmp_path, predictions[:2]))[1]) == 2


def test_resuming_beyond_the_record_is_refused(tmp_path, predictions):
    export.TrackWriter(tmp_path, VIDEO).append(predictions[0])
    with pytest.raises(UserError, match=r"partial\.jsonl: holds 1 frames, 5 were expected"):
        export.TrackWriter(tmp_path, VIDEO).resume(5)


def test_targets_may_join_later_and_keep_a_start_that_was_given(tmp_path, predictions):
    def only(item, keep):
        fields = {name: getattr(item, name)[keep] for name in ("id", "point", "box", "visible", "score")}
        rest = {name: getattr(item, name)[keep] for name in ("kind", "segment", "pose")}
        return item._replace(**fields, **rest)

    writer = export.TrackWriter(tmp_path, VIDEO, [{"id": 1, "kind": "point", "start": 0}])
    writer.append(only(predictions[0], slice(0, 1)))
    writer.append(only(predictions[1], slice(0, 2)))
    header, _ = export.read_tracks(writer.finish())
    assert header["targets"] == [{"id": 1, "kind": "point", "start": 0}, {"id": 2, "kind": "box", "start": 1}]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("frames"), "the file has no 'frames'"),
        (
            lambda d: d["frames"][3]["targets"][1].update(box=[1, 2, 3]),
            r"frames\[3\].targets\[1\].box must be 4 numbers",
        ),
        (
            lambda d: d["frames"][0]["targets"][0].update(point=[1, "x"]),
            r"frames\[0\].*point\[1\] must be a number",
        ),
        (
            lambda d: d["frames"][0]["targets"][0].update(id=9),
            r"targets\[0\].id is 9, which the list of targets lacks",
        ),
        (lambda d: d["frames"][0]["targets"][0].update(visible=1), r"visible must be true or false, not 1"),
        (lambda d: d["frames"][0]["targets"][2]["segment"].update(counts="0"), r"segment is no COCO RLE"),
        (lambda d: d["targets"][0].update(kind="ghost"), r"targets\[0\].kind must be one of point, box"),
    ],
)
def test_reader_names_the_field_that_is_wrong(tmp_path, predictions, change, message):
    path = written(tmp_path, predictions)
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    with pytest.raises(UserError, match=message):
        export.read_tracks(path)


def test_reader_names_files_that_are_no_tracks(tmp_path):
    (tmp_path / "tracks.json").write_text('{"video": ')
    with pytest.raises(UserError, match=r"tracks\.json: is not JSON"):
        export.read_tracks(tmp_path / "tracks.json")
    with pytest.raises(UserError, match=r"none\.json: cannot be read"):
        export.read_tracks(tmp_path / "none.json")


def test_run_lengths_agree_with_pycocotools(rng):
    for density in (0.0, 0.02, 0.5, 0.98, 1.0):
        mask = rng.random((37, 53)) < density
        code = segments.encode_segment(mask)
        np.testing.assert_array_equal(segments.decode_segment(code), mask)
        theirs = coco.decode({**code, "counts": code["counts"].encode()})
        np.testing.assert_array_equal(segments.decode_segment(code), theirs == 1)


def test_long_runs_survive():
    mask = np.zeros((2000, 1500), bool)
    mask[3:1999, 700:900] = True
    np.testing.assert_array_equal(segments.decode_segment(segments.encode_segment(mask)), mask)


def test_mot_columns_worked_out_by_hand(tmp_path, predictions):
    boxes = predictions[0]._replace(
        frame=4, box=np.array([[0.0, 0, 1, 1], [0, 0, 10, 5], [2.5, 3, 4, 9], [1, 1, 2, 2], [7, 8, 9, 10]]),
        visible=np.array([True, True, True, False, True]), score=np.array([1, 0.5, 0.25, 1, 0.87654]),
    )  # fmt: skip
    export.write_mot(tmp_path / "tracks.txt", [boxes])
    # Frame 4 is the fifth. Target 1 is a point and target 4 cannot be seen.
    # The box from the corner (0, 0) to (10, 5) starts at pixel 1, 1 and is 10 wide and 5 high.
    assert (tmp_path / "tracks.txt").read_text().splitlines() == [
        "5,2,1.00,1.00,10.00,5.00,0.5000,-1,-1,-1",
        "5,3,3.50,4.00,1.50,6.00,0.2500,-1,-1,-1",
        "5,5,8.00,9.00,2.00,2.00,0.8765,-1,-1,-1",
    ]


def test_masks_are_indexed_pictures_with_the_palette_of_davis(tmp_path, rng):
    left, right = np.zeros((4, 6), bool), np.zeros((4, 6), bool)
    left[:, :4], right[:, 2:] = True, True
    both = Prediction(
        frame=7, id=np.array([1, 2]), kind=("segment",) * 2, point=np.zeros((2, 2)), box=np.zeros((2, 4)),
        segment=(left, right), pose=(None, None), visible=np.array([True, True]), score=np.array([0.9, 0.4]),
    )  # fmt: skip
    export.write_masks(tmp_path, [both, both._replace(frame=8, visible=np.array([False, True]))], (4, 6))
    with Image.open(tmp_path / "00007.png") as image:
        assert image.mode == "P"
        # The more certain target lies on top: columns 0-3 are hers.
        np.testing.assert_array_equal(np.asarray(image), np.tile([1, 1, 1, 1, 2, 2], (4, 1)))
        assert np.reshape(image.getpalette()[:12], (4, 3)).tolist() == [
            [0, 0, 0],
            [128, 0, 0],
            [0, 128, 0],
            [128, 128, 0],
        ]
    with Image.open(tmp_path / "00008.png") as image:
        np.testing.assert_array_equal(np.asarray(image), np.tile([0, 0, 2, 2, 2, 2], (4, 1)))
    with pytest.raises(UserError, match="target 2 has label 300"):
        export.write_masks(tmp_path, [both], (4, 6), labels={1: 1, 2: 300})


def test_atomic_write_leaves_all_or_nothing(tmp_path):
    path = tmp_path / "new" / "file.txt"
    with export.atomic_write(path) as temporary:
        temporary.write_text("old")
    with pytest.raises(IndexError), export.atomic_write(path) as temporary:
        temporary.write_text([][0])
    assert path.read_text() == "old"
    assert [file.name for file in path.parent.iterdir()] == ["file.txt"]


def test_a_disk_that_cannot_be_written_is_named(tmp_path, predictions):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"tracks\.partial\.jsonl: cannot be written"):
        export.TrackWriter(tmp_path / "file", VIDEO).append(predictions[0])
    with pytest.raises(UserError, match=r"tracks\.txt: cannot be written"):
        export.write_mot(tmp_path / "file" / "tracks.txt", predictions)


def test_rows_of_predictions_fit_every_format(tmp_path, predictions):
    from difftrack_jax.data.formats import davis, kitti, mots, rle

    rows = export.to_rows(predictions)
    assert rows.count == 6 * len(KINDS)
    assert rows.frame.tolist() == np.repeat(np.arange(6), len(KINDS)).tolist()
    np.testing.assert_array_equal(rows.box[:5], predictions[0].box)
    np.testing.assert_array_equal(rle.decode(rows.segment[2], (10, 12)), predictions[0].segment[2])
    np.testing.assert_array_equal(rows.keypoints[0, 0], [*predictions[0].point[0], 1])  # a point
    np.testing.assert_array_equal(rows.keypoints[3], predictions[0].pose[3])
    assert not rows.keypoints[1].any()  # a box
    assert rows.visible[6 * 1].tolist() is False  # as predicted in frame 1
    typed = rows._replace(category=np.full(rows.count, 2, np.int32))
    kitti.write(tmp_path / "a.txt", typed)
    assert kitti.read(tmp_path / "a.txt").count == rows.visible.sum()
    mots.write(tmp_path / "b.txt", typed, (10, 12), first=1)
    assert mots.read(tmp_path / "b.txt", 1)[0].segment.tolist() == [c for c in rows.segment if c]
    davis.write(tmp_path, rows, ["00000"], (10, 12))
    assert set(davis.read([tmp_path / "00000.png"]).id) == {3}
    assert export.to_rows([]).count == 0
