"""Files that `torch.save` wrote (.pt, .pth, .bin, .ckpt), read without torch and without running their pickles.

    zip      since torch 1.6: ARCHIVE/data.pkl with the structure, ARCHIVE/data/KEY with the bytes of each storage
    stream   before, or with _use_new_zipfile_serialization=False: five pickles in a row (magic number, protocol,
             system, structure, keys of the storages), then for each key its length and its bytes

Tensors come out as numpy arrays over the mapped file: nothing is read before it is used, so a file need not fit into
memory. bfloat16 and the 8-bit floats are ml_dtypes'.
"""

import io
import mmap
import pathlib
import pickle
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

from difftrack_jax.errors import UserError
from difftrack_jax.restricted_pickle import PLAIN, Admitted, Deferred, Unpickler, resolve

_MAGIC = 0x1950A86A20F9469CFC6C
_STREAM_PROTOCOL = 1001
_LOCAL_HEADER = struct.Struct("<26xHH")  # a zip entry's own header ends with the lengths of its name and its extras

_STORAGES = {
    "DoubleStorage": np.float64,
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "BFloat16Storage": ml_dtypes.bfloat16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
    "ComplexFloatStorage": np.complex64,
    "ComplexDoubleStorage": np.complex128,
    "UntypedStorage": np.uint8,
}
_DTYPES = {
    "float64": np.float64,
    "float32": np.float32,
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
    "float8_e4m3fn": ml_dtypes.float8_e4m3fn,
    "float8_e5m2": ml_dtypes.float8_e5m2,
    "int64": np.int64,
    "int32": np.int32,
    "int16": np.int16,
    "int8": np.int8,
    "uint8": np.uint8,
    "bool": np.bool_,
}


def read_torch(path: str | pathlib.Path) -> Any:
    """What the file holds, with numpy arrays (read-only, mapped) for its tensors.

    Raises UserError, in one line that names the file, when it cannot be read, is damaged or cut short, or holds
    anything but tensors and plain containers (the line gives the name of that).
    """
    try:
        with open(path, "rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            if mapped[:4] == b"PK\x03\x04":
                return _read_zip(mapped, path)
            return _read_stream(mapped, file, path)
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except Exception as error:  # a damaged file may fail in any way
        raise UserError(f"{path}: is not a readable torch file ({type(error).__name__}: {error})") from error


class _Dtype:
    """A torch dtype or class of storages; the pickle only hands it on."""

    __slots__ = ("dtype",)

    def __init__(self, dtype: Any):
        object.__setattr__(self, "dtype", np.dtype(dtype))

    def __setattr__(self, name: str, value: Any) -> None:
        raise pickle.UnpicklingError("it changes what is not its own")


class _Storage:
    """A flat array whose bytes are found once the pickle has ended."""

    __slots__ = ("_load",)

    def __init__(self, load: Callable[[], np.ndarray]):
        object.__setattr__(self, "_load", load)

    def __setattr__(self, name: str, value: Any) -> None:
        raise pickle.UnpicklingError("it changes what is not its own")

    def flat(self) -> np.ndarray:
        return self._load()


class _Tensor(Deferred):
    """torch._utils._rebuild_tensor_v2 and _v3: a strided view of a storage."""

    __slots__ = ("_parts",)

    def __init__(self, storage, offset, shape, strides, dtype=None):
        if not isinstance(storage, _Storage):
            raise pickle.UnpicklingError("a tensor without a storage")
        self._parts = storage, offset, tuple(shape), tuple(strides), dtype

    def value(self) -> np.ndarray:
        storage, offset, shape, strides, dtype = self._parts
        flat = storage.flat()
        if dtype is not None:
            flat = flat.view(dtype.dtype)
        numbers = (offset, *shape, *strides)
        if len(shape) != len(strides) or not all(isinstance(n, int) and n >= 0 for n in numbers):
            raise pickle.UnpicklingError(f"a tensor of shape {shape} and strides {strides}")
        if 0 in shape:
            return np.empty(shape, flat.dtype)
        last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides))
        if last >= flat.size:
            raise pickle.UnpicklingError(f"a tensor of shape {shape} beyond the end of its storage")
        steps = tuple(stride * flat.itemsize for stride in strides)
        return np.lib.stride_tricks.as_strided(flat[offset:], shape, steps, writeable=False)


def _v2(storage, offset, shape, strides, *_):
    return _Tensor(storage, offset, shape, strides)


def _v3(storage, offset, shape, strides, requires_grad, hooks, dtype, *_):
    return _Tensor(storage, offset, shape, strides, dtype)


def _first(data, *_):
    """A parameter is its tensor."""
    return data


