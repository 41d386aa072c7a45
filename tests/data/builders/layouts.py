"""Official folders in miniature, one function a benchmark: tiny sequences of random pixels, laid out as archives."""

import json
import pathlib
import pickle

import numpy as np
from PIL import Image

from difftrack_jax.data.formats import rle

W, H, T = 12, 10, 3


def images(folder, rng, pattern="{:06d}.jpg", first=1, count=T, size=(W, H)):
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(first, first + count):
        pixels = rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / pattern.format(index))


def text(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def masks(frame):
    """Two disjoint masks that walk."""
    left, right = np.zeros((H, W), bool), np.zeros((H, W), bool)
    left[1:4, frame : frame + 3], right[6:9, frame + 4 : frame + 7] = True, True
    return left, right


def picture(path, frame, values=(1, 2), dtype=np.uint8):
    path.parent.mkdir(parents=True, exist_ok=True)
    out = np.zeros((H, W), dtype)
    for value, mask in zip(values, masks(frame)):
        out[mask] = value
    Image.fromarray(out).save(path)


def seqinfo(folder, name):
    text(
        folder / "seqinfo.ini",
        f"[Sequence]\nname={name}\nimDir=img1\nframeRate=14\nseqLength={T}\nimWidth={W}\nimHeight={H}\nimExt=.jpg\n",
    )


def davis(root, rng, year="2017"):
    for name in ("bear", "camel"):
        images(root / "JPEGImages/480p" / name, rng, "{:05d}.jpg", first=0)
        for frame in range(T):
            values = (1, 2) if year == "2017" else (255, 255)
            picture(root / "Annotations/480p" / name / f"{frame:05d}.png", frame, values)
    lines = "bear\ncamel\n" if year == "2017" else "/JPEGImages/480p/bear/00000.jpg /A/480p/bear/00000.png\n" * T
    text(root / "ImageSets" / ("2017" if year == "2017" else "480p") / "val.txt", lines)


def davis2016(root, rng):
    davis(root, rng, "2016")


def motchallenge(root, rng, split="train", names=("MOT17-04-FRCNN", "MOT17-09-SDP"), detections=True, home=""):
    for name in names:
        folder = root / home / split / name
        images(folder / "img1", rng)
        seqinfo(folder, name)
        text(folder / "gt/gt.txt", "1,1,3,4,5,2,1,1,0.5\n2,1,4,4,5,2,1,1,1\n3,2,1,1,2,2,0,8,0.25\n")
        if detections:
            text(folder / "det/det.txt", "1,-1,3.5,4,5,2,0.9\n1,-1,1,1,2,2,-0.1\n3,-1,2,2,4,4,0.7\n")


def mot20(root, rng):
    motchallenge(root, rng, names=("MOT20-01", "MOT20-02"))


def dancetrack(root, rng):
    motchallenge(root, rng, "val", ("dancetrack0004", "dancetrack0005"), detections=False)


def rle_lines(first, ids=(2001, 2002), ignore=False):
    lines = []
    for frame in range(T):
        for target, mask in zip(ids, masks(frame)):
            lines.append(f"{frame + first} {target} {target // 1000} {H} {W} {rle.encode(mask)}\n")
    if ignore:
        corner = np.zeros((H, W), bool)
        corner[9:, 10:] = True
        lines.append(f"{first} 10000 10 {H} {W} {rle.encode(corner)}\n")
    return "".join(lines)


def mots20(root, rng):
    for name in ("MOTS20-02", "MOTS20-05"):
        images(root / "train" / name / "img1", rng)
        seqinfo(root / "train" / name, name)
        text(root / "train" / name / "gt/gt.txt", rle_lines(1, ignore=True))


def kitti_mots(root, rng):
    for name in ("0002", "0016"):
        images(root / "training/image_02" / name, rng, "{:06d}.png", first=0)
    text(root / "instances_txt/0002.txt", rle_lines(0, ignore=True))
    for frame in range(T):
        picture(root / "instances/0016" / f"{frame:06d}.png", frame, (1001, 2005), np.uint16)


def kitti(root, rng):
    line = "{} {} {} 0 1 -1.5 1 2 {} 8 1.5 1.6 3.9 1 2 3 -1.2\n"
    for name in ("0000", "0002"):
        images(root / "training/image_02" / name, rng, "{:06d}.png", first=0)
        rows = [line.format(frame, 4, "Car", 7 + frame) for frame in range(T)]
        text(root / f"training/label_02/{name}.txt", "".join(rows) + line.format(1, -1, "DontCare", 9))
    images(root / "testing/image_02/0001", rng, "{:06d}.png", first=0)


def box_lines(count=T):
    return "".join(f"{2 + frame},3,4,5\n" for frame in range(count))


def lasot(root, rng):
    for name in ("airplane-1", "zebra-17"):
        folder = root / name.rpartition("-")[0] / name
        images(folder / "img", rng, "{:08d}.jpg")
        text(folder / "groundtruth.txt", box_lines())
        text(folder / "full_occlusion.txt", "0,1,0")
        text(folder / "out_of_view.txt", "0,0,0")
        text(folder / "nlp.txt", "a white thing on the left\n")
    text(root / "testing_set.txt", "airplane-1\nzebra-17\n")


def got10k(root, rng):
    names = ("GOT-10k_Val_000001", "GOT-10k_Val_000002")
    for name in names:
        folder = root / "val" / name
        images(folder, rng, "{:08d}.jpg")
        text(folder / "groundtruth.txt", "2.0000,3.0000,4.0000,5.0000\n" * T)
        text(folder / "absence.label", "0\n0\n1\n")
        text(folder / "cover.label", "8\n0\n5\n")
        text(folder / "cut_by_image.label", "0\n0\n0\n")
        text(folder / "meta_info.ini", "[METAINFO]\nobject_class: anteater\nresolution: (12, 10)\n")
    text(root / "val/list.txt", "\n".join(names) + "\n")
    test = root / "test/GOT-10k_Test_000001"
    images(test, rng, "{:08d}.jpg")
    text(test / "groundtruth.txt", "2,3,4,5\n")
    text(root / "test/list.txt", "GOT-10k_Test_000001\n")


def otb(root, rng):
    images(root / "Basketball/img", rng, "{:04d}.jpg")
    text(root / "Basketball/groundtruth_rect.txt", box_lines())
    images(root / "Skating2/img", rng, "{:04d}.jpg")
    for number in (1, 2):
        text(root / f"Skating2/groundtruth_rect.{number}.txt", box_lines().replace(",", "\t"))


def vot(root, rng):
    images(root / "bag/color", rng, "{:08d}.jpg")
    text(root / "bag/groundtruth.txt", "3,1,7,5,3,9,1,5\n" * T)
    images(root / "ball", rng, "{:08d}.jpg")
    text(root / "ball/groundtruth.txt", box_lines())


def posetrack(root, rng, home="posetrack_data"):
    joints = rng.uniform(1, 9, (17, 3)).round(2)
    joints[:, 2] = 1
    joints[3:5] = 0
    for name in ("000342_mpii_test", "000522_mpii_test"):
        images(root / "images/val" / name, rng, "{:06d}.jpg", first=0)
        entries = [
            {
                "id": 10003420000 + frame, "frame_id": 10003420000 + frame, "vid_id": name[:6], "nframes": T,
                "file_name": f"images/val/{name}/{frame:06d}.jpg", "is_labeled": frame < 2,
                "ignore_regions_x": [[0, 4, 4, 0]] if frame == 1 else [],
                "ignore_regions_y": [[0, 0, 4, 4]] if frame == 1 else [],
            }
            for frame in range(T)
        ]  # fmt: skip
        people = [
            {
                "id": 1000342000000 + frame, "image_id": 10003420000 + frame, "track_id": 5, "person_id": 3,
                "category_id": 1, "keypoints": joints.reshape(-1).tolist(), "bbox": [1, 2, 6, 7], "scores": [],
                "bbox_head": [2, 2, 3, 3],
            }
            for frame in range(2)
        ]  # fmt: skip
        content = {"images": entries, "annotations": people, "categories": [{"id": 1, "name": "person"}]}
        text(root / home / "val" / f"{name}.json", json.dumps(content))


def posetrack18(root, rng):
    posetrack(root, rng, "annotations")


def youtube_vis(root, rng, file="instances_val_sub.json"):
    videos, annotations = [], []
    for number, name in enumerate(("0043f083b5", "0044fa5fba"), 1):
        images(root / "train/JPEGImages" / name, rng, "{:05d}.jpg", first=0)
        files = [f"{name}/{frame:05d}.jpg" for frame in range(T)]
        videos.append({"id": number, "width": W, "height": H, "length": T, "file_names": files})
        for target in range(2):
            codes = [{"size": [H, W], "counts": rle.encode(masks(frame)[target])} for frame in range(T)]
            codes[1] = codes[1] if target else None
            entry = {"id": 2 * number + target, "video_id": number, "category_id": 3, "iscrowd": 0}
            annotations.append({**entry, "segmentations": codes, "areas": [9, 9, 9]})
    content = {"videos": videos, "categories": [{"id": 3, "name": "lizard"}], "annotations": annotations}
    text(root / file, json.dumps(content))


def youtube_vis_2021(root, rng):
    youtube_vis(root, rng, "train/instances.json")


def entry(rng, jpeg=False):
    video = rng.integers(0, 255, (T, H, W, 3), dtype=np.uint8)
    if jpeg:
        import io

        files = [io.BytesIO() for _ in range(T)]
        for file, frame in zip(files, video):
            Image.fromarray(frame).save(file, "JPEG")
        video = [file.getvalue() for file in files]
    points = rng.random((4, T, 2), dtype=np.float32)
    return {"video": video, "points": points, "occluded": rng.random((4, T)) < 0.3}


def tapvid(root, rng, name="tapvid_davis"):
    root.mkdir(parents=True, exist_ok=True)
    videos = {"goat": entry(rng), "dogs-jump": entry(rng)}
    (root / f"{name}.pkl").write_bytes(pickle.dumps(videos if name == "tapvid_davis" else list(videos.values())))


def tapvid_rgb_stacking(root, rng):
    tapvid(root, rng, "tapvid_rgb_stacking")


def tapvid_kubric(root, rng):
    tapvid(root, rng, "tapvid_kubric")


def tapvid_kinetics(root, rng):
    root.mkdir(parents=True, exist_ok=True)
    for shard in range(2):
        (root / f"{shard:04d}_of_0002.pkl").write_bytes(pickle.dumps([entry(rng, jpeg=True)]))


def refer_kitti(root, rng):
    images(root / "KITTI/training/image_02/0005", rng, "{:06d}.png", first=0)
    for frame in range(T):
        lines = f"0 1 0.1 0.2 0.3 0.4\n1 2 0.5 0.5 0.2 {0.1 * (frame + 1):.1f}\n"
        text(root / f"KITTI/labels_with_ids/image_02/0005/{frame:06d}.txt", lines)
    for name, label in (("cars-in-black", {"0": [1], "2": [1]}), ("people", {"1": [2]})):
        content = {"label": label, "ignore": {}, "video_name": "0005", "sentence": name.replace("-", " ")}
        text(root / f"expression/0005/{name}.json", json.dumps(content))


def groot(root, rng):
    motchallenge(root, rng, home="MOT17", names=("MOT17-04-FRCNN",))
    names = [f"MOT17-04_{frame:06d}.jpg" for frame in range(1, T + 1)]
    content = {
        "images": [{"id": index, "file_name": name} for index, name in enumerate(names)],
        "annotations": [
            {"image_id": index, "track_id": 4, "category_id": 1, "bbox": [2, 3, 4, 5], "captions": ["a man", None]}
            for index in range(T)
        ],
    }
    text(root / "annotations/v1.0/mot17_train_coco.json", json.dumps(content))


def nuscenes(root, rng):
    """One scene, a camera along the ego's x: a car ahead, a pedestrian behind, an animal, which has no class."""
    size = (160, 90)
    images(root / "samples/CAM_FRONT", rng, "{:d}.jpg", first=0, count=2, size=size)
    look = [0.5, -0.5, 0.5, -0.5]  # camera z along ego x, camera x along -y, camera y along -z
    tables = {
        "scene": [{"token": "s", "name": "scene-0103", "description": "Parked truck, rain"}],
        "sample": [{"token": f"k{i}", "scene_token": "s"} for i in range(2)],
        "sensor": [{"token": "front", "channel": "CAM_FRONT"}, {"token": "back", "channel": "CAM_BACK"}],
        "calibrated_sensor": [
            {
                "token": f"c-{name}", "sensor_token": name, "translation": [0, 0, 1.5], "rotation": look,
                "camera_intrinsic": [[100, 0, 80], [0, 100, 45], [0, 0, 1]],
            }
            for name in ("front", "back")
        ],
        "ego_pose": [{"token": f"e{i}", "translation": [i, 0, 0], "rotation": [1, 0, 0, 0]} for i in range(2)],
        "sample_data": [
            {
                "token": f"d{i}-{name}", "sample_token": f"k{i}", "ego_pose_token": f"e{i}",
                "calibrated_sensor_token": f"c-{name}", "is_key_frame": True, "timestamp": 10 - i,
                "filename": f"samples/CAM_FRONT/{i}.jpg", "width": size[0], "height": size[1],
            }
            for i in range(2) for name in ("front", "back")
        ],
        "category": [
            {"token": "car", "name": "vehicle.car"}, {"token": "ped", "name": "human.pedestrian.adult"},
            {"token": "cat", "name": "animal"},
        ],
        "instance": [{"token": f"i-{kind}", "category_token": kind} for kind in ("car", "ped", "cat")],
        "sample_annotation": [
            {
                "token": f"a{i}-{kind}", "sample_token": f"k{i}", "instance_token": f"i-{kind}", "size": [2, 4, 1],
                "translation": place, "rotation": [1, 0, 0, 0], "visibility_token": "4",
            }
            for i in range(2) for kind, place in (("car", [12, 0, 1.5]), ("ped", [-9, 0, 1]), ("cat", [8, 1, 1]))
        ],
    }  # fmt: skip
    for table, rows in tables.items():
        text(root / f"v1.0-mini/{table}.json", json.dumps(rows))


# Of each benchmark: what writes it, the split it has, and the names in it.
LAYOUTS = {
    "dancetrack": (dancetrack, "val", ["dancetrack0004", "dancetrack0005"]),
    "davis2016": (davis2016, "val", ["bear"]),
    "davis2017": (davis, "val", ["bear", "camel"]),
    "got10k": (got10k, "val", ["GOT-10k_Val_000001", "GOT-10k_Val_000002"]),
    "groot": (groot, "train", ["MOT17-04"]),
    "kitti": (kitti, "training", ["0000", "0002"]),
    "kitti_mots": (kitti_mots, "val", ["0002", "0016"]),
    "lasot": (lasot, "test", ["airplane-1", "zebra-17"]),
    "mot17": (motchallenge, "train", ["MOT17-04-FRCNN", "MOT17-09-SDP"]),
    "mot20": (mot20, "train", ["MOT20-01", "MOT20-02"]),
    "mots20": (mots20, "train", ["MOTS20-02", "MOTS20-05"]),
    "nuscenes": (nuscenes, "mini_val", ["scene-0103"]),
    "otb": (otb, "all", ["Basketball", "Skating2-1", "Skating2-2"]),
    "posetrack18": (posetrack18, "val", ["000342_mpii_test", "000522_mpii_test"]),
    "posetrack21": (posetrack, "val", ["000342_mpii_test", "000522_mpii_test"]),
    "refer_kitti": (refer_kitti, "test", ["0005+cars-in-black", "0005+people"]),
    "tapvid_davis": (tapvid, "test", ["goat", "dogs-jump"]),
    "tapvid_kinetics": (tapvid_kinetics, "test", ["0000_0000", "0001_0000"]),
    "tapvid_kubric": (tapvid_kubric, "test", ["0000", "0001"]),
    "tapvid_rgb_stacking": (tapvid_rgb_stacking, "test", ["0000", "0001"]),
    "vot": (vot, "all", ["bag", "ball"]),
    "youtube_vis_2019": (youtube_vis, "val", ["0043f083b5", "0044fa5fba"]),
    "youtube_vis_2021": (youtube_vis_2021, "train", ["0043f083b5", "0044fa5fba"]),
}


def make(name: str, root: pathlib.Path) -> pathlib.Path:
    """Write a benchmark's folder and return it."""
    LAYOUTS[name][0](root, np.random.default_rng(0))
    return root
