"""Official formats of a tracked video are made from the lines that were recorded frame by frame."""

import numpy as np

from difftrack_jax.data.video import Source
from difftrack_jax.runners import outputs
from difftrack_jax.typing import Prediction
from difftrack_jax.visualize import exchange
from difftrack_jax.visualize.export import TrackWriter


def test_what_is_wanted_is_written(tmp_path, rng):
    writer = TrackWriter(tmp_path, {"path": "x", "width": 12, "height": 10, "fps": 25.0})
    mask = np.zeros((10, 12), bool)
    mask[2:5, 3:7] = True
    for frame in range(3):
        box = np.array([[1.0, 2, 5, 6], [3, 2, 7, 5]]) + [frame, 0, frame, 0]
        writer.append(
            Prediction(
                frame=frame, id=np.array([1, 2]), kind=("box", "segment"), point=(box[:, :2] + box[:, 2:]) / 2, box=box,
                segment=(None, np.roll(mask, frame, axis=1)), pose=(None, None), visible=np.array([True, True]),
                score=np.array([0.5, 0.75]),
            )
        )  # fmt: skip
    writer.close()
    source = Source("x", 12, 10, 25.0, 3, lambda start: iter(()))
    outputs.write_official(tmp_path, ("json", "csv", "mots", "boxes"), source, writer.partial)
    names = {path.name for path in tmp_path.iterdir()} - {writer.partial.name}
    assert names == {"tracks.csv", "tracks_mots.txt", "boxes"}
    video = exchange.Video(12, 10, 3)
    assert exchange.read("csv", tmp_path / "tracks.csv", video).count == 6
    assert exchange.read("mots", tmp_path / "tracks_mots.txt", video).id.tolist() == [2, 2, 2]
    boxes = exchange.read("boxes", tmp_path / "boxes", video)
    assert boxes.take(boxes.id == 1).box[:, 0].tolist() == [1, 2, 3]


def test_nothing_is_read_when_nothing_is_wanted(tmp_path):
    source = Source("x", 12, 10, 25.0, 3, lambda start: iter(()))
    outputs.write_official(tmp_path, ("json", "mot", "overlay"), source, tmp_path / "absent.jsonl")
    assert not list(tmp_path.iterdir())
