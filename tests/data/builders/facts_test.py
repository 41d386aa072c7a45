"""What the official files mean, benchmark by benchmark: indices, halves, flags, splits, projections."""

import json

import numpy as np
import pytest
from PIL import Image

from difftrack_jax.data import registry
from difftrack_jax.data.builders import lasot, nuscenes
from difftrack_jax.data.formats import nuscenes as projection
from difftrack_jax.data.formats import rle
from difftrack_jax.errors import UserError

from .layouts import H, T, W, images, make, text


def clip(tmp_path, name, split, sequence):
    return registry.benchmark(name, make(name, tmp_path)).read(split, sequence)


def test_davis_2016_merges_what_2017_tells_apart(tmp_path):
    one = clip(tmp_path / "a", "davis2016", "val", "bear")
    two = clip(tmp_path / "b", "davis2017", "val", "bear")
    assert set(one.rows.id) == {1}
    assert set(two.rows.id) == {1, 2}
    for frame in range(T):
        both = rle.merge(two.rows.in_frame(frame).segment, (H, W))
        assert one.rows.in_frame(frame).segment.tolist() == [both]


def test_davis_must_annotate_every_frame(tmp_path):
    root = make("davis2017", tmp_path)
    (root / "Annotations/480p/bear/00001.png").unlink()
    with pytest.raises(UserError, match=r"Annotations/480p/bear: speaks of 2 frames, but there are 3 images"):
        registry.benchmark("davis2017", root).read("val", "bear")


def test_mot_boxes_begin_at_pixel_one_and_distractors_are_ignored(tmp_path):
    found = clip(tmp_path, "mot17", "train", "MOT17-04-FRCNN")
    np.testing.assert_array_equal(found.rows.box[0], [2, 3, 7, 5])
    assert found.rows.ignore.tolist() == [False, False, True]
    assert found.extra == ("visibility",)
    assert found.rows.extra[:, 0].tolist() == [0.5, 1, 0.25]
    assert found.detections.frame.tolist() == [0, 0, 2]
    assert found.detections.score.tolist() == [0.9, -0.1, 0.7]
    assert (found.fps, found.frame_ids.tolist()) == (14.0, [1, 2, 3])


def test_the_second_half_of_mot17_is_numbered_from_one(tmp_path, rng):
    folder = tmp_path / "train/MOT17-09-FRCNN"
    images(folder / "img1", rng, count=266)
    names = ("imDir=img1", "imExt=.jpg", "seqLength=266", f"imWidth={W}", f"imHeight={H}", "name=x", "frameRate=30")
    text(folder / "seqinfo.ini", "[Sequence]\n" + "\n".join(names))
    text(folder / "gt/gt.txt", "".join(f"{frame},1,1,1,2,2,1,1,1\n" for frame in (263, 264, 266)))
    benchmark = registry.benchmark("mot17", tmp_path)
    second, first = (benchmark.read(split, "MOT17-09-FRCNN") for split in ("val_half", "train_half"))
    assert len(first.frames) == 263
    assert len(second.frames) == 3
    assert second.frames.paths[0].endswith("000264.jpg")
    assert second.rows.frame.tolist() == [0, 2]
    assert second.frame_ids.tolist() == [1, 2, 3]
    assert first.rows.frame.tolist() == [262]


def test_a_sequence_that_lacks_an_image_says_so(tmp_path):
    root = make("mot17", tmp_path)
    (root / "train/MOT17-04-FRCNN/img1/000002.jpg").unlink()
    with pytest.raises(UserError, match=r"img1: holds 2 images, but 3 frames are listed"):
        registry.benchmark("mot17", root).read("train", "MOT17-04-FRCNN")


def test_kitti_mots_reads_text_and_pictures_alike(tmp_path):
    from_text = clip(tmp_path / "a", "kitti_mots", "val", "0002")
    from_pictures = clip(tmp_path / "b", "kitti_mots", "val", "0016")
    assert from_text.rows.ignore.sum() == 1
    kept = from_text.rows.take(~from_text.rows.ignore)
    assert kept.segment.tolist() == from_pictures.rows.segment.tolist()
    assert from_pictures.rows.category.tolist() == [1, 2] * T
    assert from_pictures.rows.id.tolist() == [1001, 2005] * T


def test_masks_of_another_size_than_the_frames_are_refused(tmp_path, rng):
    root = make("mots20", tmp_path)
    text(root / "train/MOTS20-02/gt/gt.txt", f"1 2001 2 5 5 {rle.encode(np.ones((5, 5), bool))}\n")
    with pytest.raises(UserError, match=r"gt\.txt: masks of 5x5 for frames of 12x10"):
        registry.benchmark("mots20", root).read("train", "MOTS20-02")


def test_kitti_ignores_what_nobody_cares_for(tmp_path):
    found = clip(tmp_path, "kitti", "training", "0000")
    assert found.rows.ignore.tolist() == [False] * T + [True]
    np.testing.assert_array_equal(found.rows.box[0], [1, 2, 7, 8])  # corners, from 0
    assert registry.benchmark("kitti", tmp_path).names("val") == ["0002"]


