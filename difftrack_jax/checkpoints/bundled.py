"""Weights as one safetensors file: flat names, float16 on disk, the network's recipe in the header."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from safetensors import safe_open
from safetensors.numpy import save_file

from difftrack_jax.errors import UserError
from difftrack_jax.typing import Params

ASSETS = pathlib.Path(__file__).resolve().parent.parent / "assets"


def save(path: pathlib.Path, params: Params, variant: str, notes: dict[str, str] | None = None) -> None:
    """Write parameters with the name of the network they belong to; the file appears whole or not at all."""
    flat = {name: np.asarray(value, np.float16, order="C") for name, value in flatten_dict(params, sep="/").items()}
    temporary = path.with_suffix(".partial")
    # One entry: safetensors writes several in an order that changes from run to run.
    header = json.dumps({"variant": variant, "notes": notes or {}}, sort_keys=True)
    save_file(dict(sorted(flat.items())), temporary, metadata={"difftrack_jax": header})
    temporary.replace(path)


def load(path: pathlib.Path) -> tuple[str, Params]:
    """The network's variant name and its float32 parameters. Raises UserError when the file is not one of ours."""
    if not path.is_file():
        raise UserError(f"weights {path}: no such file")
    try:
        with safe_open(path, "np") as file:
            metadata = file.metadata() or {}
            variant = json.loads(metadata.get("difftrack_jax", "{}")).get("variant") or metadata.get("variant")
            flat = {name: jnp.asarray(file.get_tensor(name), jnp.float32) for name in file.keys()}  # noqa: SIM118
    except Exception as error:
        raise UserError(f"weights {path}: not a readable safetensors file ({error})") from error
    if variant is None:
        raise UserError(f"weights {path}: no network variant in its header; convert it first (configs/convert)")
    return variant, unflatten_dict(flat, sep="/")


def notes(path: pathlib.Path) -> dict[str, str]:
    """What `save` was told of a file of ours, which `load` has read before."""
    with safe_open(path, "np") as file:
        metadata = file.metadata() or {}
    if "difftrack_jax" in metadata:
        return json.loads(metadata["difftrack_jax"]).get("notes", {})
    return json.loads(metadata.get("notes", "{}"))


def bundled(name: str) -> pathlib.Path:
    """Path of the weights shipped in the package under `name`."""
    path = ASSETS / name / "weights.safetensors"
    if not path.is_file():
        known = ", ".join(sorted(p.parent.name for p in ASSETS.glob("*/weights.safetensors")))
        raise UserError(f"model {name!r}: no bundled weights of that name; there are: {known}")
    return path


def load_for(variant: str, source: str) -> Params:
    """Parameters for the network `variant` from a bundled name or a weight file; UserError when they are another's.

    Several names or files, with commas between them, stand for the mean of their parameters, which is often better than
    each where all of them descend from one (Wortsman et al. 2022, Model soups).
    """
    names = source.split(",") if "," in source and not pathlib.Path(source).is_file() else [source]
    members = [_one_for(variant, name) for name in names]
    return jax.tree.map(lambda *leaves: sum(leaves) / len(leaves), *members)


def _one_for(variant, source):
    path = pathlib.Path(source)
    found, params = load(path if path.is_file() else bundled(source))
    if found != variant:
        raise UserError(f"weights {source}: they are for the network {found!r}, not {variant!r}")
    return params
