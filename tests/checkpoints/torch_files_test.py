"""Files of torch.save are read without torch, tensor for tensor; what is more than tensors is refused."""

import importlib.util
import os
import pathlib
import pickle
import zipfile

import numpy as np
import pytest

from difftrack_jax.checkpoints.torch_files import read_torch
from difftrack_jax.errors import UserError

GOLDENS = pathlib.Path(__file__).resolve().parents[1] / "goldens"


def recorder():
    spec = importlib.util.spec_from_file_location("recorder", GOLDENS / "record_torch_files.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", params=["recorded", "live"])
def files(request, tmp_path_factory):
    """The files as recorded, and, where torch is installed, as this torch writes them."""
    if request.param == "recorded":
        return GOLDENS / "torch_files"
    torch = pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("live")
    recorder().record(torch, folder)
    return folder


@pytest.mark.parametrize("name", ["zip.pt", "stream.pt"])
def test_every_tensor_comes_out_as_it_went_in(files, name):
    tree = read_torch(files / name)
    want = recorder().contents()
    state = tree.pop("state_dict")
    assert tree == {"step": 7, "name": "x", "shape": (2, 3, 4), "seen": {1, 2}, "rates": [1e-3, None]}
    assert state.keys() == want.keys()
    for key, array in want.items():
        assert state[key].shape == array.shape, key
        assert state[key].dtype == ("bfloat16" if key == "bfloat16" else array.dtype), key
        np.testing.assert_array_equal(state[key].astype(array.dtype), array, err_msg=key)


def test_eight_bit_floats_have_a_dtype_of_their_own(files):
    got = read_torch(files / "float8.pt")["float8"]
    assert got.dtype == "float8_e4m3fn"
    assert got.astype(np.float32).tolist() == [0, 1, 2, 3]


def test_a_whole_module_is_refused_by_name(files):
    refused(files / "module.pt", "torch.nn.modules.linear.Linear")


def test_views_of_one_storage_share_the_mapped_file():
    state = read_torch(GOLDENS / "torch_files" / "zip.pt")["state_dict"]
    assert np.shares_memory(state["float32"], state["transposed"])
    assert not state["float32"].flags.writeable


def test_a_file_is_mapped_and_not_read(tmp_path):
    """A sparse file of 64 GiB opens: more than any memory here."""
    rows, columns = 1 << 17, 1 << 17
    pid = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu\x8a\x05" + (
        rows * columns
    ).to_bytes(5, "little")
    numbers = b"K\x00" + b"\x8a\x03" + rows.to_bytes(3, "little") + b"\x8a\x03" + columns.to_bytes(3, "little")
    numbers += b"\x86" + b"\x8a\x03" + columns.to_bytes(3, "little") + b"K\x01\x86\x89N"
    head = [pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    head.append(b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + pid + b"tQ" + numbers + b"tR.")
    head.append(pickle.dumps(["0"], 2))
    path = tmp_path / "huge.pt"
    with path.open("wb") as file:
        file.write(b"".join(head) + (rows * columns).to_bytes(8, "little"))
        file.truncate(file.tell() + 4 * rows * columns)
    array = read_torch(path)
    assert array.shape == (rows, columns)
    assert array[-1, -1] == 0


def refused(path, *words):
    with pytest.raises(UserError) as error:
        read_torch(path)
    for word in (str(path), *words):
        assert word in str(error.value)
    assert "\n" not in str(error.value)


class Runs:
    def __init__(self, call, *args):
        self.call = call, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("form", ["zip", "stream"])
def test_a_file_that_would_make_a_file_is_refused_and_makes_none(tmp_path, form):
    made, path = tmp_path / "made", tmp_path / "evil.pt"
    evil = pickle.dumps({"state_dict": Runs(os.system, f"touch {made}")}, 2)
    if form == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", evil)
    else:
        head = [pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
        path.write_bytes(b"".join([*head, evil, pickle.dumps([], 2)]))
    refused(path, "refused", "posix.system")
    assert not made.exists()
    pickle.loads(evil)
    assert made.exists()


def test_a_compressed_archive_is_read_too(tmp_path):
    with (
        zipfile.ZipFile(GOLDENS / "torch_files" / "zip.pt") as whole,
        zipfile.ZipFile(tmp_path / "small.pt", "w", zipfile.ZIP_DEFLATED) as small,
    ):
        for name in whole.namelist():
            small.writestr(name, whole.read(name))
    state = read_torch(tmp_path / "small.pt")["state_dict"]
    np.testing.assert_array_equal(state["float32"], recorder().contents()["float32"])


@pytest.mark.parametrize("name", ["zip.pt", "stream.pt"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_a_file_cut_short_is_one_line(tmp_path, name, part):
    whole = (GOLDENS / "torch_files" / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(part * len(whole))])
    refused(tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 and no more", pickle.dumps({"a": 1})])
def test_what_is_no_torch_file_is_one_line(tmp_path, content):
    (tmp_path / "a.pt").write_bytes(content)
    refused(tmp_path / "a.pt")


@pytest.mark.parametrize(("size", "stride"), [((1 << 40,), (1,)), ((2, 2), (1 << 40, 1)), ((2,), (-8,)), ((9,), (1,))])
def test_a_tensor_cannot_reach_beyond_its_storage(tmp_path, size, stride):
    number = lambda n: b"\x8a\x08" + n.to_bytes(8, "little", signed=True)
    numbers = lambda values: b"(" + b"".join(map(number, values)) + b"t"
    pid = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x08tQ"
    body = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + pid + b"K\x00" + numbers(size) + numbers(stride)
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("archive/data.pkl", body + b"\x89NtR.")
        archive.writestr("archive/data/0", bytes(32))
    refused(tmp_path / "a.pt", "a tensor of shape")
