"""Pickles read as data: numbers, text, plain containers and numpy arrays; anything else is refused by its name.

A pickle is a program, and the standard loader runs it: a file from the internet may do whatever it likes with that.
Here a pickle may use the names of one table and no others. Each stands for a function of ours that makes plain data,
and can be called and nothing else, so that no pickle changes what a later one sees:

    NUMPY       what numpy writes for arrays and scalars          `load_numpy_pickle` (TAP-Vid's files, for one)
    PLAIN       OrderedDict, set, frozenset, bytes                in every table
    torch       tensors and storages                              `checkpoints/torch_files.py`

Arrays stay stand-ins until the pickle has ended (`Deferred`), because a pickle makes them first and fills them later.
"""

import abc
import collections
import io
import pathlib
import pickle
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from difftrack_jax.errors import UserError

__all__ = ["NUMPY", "PLAIN", "Admitted", "Deferred", "Unpickler", "load_numpy_pickle", "resolve"]

_PLAIN_KINDS = "biufcSU"  # of numpy dtypes: no objects, no records, no dates


class Admitted:
    """A name that a pickle may call. It has no attribute a pickle could set."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Any]):
        object.__setattr__(self, "_call", call)

    def __call__(self, *args: Any) -> Any:
        return self._call(*args)

    def __setattr__(self, name: str, value: Any) -> None:
        raise pickle.UnpicklingError("it changes what is not its own")

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("it changes what is not its own")


class Deferred(abc.ABC):
    """An array to be; `resolve` puts `value()` in its place."""

    __slots__ = ()

    @abc.abstractmethod
    def value(self) -> np.ndarray:
        """The array, read when it is asked for."""


class Unpickler(pickle.Unpickler):
    """The standard reader of pickles, with nothing to call but `names`. Raises UserError naming whatever else is asked.

    names: "module.name" -> what it stands for. source: the file, for messages.
    """

    def __init__(self, file: io.BufferedIOBase, names: Mapping[str, Any], source: str | pathlib.Path, **options: Any):
        super().__init__(file, **options)
        self._names, self._source = names, source

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._names[f"{module}.{name}"]
        except KeyError:
            raise UserError(
                f"{self._source}: refused, its pickle calls {module}.{name}; only tensors and plain containers are read"
            ) from None

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it refers to data outside of it")


def load_numpy_pickle(path: str | pathlib.Path) -> Any:
    """What a pickle of dicts, lists, tuples, sets, numbers, text, bytes and numpy arrays holds; nothing in it is run.

    Arrays are those of plain numbers, booleans, bytes or text, of any numpy version (1 or 2) and pickle protocol; they
    are in this machine's byte order, and read-only views of what was read. Raises UserError, in one line that names the
    file, for a file that cannot be read, is damaged, or asks for any other name (which the line gives).
    """
    try:
        with open(path, "rb") as file:
            # latin1 keeps the bytes of Python 2's strings, which held its arrays.
            return resolve(Unpickler(file, NUMPY, path, encoding="latin1").load())
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except Exception as error:  # a damaged pickle may fail in any way
        raise UserError(f"{path}: is not a readable pickle ({type(error).__name__}: {error})") from error


def resolve(value: Any) -> Any:
    """`value` as plain dicts, lists and tuples, with the array of every `Deferred` in its place."""
    return _resolve(value, {})


def _resolve(value, done):
    """done: by identity, what an object has become, and the object, so that its id is not given again."""
    if isinstance(value, Deferred):
        if id(value) not in done:
            done[id(value)] = (value.value(), value)
        return done[id(value)][0]
    if isinstance(value, tuple):
        return tuple(_resolve(item, done) for item in value)
    if not isinstance(value, (dict, list)):
        return value
    if id(value) not in done:
        new = {} if isinstance(value, dict) else []
        done[id(value)] = (new, value)  # a container may hold itself
        if isinstance(value, dict):
            # dict's own method: a pickle can hang another on an OrderedDict.
            new.update((key, _resolve(item, done)) for key, item in dict.items(value))
        else:
            new.extend(_resolve(item, done) for item in value)
    return done[id(value)][0]


class _Dtype:
    """numpy.dtype(spec, align, copy), with its byte order set afterwards."""

    __slots__ = ("dtype",)

    def __init__(self, spec, align=False, copy=True):
        if not isinstance(spec, str):
            raise pickle.UnpicklingError("a dtype that is not named by text")
        self.dtype = _plain(np.dtype(spec))

    def __setstate__(self, state):
        # numpy's own dtype would take sizes and flags from the file too, and could be made to lie about its memory.
        if any(part is not None for part in state[2:5]):
            raise pickle.UnpicklingError("an array of records")
        if state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


class _Array(Deferred):
    """numpy's _reconstruct(ndarray, (0,), b"b"), filled by its state (version, shape, dtype, is_fortran, data)."""

    __slots__ = ("_value",)

    def __init__(self, *_):
        self._value = np.empty(0, np.float64)

    def __setstate__(self, state):
        shape, dtype, fortran, data = state[-4:]
        self._value = _from_bytes(data, dtype, shape, "F" if fortran else "C")

    def value(self) -> np.ndarray:
        return self._value


