"""Targets as text: what is meant is read, and whatever is wrong is one clear line."""

import json

import numpy as np
import pytest
from PIL import Image

from difftrack_jax.errors import UserError
from difftrack_jax.tracking.indicators import Box, Point, Text
from difftrack_jax.tracking.parse import parse_targets


@pytest.fixture
def masks(tmp_path):
    """Labels 0, 1, 2 as a palette PNG, whose colours must not matter; the same in grey; and an empty one."""
    labels = np.zeros((6, 8), np.uint8)
    labels[1:3, 1:4], labels[4:, 5:] = 1, 2
    palette = Image.fromarray(labels, mode="P")
    palette.putpalette([0, 0, 0, 0, 0, 0, 9, 9, 9] + [0] * 759)
    palette.save(tmp_path / "palette.png")
    Image.fromarray(labels).save(tmp_path / "grey.png")
    Image.fromarray(np.stack([labels] * 3, -1)).save(tmp_path / "colour.png")
    Image.fromarray(labels * 0).save(tmp_path / "empty.png")
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    return tmp_path, labels


def test_kinds_numbers_and_frames():
    parsed = parse_targets(" point:5,9@12 ; box:1.5,2,30,40;; text: a red: car @4")
    assert parsed == [(0, Box(1.5, 2.0, 30.0, 40.0)), (4, Text("a red: car")), (12, Point(5.0, 9.0))]


@pytest.mark.parametrize("name", ["palette.png", "grey.png"])
def test_masks_by_label(masks, name):
    folder, labels = masks
    ((_, all_of_it),) = parse_targets(f"segment:{folder / name}")
    ((frame, second),) = parse_targets(f"segment:{folder / name}#2@3")
    np.testing.assert_array_equal(all_of_it.mask, labels > 0)
    np.testing.assert_array_equal(second.mask, labels == 2)
    assert frame == 3


def test_a_json_file_says_the_same(masks):
    folder, labels = masks
    entries = [
        {"kind": "point", "args": [5, 9], "frame": 12},
        {"kind": "box", "args": [1, 2, 30, 40]},
        {"kind": "segment", "args": "grey.png#1"},
    ]
    (folder / "targets.json").write_text(json.dumps(entries))
    (a, box), (b, segment), (c, point) = parse_targets(str(folder / "targets.json"))
    assert (a, b, c, box, point) == (0, 0, 12, Box(1.0, 2.0, 30.0, 40.0), Point(5.0, 9.0))
    np.testing.assert_array_equal(segment.mask, labels == 1)


BAD = {
    "": "none given",
    ";": "none given",
    "boks:1,2,3,4": "unknown kind 'boks'; known kinds are point, box, segment",
    "1,2,3,4": "is not KIND:ARGS",
    "box:1,2,3": "needs 4 numbers, box:x0,y0,x1,y1",
    "point:1,2,3": "needs 2 numbers",
    "point:1,a": "needs 2 numbers",
    "point:1,nan": "finite",
    "box:1,2,inf,4": "finite",
    "box:30,2,10,40": "x0 < x1",
    "box:3,4,3,9": "x0 < x1",
    "point:1,2@-1": "frame -1 is negative",
    "point:1,2@x": "'x' is not a whole number",
    "pose:joints.json": "joints.json cannot be read",
    "text: @3": "says nothing",
    "segment:nowhere.png": "no such mask file",
    "segment:{folder}/broken.png": "cannot be read as an image",
    "segment:{folder}/empty.png": "the mask is empty",
    "segment:{folder}/grey.png#7": "no pixel has label 7; the labels are 0, 1, 2",
    "segment:{folder}/colour.png#1": "is in colour",
    "nowhere.json": "cannot be read",
}


@pytest.mark.parametrize("text", BAD)
def test_one_clear_line_for_what_is_wrong(masks, text):
    with pytest.raises(UserError) as caught:
        parse_targets(text.format(folder=masks[0]))
    assert BAD[text] in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("{}", "must be a list"),
        ("[]", "none given"),
        ('[{"kind": "box"}]', "[0]: must be"),
        ('[{"kind": "box", "args": [1, 2, 3, 4], "color": 1}]', "[0]: must be"),
        ('[{"kind": "box", "args": "1,2"}]', "a list of numbers"),
        ('[{"kind": "boks", "args": [1]}]', "unknown kind"),
        ('[{"kind": ["box"], "args": [1]}]', "[0]"),
        ('[{"kind": "box", "args": [1, 2, 3, null]}]', "needs 4 numbers"),
        ('[{"kind": "point", "args": [1, 2], "frame": 1.5}]', "not a whole number"),
        ('[{"kind": "point", "args": [1, 2], "frame": -2}]', "negative"),
    ],
)
def test_bad_json(tmp_path, content, message):
    path = tmp_path / "targets.json"
    path.write_text(content)
    with pytest.raises(UserError, match="targets") as caught:
        parse_targets(str(path))
    assert message in str(caught.value)
