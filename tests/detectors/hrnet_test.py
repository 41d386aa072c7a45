"""Joints from heat maps, against what one can see in the picture."""

import numpy as np
import pytest

from difftrack_jax.detectors import hrnet

from . import graphs


def test_the_part_that_is_looked_at_has_the_networks_aspect_and_a_margin():
    tall, wide = hrnet.grown(np.array([[10.0, 20, 20, 100], [10.0, 20, 90, 40]]), (256, 192))
    np.testing.assert_allclose(tall, [15, 60, 80 * 0.75 * 1.25, 80 * 1.25])
    np.testing.assert_allclose(wide, [50, 30, 80 * 1.25, 80 / 0.75 * 1.25])


def test_peaks_move_a_quarter_cell_towards_the_higher_neighbour_and_count_pixels_from_their_corners():
    maps = np.zeros((1, 3, 64, 48))
    maps[0, 0, 30, 20], maps[0, 0, 30, 21], maps[0, 0, 29, 20] = 1.0, 0.4, 0.2
    maps[0, 1, 0, 7], maps[0, 1, 0, 8] = 0.8, 0.5  # at the border there is no neighbour above
    maps[0, 2, 10, 10] = 0.5
    place = np.array([[100.0, 80, 48, 64]])  # one cell, one pixel
    x, y, score = hrnet.joints(maps, place)[0].T
    np.testing.assert_allclose(x, np.array([20.25, 7, 10]) - 24 + 100)
    np.testing.assert_allclose(y, np.array([29.75, 0, 10]) - 32 + 80)
    np.testing.assert_array_equal(score, [1.0, 0.8, 0.5])


@pytest.mark.parametrize("batch", ["n", 1])
def test_an_export_finds_the_joints_of_several_boxes(tmp_path, batch):
    frame = np.zeros((240, 320, 3), np.uint8)
    boxes = np.array([[40.0, 30, 120, 190], [150.0, 40, 290, 200]])
    truth = np.array([[[60, 50], [90, 100], [70, 170]], [[170, 60], [220, 120], [270, 190]]])
    for person in truth:
        for joint, (x, y) in enumerate(person):
            frame[y - 4 : y + 4, x - 4 : x + 4, joint] = 255  # centred on the corner between four pixels
    net = hrnet.HeatMaps(graphs.heat_maps(tmp_path / "net.onnx", batch=batch))
    found = net(frame, boxes)
    assert found.shape == (2, 3, 3)
    cell = hrnet.grown(boxes, (256, 192))[:, 2] / 48
    assert (np.abs(found[..., :2] - truth).max((1, 2)) < 1.6 * cell).all()
    assert (found[..., 2] > 1).all()  # bright in units of ImageNet's deviation


def test_a_frame_is_seen_where_it_is(rng):
    """The official transform: index x of the crop is index (x - W/2) w / W + cx of the frame."""
    frame = rng.integers(0, 255, (60, 50, 3), dtype=np.uint8)
    place = np.array([24.0, 30.0, 12.0, 16.0])
    crop = hrnet._crop(frame, place, (16, 12))
    np.testing.assert_array_equal(crop, frame[22:38, 18:30])
