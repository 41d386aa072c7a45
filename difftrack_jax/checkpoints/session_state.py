"""The state of a running video on disk: the leaves of a pytree in one npz, its structure in the code.

Saved under a temporary name and moved into place: a kill leaves the old state or the new one, never half.
"""

import json
import os
import pathlib
import zipfile

import jax
import jax.numpy as jnp
import numpy as np

from difftrack_jax.errors import UserError
from difftrack_jax.typing import PyTree


def save(path: pathlib.Path, state: PyTree, notes: dict) -> None:
    """Write the leaves of `state` and a few notes; random keys become their data."""
    leaves = [np.asarray(jax.random.key_data(x) if _is_key(x) else x) for x in jax.tree.leaves(state)]
    temporary = path.with_suffix(".partial.npz")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                np.savez(file, notes=json.dumps(notes), **{f"leaf{i}": leaf for i, leaf in enumerate(leaves)})
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error})") from error


def read_notes(path: pathlib.Path) -> dict | None:
    """The notes saved beside a state; None where there is no state."""
    return _read(path, lambda file: json.loads(str(file["notes"]))) if path.is_file() else None


def load(path: pathlib.Path, like: PyTree) -> PyTree:
    """The state in the structure of `like`; the sizes are those of the file, which may hold more slots."""
    old, structure = jax.tree.flatten(like)
    leaves = _read(path, lambda file: [file[f"leaf{i}"] for i in range(len(file.files) - 1)])
    if len(leaves) != len(old):
        wrong = f"has {len(leaves)} arrays, {len(old)} are needed: it is another version's"
        raise UserError(f"{path}: {wrong}; start anew with overwrite=True")
    return jax.tree.unflatten(structure, [_as(leaf, x) for leaf, x in zip(leaves, old)])


def _as(leaf, like):
    """An array of the sort of `like`: key, device array, numpy array or plain number."""
    if _is_key(like):
        return jax.random.wrap_key_data(jnp.asarray(leaf))
    if isinstance(like, jax.Array):
        return jnp.asarray(leaf)
    return leaf if isinstance(like, np.ndarray) else type(like)(leaf)


def _is_key(leaf):
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _read(path, get):
    try:
        with np.load(path) as file:
            return get(file)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: cannot be read ({error}); start anew with overwrite=True") from error
