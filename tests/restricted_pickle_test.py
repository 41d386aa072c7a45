"""A pickle is read as data or not at all: whatever else is in it does not happen."""

import collections
import io
import os
import pickle
import struct

import numpy as np
import pytest

from difftrack_jax import restricted_pickle
from difftrack_jax.errors import UserError
from difftrack_jax.restricted_pickle import load_numpy_pickle


def clip(rng):
    """A video as TAP-Vid stores one, and beside it every sort of plain value."""
    return {
        "goldfish": {
            "video": rng.integers(0, 255, (2, 4, 6, 3), dtype=np.uint8),
            "points": rng.random((3, 2, 2), dtype=np.float32),
            "occluded": rng.random((3, 2)) > 0.5,
        },
        "fortran": np.asfortranarray(rng.random((3, 4))),
        "swapped": rng.integers(0, 9, 5).astype(">i4"),
        "scalars": [np.float32(2.5), np.int64(-3), np.bool_(True)],
        "words": np.array(["a", "bcd"]),
        "empty": np.zeros((0, 7), np.float16),
        "plain": (1, 2.5, None, True, "text", b"\x00\xff", {1, 2}, frozenset("ab"), 1 + 2j, bytearray(b"xy"), b""),
        "ordered": collections.OrderedDict(b=1, a=2),
    }


def same(got, want):
    if isinstance(want, dict):
        assert list(got) == list(want)
        for key in want:
            same(got[key], want[key])
    elif isinstance(want, (list, tuple)):
        assert len(got) == len(want)
        for one, other in zip(got, want):
            same(one, other)
    elif isinstance(want, (np.ndarray, np.generic)):
        assert type(got) is type(want)
        assert got.dtype == want.dtype.newbyteorder("=")
        np.testing.assert_array_equal(got, want)
    else:
        assert got == want


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_numpy_pickles_of_every_protocol_are_read_as_pickle_reads_them(tmp_path, rng, protocol):
    path = tmp_path / "clip.pkl"
    path.write_bytes(pickle.dumps(clip(rng), protocol))
    with path.open("rb") as file:
        same(load_numpy_pickle(path), pickle.load(file))


def test_names_of_numpy_1_and_2_are_the_same(tmp_path):
    data = pickle.dumps([np.arange(3), np.float64(2)], 2)
    older = data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert older != data
    for index, content in enumerate((data, older)):
        (tmp_path / f"{index}.pkl").write_bytes(content)
        array, scalar = load_numpy_pickle(tmp_path / f"{index}.pkl")
        assert array.tolist() == [0, 1, 2]
        assert scalar == 2


def test_python_2s_strings_keep_their_bytes(tmp_path):
    """Its arrays held their data in a str, opcode SHORT_BINSTRING."""
    content = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89U\x02\x01\xfatb."
    )
    (tmp_path / "py2.pkl").write_bytes(content)
    assert load_numpy_pickle(tmp_path / "py2.pkl").tolist() == [1, 250]


def test_one_array_in_two_places_stays_one_and_a_list_may_hold_itself(tmp_path):
    array, loop = np.arange(3), []
    loop.append(loop)
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"a": array, "b": [array], "loop": loop}))
    got = load_numpy_pickle(tmp_path / "a.pkl")
    assert got["a"] is got["b"][0]
    assert got["loop"][0] is got["loop"]


class Runs:
    """Unpickled by pickle itself, it runs a command."""

    def __init__(self, call, *args):
        self.call = call, args

    def __reduce__(self):
        return self.call


class Namespace:
    pass


def refused(tmp_path, content, *words):
    path = tmp_path / "bad.pkl"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        load_numpy_pickle(path)
    for word in (str(path), *words):
        assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_a_pickle_that_would_make_a_file_makes_none(tmp_path):
    made = tmp_path / "made"
    content = pickle.dumps({"points": Runs(os.system, f"touch {made}")})
    refused(tmp_path, content, "refused", "posix.system")
    assert not made.exists()
    pickle.loads(content)  # the standard reader would have
    assert made.exists()


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (Runs(eval, "1"), "builtins.eval"),
        (Runs(getattr, "a", "upper"), "builtins.getattr"),
        (Namespace(), "Namespace"),
        (Runs(np.load, "x"), "load"),
        (collections.Counter("ab"), "collections.Counter"),
    ],
)
def test_whatever_is_no_data_is_refused_by_name(tmp_path, value, name):
    refused(tmp_path, pickle.dumps(value), "refused", name)


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (np.array([None, 1], object), "dtype object"),
        (np.zeros(2, [("a", "f4"), ("b", "i4")]), "dtype"),
        (np.array(["2020-01-01"], "M8[D]"), "dtype datetime64"),
    ],
)
def test_arrays_of_anything_but_plain_values_are_refused(tmp_path, value, word):
    refused(tmp_path, pickle.dumps(value), word)


def test_a_dtype_cannot_lie_about_its_memory(tmp_path):
    """Objects whose flags say plain bytes would have numpy follow any address in the file."""
    forged = (
        b"\x80\x02cnumpy\ndtype\nX\x02\x00\x00\x00f8\x89\x88\x87R"
        b"(K\x03X\x01\x00\x00\x00|NNNJ\x00\x10\x00\x00J\x01\x00\x00\x00K\x00tb0"
        b"cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\nX\x02\x00\x00\x00O8\x89\x88\x87RX\x08\x00\x00\x00AAAAAAAA\x86R."
    )
    refused(tmp_path, forged, "dtype object")


def test_no_pickle_changes_what_the_next_one_sees(tmp_path):
    """BUILD sets attributes on whatever lies on the stack, functions and classes too."""
    for state in (b"}X\x05\x00\x00\x00_callNs", b"N}X\x05\x00\x00\x00_callNs\x86"):
        refused(tmp_path, b"\x80\x02cnumpy\ndtype\n" + state + b"b.", "changes what is not its own")
    (tmp_path / "good.pkl").write_bytes(pickle.dumps(np.arange(2)))
    assert load_numpy_pickle(tmp_path / "good.pkl").tolist() == [0, 1]


@pytest.mark.parametrize("content", [b"", b"\x80", b"hello", b"\x80\x04]", pickle.dumps(np.arange(99))[:-9]])
def test_a_damaged_pickle_is_one_line(tmp_path, content):
    refused(tmp_path, content, "not a readable pickle")


def test_an_array_shorter_than_its_shape_says_is_refused(tmp_path):
    whole = pickle.dumps(np.arange(4, dtype=np.uint8), 2)
    refused(tmp_path, whole.replace(b"K\x04\x85", b"K\x09\x85"), "not a readable pickle")


def test_a_forged_length_takes_no_memory(tmp_path):
    huge = b"\x80\x02c__builtin__\nbytearray\n\x8a\x06" + struct.pack("<Q", 1 << 40)[:6] + b"\x85R."
    refused(tmp_path, huge, "not a readable pickle")


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"none\.pkl: cannot be read"):
        load_numpy_pickle(tmp_path / "none.pkl")


def test_references_out_of_the_pickle_are_refused():
    file = io.BytesIO(b"\x80\x02X\x01\x00\x00\x00aQ.")
    with pytest.raises(pickle.UnpicklingError, match="outside"):
        restricted_pickle.Unpickler(file, restricted_pickle.NUMPY, "here").load()
