"""Masks in files: run lengths, MOTS text and pictures, DAVIS pictures, YouTube-VIS json."""

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from difftrack_jax.data.formats import davis, mots, rle, ytvis
from difftrack_jax.data.records import concatenate, make_rows
from difftrack_jax.errors import UserError

SIZE = (20, 30)


def blocks(rng, frames=3, targets=3):
    """Disjoint blocks: target i lives in its own columns."""
    parts = []
    for frame in range(frames):
        for target in range(targets):
            mask = np.zeros(SIZE, bool)
            top = int(rng.integers(0, 10))
            mask[top : top + 5, 10 * target : 10 * target + int(rng.integers(2, 9))] = True
            parts.append(make_rows([frame], id=[target + 1], category=[2], segment=[rle.encode(mask)]))
    rows = concatenate(parts)
    return rows._replace(box=rle.boxes_of(rows.segment, SIZE))


def same_rows(got, want, names):
    for name in names:
        np.testing.assert_array_equal(getattr(got, name), getattr(want, name), err_msg=name)


def test_run_lengths_agree_with_pycocotools(rng):
    for density in (0.0, 0.02, 0.5, 0.98, 1.0):
        mask = rng.random((37, 53)) < density
        counts = rle.encode(mask)
        np.testing.assert_array_equal(rle.decode(counts, mask.shape), mask)
        assert rle.areas([counts], mask.shape) == mask.sum()
        code = coco.decode({"size": list(mask.shape), "counts": counts.encode()})
        np.testing.assert_array_equal(code == 1, mask)


