"""Published weights on disk as one mapping from name to array, whatever the file; a tensor is read when asked for.

    tensors = open_tensors("unet/diffusion_pytorch_model.safetensors")    also .index.json of shards, .bin, .pt, .ckpt
    tensors["conv_in.weight"]                                             numpy; bfloat16 is ml_dtypes'

No torch, and nothing in a file is run (restricted_pickle.py). Files are mapped, not read: a tensor is a view of its
file, and takes memory that the system can have back.
"""

import json
import math
import mmap
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import ml_dtypes
import numpy as np
from safetensors import safe_open

from difftrack_jax.checkpoints.torch_files import read_torch
from difftrack_jax.errors import UserError

_DTYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E5M2": ml_dtypes.float8_e5m2,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U8": np.uint8,
    "BOOL": np.bool_,
}

SAFETENSORS = ".safetensors"
TORCH = (".bin", ".ckpt", ".pt", ".pth")
INDEX = ".json"

# Where training checkpoints keep the weights; the first that is there is taken.
_INSIDE = ("state_dict", "model_state_dict", "model", "params")


class Tensors(Mapping[str, np.ndarray]):
    """Arrays by name, read when asked for. source: the file or folder they come from, for messages."""

    def __init__(self, source: str | pathlib.Path, readers: Mapping[str, Callable[[], np.ndarray]]):
        self.source, self._readers = str(source), dict(readers)

    def __getitem__(self, name: str) -> np.ndarray:
        return self._readers[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._readers)

    def __len__(self) -> int:
        return len(self._readers)

    def renamed(self, names: Mapping[str, str]) -> "Tensors":
        """Only the tensors in `names` (new name -> old), under their new names."""
        return Tensors(self.source, {new: self._readers[old] for new, old in names.items()})

    def release(self) -> None:
        """Tell the system that the files' memory can go; whoever reads a tensor again has it read again."""
        maps = {id(found): found for array in self.values() if (found := _map_of(array)) is not None}
        for found in maps.values():
            found.madvise(mmap.MADV_DONTNEED)


def _map_of(array: Any) -> mmap.mmap | None:
    """The mapped file an array is a view of."""
    while isinstance(array, (np.ndarray, memoryview)):
        array = array.base if isinstance(array, np.ndarray) else array.obj
    return array if isinstance(array, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED") else None


def open_tensors(path: str | pathlib.Path) -> Tensors:
    """The tensors of a file, or of the shards an index lists.

    Raises UserError, one line that names the file and where possible the tensor: for a file that is absent, damaged,
    cut short or of an unknown kind, one whose pickle asks for more than tensors, and an index at odds with its shards.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise UserError(f"weights {path}: no such file")
    if path.suffix == SAFETENSORS:
        return _safetensors(path)
    if path.suffix in TORCH:
        return Tensors(path, {name: lambda a=array: a for name, array in _state_dict(path, read_torch(path)).items()})
    if path.suffix == INDEX:
        return _shards(path)
    known = ", ".join((SAFETENSORS, *TORCH))
    raise UserError(f"weights {path}: a file of unknown kind; known are {known} and the index.json of shards")


def _safetensors(path):
    try:
        with safe_open(path, "np"):  # the library checks the header
            pass
    except Exception as error:  # the library's own error type, or the system's
        raise UserError(f"weights {path}: {_what_is_wrong(path) or error}") from error
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    start = 8 + int.from_bytes(mapped[:8], "little")
    header = json.loads(mapped[8:start])

    def read(name):
        dtype, shape, (first, _) = (header[name][key] for key in ("dtype", "shape", "data_offsets"))
        if dtype not in _DTYPES:
            raise UserError(f"weights {path}: tensor {name} is of dtype {dtype}, which is not read here")
        count = math.prod(shape)
        return np.frombuffer(mapped, _DTYPES[dtype], count, start + first if count else 0).reshape(shape)

    names = [name for name in header if name != "__metadata__"]
    return Tensors(path, {name: lambda name=name: read(name) for name in names})


def _what_is_wrong(path) -> str:
    """Which tensor is not there, of a safetensors file that does not open; "" where its header does not tell."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > size - 8:
            return "not a safetensors file, or cut short within its header"
        try:
            header = json.loads(file.read(length))
            ends = {name: 8 + length + entry["data_offsets"][1] for name, entry in header.items() if name[:2] != "__"}
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            return "not a safetensors file"
    missing = [name for name, end in sorted(ends.items(), key=lambda item: item[1]) if end > size]
    if not missing:
        return ""
    whole = max(ends.values())
    return f"cut short, {size} bytes of {whole}: tensor {missing[0]} and {len(missing) - 1} after it are not whole"


def _state_dict(path, tree: Any) -> dict[str, np.ndarray]:
    """The tensors in what a torch file holds: at the top, or where a training checkpoint keeps them."""
    for _ in range(3):
        if not isinstance(tree, dict):
            raise UserError(f"weights {path}: holds a {type(tree).__name__}, not tensors by name")
        found = {name: value for name, value in tree.items() if isinstance(value, np.ndarray)}
        inside = next((name for name in _INSIDE if isinstance(tree.get(name), dict)), None)
        if inside is None:
            break
        tree = tree[inside]
    if not found:
        raise UserError(f"weights {path}: holds no tensors; its fields are {', '.join(map(str, list(tree)[:8]))}")
    return found


def _shards(path):
    try:
        files = json.loads(path.read_text())["weight_map"]
        shards = {name: open_tensors(path.parent / name) for name in sorted(set(files.values()))}
    except UserError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"weights {path}: is not an index of shards (it has no weight_map)") from error
    for name, file in files.items():
        if name not in shards[file]:
            raise UserError(f"weights {path}: says that {name} is in {file}, and it is not there")
    extra = next((name for shard in shards.values() for name in shard if name not in files), None)
    if extra is not None:
        raise UserError(f"weights {path}: does not list the tensor {extra} that its shards hold")
    return Tensors(path, {name: lambda name=name, file=file: shards[file][name] for name, file in files.items()})