def test_lasot_knows_when_the_target_is_absent_and_what_it_is(tmp_path):
    found = clip(tmp_path, "lasot", "test", "airplane-1")
    assert found.rows.visible.tolist() == [True, False, True]
    assert found.captions == ((0, "a white thing on the left"),)
    np.testing.assert_array_equal(found.rows.box[1], [2, 2, 6, 7])


def test_lasot_has_four_test_videos_of_seventy_classes(shared):
    names = lasot.published_test()
    assert len(names) == len(set(names)) == 280
    assert len({name.rpartition("-")[0] for name in names}) == 70
    listed = shared("data/lasot_annos/sequence_evaluation_config/testing_set.txt").read_text().split()
    assert set(listed) == set(names)


def test_a_part_of_a_published_list_runs(tmp_path):
    root = make("lasot", tmp_path)
    (root / "testing_set.txt").unlink()
    assert registry.benchmark("lasot", root).names("test") == ["airplane-1", "zebra-17"]
    assert registry.benchmark("lasot", root).names("all") == ["airplane-1", "zebra-17"]
    with pytest.raises(UserError, match="holds no sequence of split train"):
        registry.benchmark("lasot", root).names("train")


def test_got10k_hides_targets_and_test_truth(tmp_path):
    benchmark = registry.benchmark("got10k", make("got10k", tmp_path))
    found = benchmark.read("val", "GOT-10k_Val_000001")
    assert found.rows.visible.tolist() == [True, False, False]  # cover 0, absence 1
    assert found.captions == ((0, "anteater"),)
    test = benchmark.read("test", "GOT-10k_Test_000001")
    assert test.labelled.tolist() == [True, False, False]
    assert test.rows.count == 1


def test_otb_sequences_with_a_span(tmp_path, rng):
    images(tmp_path / "Diving/img", rng, "{:04d}.jpg", count=220)
    text(tmp_path / "Diving/groundtruth_rect.txt", "1,1,4,5\n" * 215)
    found = registry.benchmark("otb", tmp_path).read("all", "Diving")
    assert len(found.frames) == 215
    text(tmp_path / "Diving/groundtruth_rect.txt", "1,1,4,5\n" * 214)
    with pytest.raises(UserError, match=r"groundtruth_rect\.txt: speaks of 214 frames, but there are 215 images"):
        registry.benchmark("otb", tmp_path).read("all", "Diving")


def test_vot_boxes_enclose_polygons(tmp_path):
    found = clip(tmp_path, "vot", "all", "bag")
    np.testing.assert_array_equal(found.rows.box[0], [0, 0, 6, 8])
    assert found.rows.keypoints[0, :, 2].tolist() == [1, 1, 1, 1]


def test_posetrack_frames_without_labels_and_regions(tmp_path):
    found = clip(tmp_path, "posetrack21", "val", "000342_mpii_test")
    assert found.labelled.tolist() == [True, True, False]
    people, regions = found.rows.take(~found.rows.ignore), found.rows.take(found.rows.ignore)
    assert people.frame.tolist() == [0, 1]
    assert (people.keypoints[0, 3:5] == 0).all()
    np.testing.assert_array_equal(people.extra[0], [2, 2, 5, 5])  # the head
    assert (regions.frame.tolist(), regions.id.tolist()) == ([1], [-1])
    assert rle.areas(regions.segment, (H, W)).tolist() == [16]


def test_youtube_vis_targets_may_be_absent(tmp_path):
    found = clip(tmp_path, "youtube_vis_2019", "val", "0043f083b5")
    assert found.rows.take(found.rows.id == 2).frame.tolist() == [0, 2]
    assert found.rows.take(found.rows.id == 3).frame.tolist() == [0, 1, 2]
    assert registry.find("youtube_vis_2019").categories[found.rows.category[0] - 1] == "lizard"


def test_referred_targets_come_and_go(tmp_path):
    found = clip(tmp_path, "refer_kitti", "test", "0005+cars-in-black")
    assert list(zip(found.rows.frame, found.rows.id)) == [(0, 1), (2, 1)]
    np.testing.assert_allclose(found.rows.box[0], [0.1 * W, 0.2 * H, 0.4 * W, 0.6 * H])
    assert found.captions == ((0, "cars in black"),)


def test_groot_captions_belong_to_targets(tmp_path):
    found = clip(tmp_path, "groot", "train", "MOT17-04")
    assert found.captions == ((4, "a man"),)
    np.testing.assert_array_equal(found.rows.box[0], [1, 2, 5, 7])


@pytest.mark.parametrize("name", ["tapvid_davis", "tapvid_kinetics"])
def test_points_are_pixels_of_the_frame(tmp_path, name):
    sequence = {"tapvid_davis": "goat", "tapvid_kinetics": "0001_0000"}[name]
    found = clip(tmp_path, name, "test", sequence)
    assert found.rows.count == 4 * T
    point = found.rows.keypoints[:, 0, :2]
    assert (point >= 0).all()
    assert (point <= [W, H]).all()
    np.testing.assert_array_equal(found.rows.keypoints[:, 0, 2] > 0, found.rows.visible)