def test_many_masks_at_once(rng):
    # More than 255: pycocotools' own area of a list overflows there.
    masks = [rng.random((5, 6)) < 0.3 for _ in range(300)]
    counts = [rle.encode(mask) for mask in masks]
    np.testing.assert_array_equal(rle.areas(counts, (5, 6)), [mask.sum() for mask in masks])
    boxes = rle.boxes_of(counts, (5, 6))
    for mask, box in zip(masks, boxes):
        rows, columns = np.nonzero(mask)
        np.testing.assert_array_equal(box, [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


def test_runs_that_do_not_fill_the_frame_are_refused():
    with pytest.raises(ValueError, match="do not fill 4x4"):
        rle.decode(rle.encode(np.zeros((3, 3), bool)), (4, 4))


def test_uncompressed_runs_and_polygons():
    mask = np.zeros(SIZE, bool)
    mask[2:6, 3:9] = True
    runs = np.diff(np.flatnonzero(np.diff(np.concatenate([[2], mask.T.reshape(-1), [2]])) != 0)).tolist()
    assert rle.from_uncompressed(runs, SIZE) == rle.encode(mask)
    assert rle.from_polygon([3, 9, 9, 3], [2, 2, 6, 6], SIZE) == rle.encode(mask)
    right = np.roll(mask, 10, axis=1)
    both = rle.merge([rle.encode(mask), rle.encode(right)], SIZE)
    np.testing.assert_array_equal(rle.decode(both, SIZE), mask | right)


@pytest.mark.parametrize("first", [0, 1])
def test_mots_text_comes_back(tmp_path, rng, first):
    rows = blocks(rng)
    mots.write(tmp_path / "a.txt", rows, SIZE, first)
    read, size = mots.read(tmp_path / "a.txt", first)
    assert size == SIZE
    same_rows(read, rows, ("frame", "id", "category", "segment", "box"))
    assert (tmp_path / "a.txt").read_text().startswith(f"{first} 1 2 20 30 ")


def test_mots_masks_never_overlap(tmp_path):
    left, right = np.zeros(SIZE, bool), np.zeros(SIZE, bool)
    left[:, :20], right[:, 10:] = True, True
    counts = [rle.encode(left), rle.encode(right)]
    rows = make_rows([0, 0], id=[1, 2], category=[2, 2], score=[0.4, 0.9], segment=counts)
    mots.write(tmp_path / "a.txt", rows, SIZE, 1)
    read, _ = mots.read(tmp_path / "a.txt", 1)
    first, second = (rle.decode(counts, SIZE) for counts in read.segment)
    np.testing.assert_array_equal(second, right)  # the more certain one keeps the overlap
    np.testing.assert_array_equal(first, left & ~right)


def test_kitti_pictures_say_what_the_text_says(tmp_path, rng):
    rows = blocks(rng)._replace(id=np.tile([2001, 2002, 10000], 3), category=np.tile([2, 2, 10], 3).astype(np.int32))
    paths = []
    for frame in range(3):
        picture = np.zeros(SIZE, np.uint16)
        here = rows.in_frame(frame)
        for target, counts in zip(here.id, here.segment):
            picture[rle.decode(counts, SIZE)] = target
        paths.append(tmp_path / f"{frame:06d}.png")
        Image.fromarray(picture).save(paths[-1])
    read = mots.read_pictures(paths)
    same_rows(read, rows, ("frame", "id", "category", "segment", "box"))
    assert read.ignore.tolist() == [False, False, True] * 3


def test_mots_names_the_line_that_is_wrong(tmp_path):
    (tmp_path / "a.txt").write_text("1 2001 2 20 30 abc\n1 2001 2 20\n")
    with pytest.raises(UserError, match=r"a\.txt: line 2 is not 'frame id class"):
        mots.read(tmp_path / "a.txt", 1)


def test_davis_pictures_come_back(tmp_path, rng):
    rows = blocks(rng)
    davis.write(tmp_path, rows, ["00000", "00005", "00010"], SIZE)
    read = davis.read([tmp_path / f"{name}.png" for name in ("00000", "00005", "00010")])
    same_rows(read, rows, ("frame", "id", "segment", "box"))
    with Image.open(tmp_path / "00005.png") as image:
        assert image.mode == "P"
        assert image.getpalette()[3:9] == [128, 0, 0, 0, 128, 0]


def test_davis_2016_is_one_object_and_void_is_ignored(tmp_path):
    picture = np.zeros(SIZE, np.uint8)
    picture[:5], picture[10:] = 1, 255
    Image.fromarray(picture).save(tmp_path / "a.png")
    two = davis.read([None, tmp_path / "a.png"])
    assert two.frame.tolist() == [1, 1]
    assert two.id.tolist() == [1, 255]
    assert two.ignore.tolist() == [False, True]
    one = davis.read([tmp_path / "a.png"], single=True)
    assert one.id.tolist() == [1]
    assert rle.areas(one.segment, SIZE).tolist() == [15 * 30]


def test_real_davis_pictures(shared):
    folder = shared("data/davis/Annotations_unsupervised/480p/kite-surf")
    rows = davis.read(sorted(folder.glob("*.png"))[:2])
    assert rows.id.tolist() == [1, 2, 3, 1, 2, 3]


def ytvis_file(rows, length=3):
    def masks(target):
        track = rows.take(rows.id == target)
        found = dict(zip(track.frame.tolist(), track.segment))
        return [{"size": list(SIZE), "counts": found[f]} if f in found else None for f in range(length)]

    video = {"id": 4, "width": 30, "height": 20, "length": length, "file_names": [f"v/{i:05d}.jpg" for i in range(3)]}
    targets = [
        {"id": int(i), "video_id": 4, "category_id": 2, "iscrowd": int(i == 2), "segmentations": masks(i)}
        for i in np.unique(rows.id)
    ]
    return {"videos": [video], "annotations": targets, "categories": [{"id": 2, "name": "owl"}]}


def test_ytvis_truth_and_results(tmp_path, rng):
    rows = blocks(rng).take(np.arange(8))  # target 3 is absent from the last frame
    (tmp_path / "gt.json").write_text(json.dumps(ytvis_file(rows)))
    truth = ytvis.read_truth(tmp_path / "gt.json")
    assert truth.videos[0].name == "v"
    assert truth.categories == {2: "owl"}
    read = truth.rows[4].ordered()
    same_rows(read, rows, ("frame", "id", "category", "segment", "box"))
    assert set(read.id[read.ignore]) == {2}

    scored = rows._replace(score=np.full(8, 0.5))
    ytvis.write_results(tmp_path / "results.json", ytvis.results(4, scored, 3, SIZE))
    back = ytvis.read_results(tmp_path / "results.json", {4: SIZE})[4].ordered()
    same_rows(back, scored, ("frame", "id", "category", "segment", "box", "score"))


def test_ytvis_results_of_boxes_alone(tmp_path):
    rows = make_rows([0, 2], id=[1, 1], category=[3, 3], box=[[1, 2, 4, 8], [2, 2, 4, 8]], score=[0.5, 0.25])
    entries = ytvis.results(9, rows, 3, SIZE)
    assert entries == [{"video_id": 9, "category_id": 3, "score": 0.375, "bboxes": [[1, 2, 3, 6], None, [2, 2, 2, 6]]}]
    ytvis.write_results(tmp_path / "results.json", entries)
    np.testing.assert_array_equal(ytvis.read_results(tmp_path / "results.json", {9: SIZE})[9].box, rows.box)


def test_ytvis_names_the_entry_that_is_wrong(tmp_path, rng):
    data = ytvis_file(blocks(rng))
    del data["annotations"][1]["category_id"]
    (tmp_path / "gt.json").write_text(json.dumps(data))
    with pytest.raises(UserError, match=r"gt\.json: annotations\[1\] has no 'category_id'"):
        ytvis.read_truth(tmp_path / "gt.json")


def test_real_ytvis_files(shared):
    folder = shared("data/youtube_vis_derived")
    truth = ytvis.read_truth(folder / "instances_val_sub.json")
    sizes = {video.id: (video.height, video.width) for video in truth.videos}
    results = ytvis.read_results(folder / "results.json", sizes)
    assert [video.name for video in truth.videos] == ["blackswan", "dog", "horsejump-high", "kite-surf"]
    assert truth.rows[3].count == 20
    assert sum(rows.count for rows in results.values()) > 0
