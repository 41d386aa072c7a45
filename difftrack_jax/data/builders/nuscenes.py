"""nuScenes, front camera, key frames (2 a second): street scenes to generate, ten classes of boxes.

Made from the official json tables alone; the 3D boxes are projected as nuScenes' devkit does.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from difftrack_jax.data.builders.base import Benchmark
from difftrack_jax.data.formats import nuscenes
from difftrack_jax.data.formats.json_file import read_json
from difftrack_jax.data.frames import PathFrames
from difftrack_jax.data.records import WHOLE_CLIP, Clip, make_clip, make_rows
from difftrack_jax.errors import UserError

CHANNEL = "CAM_FRONT"
# Detection classes, and the beginnings of the categories that belong to them.
CLASSES = {
    "barrier": ("movable_object.barrier",),
    "bicycle": ("vehicle.bicycle",),
    "bus": ("vehicle.bus",),
    "car": ("vehicle.car",),
    "construction_vehicle": ("vehicle.construction",),
    "motorcycle": ("vehicle.motorcycle",),
    "pedestrian": (
        "human.pedestrian.adult", "human.pedestrian.child", "human.pedestrian.construction_worker",
        "human.pedestrian.police_officer",
    ),
    "traffic_cone": ("movable_object.trafficcone",),
    "trailer": ("vehicle.trailer",),
    "truck": ("vehicle.truck",),
}  # fmt: skip
# Scenes of the official splits; train is what else the trainval tables hold.
VAL = """
3 12-18 35-36 38-39 92-110 221 268-278 329-332 344-346 519-524 552-565 625-627 629-630 632-638 770-771 775 777-778
780-784 794-800 802 904-917 919-931 962-963 966-969 971-972 1059-1073
"""
MINI_VAL = "103 916"
TABLES = ("scene", "sample", "sample_data", "calibrated_sensor", "sensor", "ego_pose", "sample_annotation", "instance",
          "category")  # fmt: skip


def scene_names(spans: str) -> set[str]:
    """Names of the scenes in "1 3-5"."""
    ends = [(span.split("-")[0], span.split("-")[-1]) for span in spans.split()]
    return {f"scene-{number:04d}" for low, high in ends for number in range(int(low), int(high) + 1)}


class NuScenes(Benchmark):
    """A sequence is a scene (20 s); its caption is the table's description."""

    name = "nuscenes"
    folder = "nuscenes"
    layout = "v1.0-trainval/{scene.json, sample.json, ...} and samples/CAM_FRONT/*.jpg"
    splits = ("val", "train", "test", "mini_val", "mini_train")
    hidden = ("test",)
    extra = ("visibility",)
    categories = tuple(CLASSES)
    licence = "CC BY-NC-SA 4.0"
    url = "https://www.nuscenes.org"

    def __init__(self, root):
        super().__init__(root)
        self._tables: dict[str, dict[str, Any]] = {}

    def sequences(self, split: str) -> Sequence[str]:
        present = list(self._open(split)["scene"])
        if split == "test":
            return present
        val = scene_names(MINI_VAL if split.startswith("mini") else VAL)
        return [name for name in present if (name in val) == split.endswith("val")]

    def read(self, split: str, name: str) -> Clip:
        tables = self._open(split)
        scene = tables["scene"][name]
        shots = tables["shots"][scene["token"]]
        for shot in shots:
            if not (self.root / shot["filename"]).is_file():
                raise UserError(f"{self.root / shot['filename']}: is missing; {self.name} needs {self.layout}")
        columns = [row for frame, shot in enumerate(shots) for row in _boxes(tables, frame, shot)]
        frame, target, category, box, visibility = zip(*columns) if columns else ([],) * 5
        rows = make_rows(
            frame, id=target, category=category, box=np.array(box).reshape(-1, 4),
            extra=np.array(visibility, np.float64).reshape(-1, 1),
        )  # fmt: skip
        frames = PathFrames(self.root, [shot["filename"] for shot in shots])
        size = {"width": shots[0]["width"], "height": shots[0]["height"], "fps": 2.0}
        captions = ((WHOLE_CLIP, scene["description"]),)
        labelled = np.full(len(frames), split not in self.hidden)
        return make_clip(name, frames, rows, captions=captions, labelled=labelled, extra=self.extra, **size)

    def _open(self, split: str) -> dict[str, Any]:
        """The tables of a split's version, joined; each version is parsed once."""
        version = "v1.0-mini" if split.startswith("mini") else "v1.0-test" if split == "test" else "v1.0-trainval"
        if version not in self._tables:
            raw = {table: read_json(self.need(f"{version}/{table}.json"), list) for table in TABLES}
            self._tables[version] = _join(raw)
        return self._tables[version]


def _join(raw: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Scenes by name, key frames of the front camera by scene in time, annotations by sample, numbered instances."""
    by_token = lambda table: {row["token"]: row for row in raw[table]}
    sensors = {row["token"] for row in raw["sensor"] if row["channel"] == CHANNEL}
    cameras = {row["token"]: row for row in raw["calibrated_sensor"] if row["sensor_token"] in sensors}
    poses, samples, categories = by_token("ego_pose"), by_token("sample"), by_token("category")
    shots: dict[str, list[dict[str, Any]]] = {row["token"]: [] for row in raw["scene"]}
    for row in raw["sample_data"]:
        if row["is_key_frame"] and row["calibrated_sensor_token"] in cameras:
            shots[samples[row["sample_token"]]["scene_token"]].append(row)
    for rows in shots.values():
        rows.sort(key=lambda row: row["timestamp"])
    annotations: dict[str, list[dict[str, Any]]] = {}
    for row in raw["sample_annotation"]:
        annotations.setdefault(row["sample_token"], []).append(row)
    kinds = {row["token"]: _class(categories[row["category_token"]]["name"]) for row in raw["instance"]}
    numbers = {row["token"]: number for number, row in enumerate(raw["instance"], 1)}
    scenes = {row["name"]: row for row in sorted(raw["scene"], key=lambda row: row["name"])}
    return {
        "scene": scenes, "shots": shots, "annotations": annotations, "cameras": cameras, "poses": poses,
        "kinds": kinds, "numbers": numbers,
    }  # fmt: skip


def _class(category: str) -> int:
    """The number of a category's detection class, 0 for those that have none."""
    names = enumerate(CLASSES.values(), 1)
    return next((number for number, starts in names if category.startswith(starts)), 0)


def _boxes(tables: Mapping[str, Any], frame: int, shot: Mapping[str, Any]):
    """Frame, instance, class, box and visibility (upper end of its bin) of what one image shows."""
    pose, camera = tables["poses"][shot["ego_pose_token"]], tables["cameras"][shot["calibrated_sensor_token"]]
    for row in tables["annotations"].get(shot["sample_token"], ()):
        kind = tables["kinds"][row["instance_token"]]
        if not kind:
            continue
        points = nuscenes.corners(row["translation"], row["size"], row["rotation"])
        points = nuscenes.into_frame(points, pose["translation"], pose["rotation"])
        points = nuscenes.into_frame(points, camera["translation"], camera["rotation"])
        box = nuscenes.image_box(points, camera["camera_intrinsic"], (shot["width"], shot["height"]))
        if box is not None:
            visibility = {"1": 0.4, "2": 0.6, "3": 0.8, "4": 1.0}.get(str(row.get("visibility_token")), 1.0)
            yield frame, tables["numbers"][row["instance_token"]], kind, box, visibility


BENCHMARKS = (NuScenes,)