def test_a_pickle_that_is_a_program_is_not_run(tmp_path):
    import pickle

    class Evil:
        def __reduce__(self):
            return (print, ("run",))

    (tmp_path / "tapvid_davis.pkl").write_bytes(pickle.dumps({"x": Evil()}))
    with pytest.raises(UserError, match=r"tapvid_davis\.pkl: refused, its pickle calls builtins\.print"):
        registry.benchmark("tapvid_davis", tmp_path).names("test")


def test_nuscenes_splits_have_the_published_sizes():
    val = nuscenes.scene_names(nuscenes.VAL)
    assert len(val) == 150
    assert {"scene-0003", "scene-1073"} <= val


def test_what_the_camera_sees_of_a_car_ahead(tmp_path):
    found = clip(tmp_path, "nuscenes", "mini_val", "scene-0103")
    # By time, the second shot comes first; the pedestrian behind and the animal are left out.
    assert found.frames.paths == ("samples/CAM_FRONT/1.jpg", "samples/CAM_FRONT/0.jpg")
    assert found.rows.frame.tolist() == [0, 1]
    assert {registry.find("nuscenes").categories[i - 1] for i in found.rows.category} == {"car"}
    # 12 m ahead of the first pose, 2 wide, 1 high, 4 long: the near face at 10 m, f = 100, centre (80, 45).
    np.testing.assert_allclose(found.rows.box[1], [80 - 10, 45 - 5, 80 + 10, 45 + 5])
    np.testing.assert_allclose(found.rows.box[0], [80 - 100 / 9, 45 - 50 / 9, 80 + 100 / 9, 45 + 50 / 9])
    assert found.captions == ((0, "Parked truck, rain"),)


def test_rotations_turn_as_quaternions_do(rng):
    q = rng.standard_normal(4).tolist()
    matrix = projection.rotation(q)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(matrix) == pytest.approx(1)
    quarter = [np.sqrt(0.5), 0, 0, np.sqrt(0.5)]  # about z
    np.testing.assert_allclose(projection.rotation(quarter) @ [1, 0, 0], [0, 1, 0], atol=1e-12)


def test_a_box_half_out_of_the_picture_is_cut(rng):
    eye = np.eye(3).tolist()
    square = np.array([[x, y, 1.0] for x in (-5, 3) for y in (2, 4)])
    np.testing.assert_allclose(projection.image_box(square, eye, (10, 10)), [0, 2, 3, 4])
    assert projection.image_box(square - [10, 0, 0], eye, (10, 10)) is None  # beside it
    assert projection.image_box(square * [1, 1, -1], eye, (10, 10)) is None  # behind the camera
    # A triangle's hull, cut by the left edge: wherever the edge crosses it counts, not its corners.
    triangle = np.array([[-4.0, 0, 1], [4, 8, 1], [4, 0, 1]])
    np.testing.assert_allclose(projection.image_box(triangle, eye, (10, 10)), [0, 0, 4, 8])


def test_prepared_images_of_pickles_keep_jpeg_bytes(tmp_path):
    found = clip(tmp_path, "tapvid_kinetics", "test", "0000_0000")
    assert found.frames.encoded[0][:2] == b"\xff\xd8"
    assert found.frames[0].shape == (H, W, 3)


def test_json_is_checked_entry_by_entry(tmp_path):
    root = make("youtube_vis_2019", tmp_path)
    path = root / "instances_val_sub.json"
    data = json.loads(path.read_text())
    del data["videos"][1]["width"]
    path.write_text(json.dumps(data))
    with pytest.raises(UserError, match=r"instances_val_sub\.json: videos\[1\] has no 'width'"):
        registry.benchmark("youtube_vis_2019", root).names("val")


def test_real_folders(shared):
    """The clips beside the project, read through the same builders."""
    wanted = {
        "davis2017": ("davis", "val", "kite-surf", 50, 139),  # the kite is out of sight at times
        "davis2016": ("davis", "val", "dog", 60, 60),
        "mot17": ("mot17", "train", "MOT17-04-FRCNN", 8, 792),
        "otb": ("otb", "all", "DragonBaby", 90, 90),
        "vot": ("vot", "all", "bag", 196, 196),
        "posetrack21": ("posetrack_bonn", "val", "900001_bonn_val", 20, 80),
    }
    for name, (folder, split, sequence, frames, rows) in wanted.items():
        benchmark = registry.benchmark(name, shared(f"data/{folder}"))
        assert sequence in benchmark.names(split)
        found = benchmark.read(split, sequence)
        assert len(found.frames) == frames
        assert found.rows.count == rows
        with Image.open(found.frames.root / found.frames.paths[0]) as image:
            assert image.size == (found.width, found.height)