def _from_type(rebuild, kind, args, *_):
    """A tensor that carries Python attributes, which are left."""
    if not isinstance(rebuild, Admitted):
        raise pickle.UnpicklingError("a tensor made by something else")
    return rebuild(*args)


NAMES = {
    **PLAIN,
    **{f"torch.{name}": _Dtype(dtype) for name, dtype in {**_STORAGES, **_DTYPES}.items()},
    "torch.storage.UntypedStorage": _Dtype(np.uint8),
    "torch._utils._rebuild_tensor_v2": Admitted(_v2),
    "torch._utils._rebuild_tensor_v3": Admitted(_v3),
    "torch._utils._rebuild_parameter": Admitted(_first),
    "torch._utils._rebuild_parameter_with_state": Admitted(_first),
    "torch._tensor._rebuild_from_type_v2": Admitted(_from_type),
    "torch.Tensor": "torch.Tensor",
    "torch.nn.parameter.Parameter": "torch.nn.parameter.Parameter",
    "torch.Size": Admitted(tuple),
    # Only a key of a dictionary in Stable Diffusion's published training checkpoints; as text it can do nothing.
    "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint": "ModelCheckpoint",
}


class _Torch(Unpickler):
    """An `Unpickler` that finds storages with `storage(key, dtype, count, view)`."""

    def __init__(self, file, path, storage):
        super().__init__(file, NAMES, path, encoding="utf-8")
        self._storage = storage

    def persistent_load(self, pid):
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage" or not isinstance(pid[1], _Dtype):
            raise pickle.UnpicklingError("it refers to something that is no storage")
        _, kind, key, _, count, *view = pid
        if not isinstance(count, int) or count < 0:
            raise pickle.UnpicklingError(f"a storage of {count!r} elements")
        return self._storage(key, kind.dtype, count, view[0] if view else None)


def _read_zip(mapped, path):
    with zipfile.ZipFile(path) as archive:
        entries = {info.filename: info for info in archive.infolist()}
        found = [name for name in entries if name.endswith("data.pkl") and name.count("/") <= 1]
        if len(found) != 1:
            raise UserError(f"{path}: is a zip file without a torch file in it")
        root = found[0].removesuffix("data.pkl")
        order = archive.read(root + "byteorder").strip() if root + "byteorder" in entries else b"little"

        def storage(key, dtype, count, view):
            info = entries[f"{root}data/{key}"]
            dtype = dtype.newbyteorder(">") if order == b"big" else dtype

            def load():
                if info.compress_type == zipfile.ZIP_STORED:
                    return np.frombuffer(mapped, dtype, count, _start(mapped, info, count * dtype.itemsize))
                with zipfile.ZipFile(path) as again:
                    return np.frombuffer(again.read(info), dtype, count)

            return _Storage(load)

        return resolve(_Torch(io.BytesIO(archive.read(found[0])), path, storage).load())


def _start(mapped, info, size):
    """Where the bytes of a stored entry begin."""
    name, extra = _LOCAL_HEADER.unpack_from(mapped, info.header_offset)
    start = info.header_offset + _LOCAL_HEADER.size + name + extra
    if size > info.file_size or start + info.file_size > len(mapped):
        raise pickle.UnpicklingError(f"{info.filename} is cut short")
    return start


def _read_stream(mapped, file, path):
    itemsize, where = {}, {}  # by key; where: (first byte, length in bytes)

    def storage(key, dtype, count, view):
        itemsize[key] = dtype.itemsize
        offset, length = (0, count) if view is None else view[1:3]

        def load():
            start, size = where[key]
            flat = np.frombuffer(mapped, dtype, size // dtype.itemsize, start)
            if not 0 <= offset <= offset + length <= flat.size:
                raise pickle.UnpicklingError(f"storage {key} is smaller than its view")
            return flat[offset : offset + length]

        return _Storage(load)

    plain = lambda: Unpickler(file, PLAIN, path, encoding="utf-8").load()
    try:
        recognised = plain() == _MAGIC and plain() == _STREAM_PROTOCOL
    except Exception:
        recognised = False
    if not recognised:
        raise UserError(f"{path}: is not a torch file (neither a zip file nor a torch stream), or is cut short")
    if not plain()["little_endian"]:
        raise UserError(f"{path}: was written by a big-endian machine; save it again with a newer torch")
    tree = _Torch(file, path, storage).load()
    keys = plain()
    start = file.tell()
    for key in keys:
        (count,) = struct.unpack_from("<q", mapped, start)
        size = count * itemsize[key]
        if count < 0 or start + 8 + size > len(mapped):
            raise pickle.UnpicklingError(f"storage {key} is cut short")
        where[key] = (start + 8, size)
        start += 8 + size
    return resolve(tree)
