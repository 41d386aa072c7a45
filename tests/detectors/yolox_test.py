"""YOLOX from the frame to its boxes, against the official demo's steps written out in numpy."""

import numpy as np
import pytest

from difftrack_jax.detectors import yolox
from difftrack_jax.errors import UserError
from difftrack_jax.ops.boxes import iou

from . import graphs

SIZE = (64, 96)  # height, width of the network's input


def plain_decode(raw, size):
    """Cell by cell."""
    boxes, scores, row = [], [], 0
    for stride in (8, 16, 32):
        for y in range(size[0] // stride):
            for x in range(size[1] // stride):
                tx, ty, tw, th, objectness, *classes = raw[row]
                cx, cy, w, h = (tx + x) * stride, (ty + y) * stride, np.exp(tw) * stride, np.exp(th) * stride
                boxes.append([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2])
                scores.append([objectness * score for score in classes])
                row += 1
    return np.array(boxes), np.array(scores)


def plain_network(image, weights, bias):
    """`graphs.yolox` in numpy; image [h, w, 3] in the order of channels that the network gets."""
    parts = []
    for stride in (8, 16, 32):
        h, w = image.shape[0] // stride, image.shape[1] // stride
        cells = image.reshape(h, stride, w, stride, 3).mean((1, 3)).reshape(-1, 3)
        out = cells @ weights.T + bias
        parts.append(np.concatenate([out[:, :4], 1 / (1 + np.exp(-out[:, 4:]))], axis=1))
    return np.concatenate(parts)


def test_cells_become_boxes(rng):
    raw = rng.normal(size=(8 * 12 + 4 * 6 + 2 * 3, 7))
    for got, wanted in zip(yolox.decode(raw, SIZE), plain_decode(raw, SIZE)):
        np.testing.assert_allclose(got, wanted, rtol=1e-12)


def test_the_fourth_grid_of_the_largest_models_is_known_by_the_number_of_cells(rng):
    raw = rng.normal(size=(256 + 64 + 16 + 4, 6))
    boxes, _ = yolox.decode(raw, (128, 128))
    cell = np.array([1, 1])  # the last of the four
    np.testing.assert_allclose((boxes[-1, :2] + boxes[-1, 2:]) / 2, (raw[-1, :2] + cell) * 64)
    with pytest.raises(UserError, match="answers 341 cells, which no grids of YOLOX have at 128x128"):
        yolox.decode(np.zeros((341, 6)), (128, 128))


def test_exports_that_decode_themselves_are_left_as_they_are(rng):
    raw = np.concatenate([rng.uniform(20, 60, (126, 4)), rng.uniform(size=(126, 2))], axis=1)
    boxes, _ = yolox.decode(raw, SIZE)
    np.testing.assert_allclose(boxes[:, 2:] - boxes[:, :2], raw[:, 2:4])


def test_frames_are_scaled_into_the_corner_of_a_grey_image(rng):
    frame = np.broadcast_to(np.linspace(0, 255, 192)[None, :, None], (64, 192, 3)).astype(np.uint8)
    image, ratio = yolox.letterbox(frame, SIZE)
    assert ratio == 0.5
    assert (image[32:] == 114).all()
    between = frame[0, ::2, 0] / 2.0 + frame[0, 1::2, 0] / 2.0  # at half the width a pixel lies between two
    np.testing.assert_allclose(image[:32, :, 0], np.tile(between, (32, 1)), atol=1)


def test_an_export_gives_the_boxes_of_the_official_demo(tmp_path, rng):
    weights, bias = rng.normal(size=(8, 3)) * 0.01, rng.normal(size=8) * 0.3 + 1.5
    weights[2:4] *= 0.1  # boxes of about five cells, which overlap
    frame = rng.integers(0, 255, (5, 10, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
    detector = yolox.Yolox(graphs.yolox(tmp_path / "net.onnx", weights, bias, SIZE))
    found = detector(frame)
    assert detector.names == ("0", "1", "2")

    image, ratio = yolox.letterbox(frame, SIZE)
    boxes, scores = plain_decode(plain_network(image[..., ::-1].astype(float), weights, bias), SIZE)
    best = scores.max(1)
    left, kept = [row for row in np.argsort(-best) if best[row] >= 0.1], []
    while left:
        kept.append(left.pop(0))
        left = [row for row in left if iou(boxes[kept[-1]], boxes[row]) <= 0.45]
    assert 1 < len(kept) < int((best >= 0.1).sum())
    np.testing.assert_allclose(found.boxes, boxes[kept] / ratio, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found.scores, best[kept], rtol=1e-4)
    assert found.labels == tuple(str(scores[row].argmax()) for row in kept)


def test_other_files_are_refused(tmp_path):
    other = yolox.Yolox(graphs.heat_maps(tmp_path / "other.onnx", size=SIZE))
    with pytest.raises(UserError, match=r"other\.onnx: answers \(1, 3, 16, 24\), not \[1, cells, 5 \+ classes\]"):
        other(np.zeros((64, 96, 3), np.uint8))
    (tmp_path / "text.onnx").write_text("no network")
    for name, message in (("text.onnx", "cannot be loaded"), ("none.onnx", "no such file")):
        with pytest.raises(UserError, match=message) as error:
            yolox.Yolox(str(tmp_path / name))
        assert "\n" not in str(error.value)