def _from_bytes(data, dtype, shape, order="C"):
    if isinstance(data, list):
        raise pickle.UnpicklingError("an array of Python objects")
    data = data.encode("latin1") if isinstance(data, str) else data
    array = np.frombuffer(data, _of(dtype)).reshape(shape, order=order)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _scalar(dtype, data=b""):
    return _from_bytes(data, dtype, ())[()]


class _Buffer(Deferred):
    """numpy's _frombuffer(data, dtype, shape, order), of pickle protocol 5."""

    __slots__ = ("_value",)

    def __init__(self, data, dtype, shape, order):
        self._value = _from_bytes(data, dtype, shape, order)

    def value(self) -> np.ndarray:
        return self._value


def _of(dtype):
    if not isinstance(dtype, _Dtype):
        raise pickle.UnpicklingError("an array without a dtype")
    return dtype.dtype


def _plain(dtype):
    if dtype.kind not in _PLAIN_KINDS:
        raise pickle.UnpicklingError(f"an array of dtype {dtype}")
    return dtype


def _encode(text, encoding="latin1"):
    """Bytes as pickle protocols 0 to 2 write them."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"text in {encoding!r}")
    return text.encode("latin1")


def _bytes(data=b"", encoding="latin1"):
    """bytes and bytearray, of bytes or of text; never of a bare length."""
    return data if isinstance(data, bytes) else _encode(data, encoding)


def _both(module: str, name: str) -> tuple[str, str]:
    """A name of numpy's private modules, before and after numpy 2 moved them."""
    return f"numpy.core.{module}.{name}", f"numpy._core.{module}.{name}"


_BUILTINS = {"set": set, "frozenset": frozenset, "complex": complex, "bytes": _bytes, "bytearray": _bytes}

PLAIN: Mapping[str, Any] = {
    "collections.OrderedDict": Admitted(collections.OrderedDict),
    "_codecs.encode": Admitted(_encode),
    **{
        f"{module}.{name}": Admitted(call) for module in ("builtins", "__builtin__") for name, call in _BUILTINS.items()
    },
}

NUMPY: Mapping[str, Any] = {
    **PLAIN,
    "numpy.ndarray": "numpy.ndarray",  # only handed on to _reconstruct
    "numpy.dtype": Admitted(_Dtype),
    **dict.fromkeys(_both("multiarray", "_reconstruct"), Admitted(_Array)),
    **dict.fromkeys(_both("multiarray", "scalar"), Admitted(_scalar)),
    **dict.fromkeys(_both("numeric", "_frombuffer"), Admitted(_Buffer)),
}
