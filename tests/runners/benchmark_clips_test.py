"""The recipes on real clips with the bundled weights, through the command line's own door: the files are all there.

Two frames are tracked and the rest stands still, so the numbers mean nothing; that they come out at all is the test.
"""

import importlib.util
import json
import pathlib
import pickle

import numpy as np
import pytest
from PIL import Image

from difftrack_jax import main

CONFIGS = pathlib.Path(__file__).resolve().parents[2] / "configs" / "track"


def tapvid(shared, folder):
    """TAP-Vid's pickle of one clip, from DAVIS frames and the joints of BADJA."""
    data = np.load(shared("data/tapvid_badja/dog.npz"))
    paths = [shared(f"data/davis/JPEGImages/480p/dog/{index:05d}.jpg") for index in data["frame_index"][:6]]
    entry = {"video": np.stack([np.asarray(Image.open(path)) for path in paths])}
    entry |= {"points": data["points"][:4, :6], "occluded": data["occluded"][:4, :6]}
    (folder / "tapvid_davis.pkl").write_bytes(pickle.dumps({"dog": entry}))
    return folder


def lasot(shared, folder):
    """A sequence of OTB as one of LaSOT's."""
    source, home = shared("data/otb/Crossing"), folder / "person" / "person-1"
    (home / "img").mkdir(parents=True)
    boxes = (source / "groundtruth_rect.txt").read_text().replace("\t", ",").split()[:12]
    for index, path in enumerate(sorted((source / "img").iterdir())[:12], 1):
        (home / "img" / f"{index:08d}.jpg").symlink_to(path)
    (home / "groundtruth.txt").write_text("\n".join(boxes) + "\n")
    for flag in ("full_occlusion", "out_of_view"):
        (home / f"{flag}.txt").write_text(",".join("0" * 12))
    (home / "nlp.txt").write_text("a man who crosses the street")
    return folder


FOLDERS = {
    "otb": lambda shared, folder: shared("data/otb"),
    "davis2017": lambda shared, folder: shared("data/davis"),
    "mot17": lambda shared, folder: shared("data/mot17"),
    "posetrack21": lambda shared, folder: shared("data/posetrack_bonn"),
    "tapvid_davis": tapvid,
    "lasot": lasot,
}
NUMBERS = {
    "otb": "success",
    "lasot": "norm_precision",
    "davis2017": "J&F-Mean",
    "mot17": "HOTA",
    "posetrack21": "AP_Total",
    "tapvid_davis": "average_jaccard",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FOLDERS)
def test_recipes_run_on_real_clips(shared, tmp_path, name):
    spec = importlib.util.spec_from_file_location(name, CONFIGS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config("tiny")
    config.update(data_dir=str(FOLDERS[name](shared, tmp_path)), max_frames=2, slots=4, quiet=True)
    config.tracker.size = 64
    out = tmp_path / "out"
    assert main.execute(config, str(out)) == 0
    results = json.loads((out / "results.json").read_text())
    assert results["settings"]["model"] == "mini"
    assert len(results["sequences"]) == 1
    assert 0 <= find(results["metrics"], NUMBERS[name]) <= 1
    assert (out / "per_sequence.csv").is_file()


def find(metrics, name):
    """A number, in whatever group it is."""
    groups = [metrics, *(group for group in metrics.values() if isinstance(group, dict))]
    return next(group[name] for group in groups if name in group)
