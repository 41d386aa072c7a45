"""Convert published weights once: read, account for every tensor, write, read back, and say what was proven.

The result, a folder that `--config.model=FOLDER` takes and that restores onto any mesh:

    TARGET/config.json           what it is: sizes of each network, scheduler, source, the report
           NETWORK/              weights of each network (orbax)
           tokenizer/            copied, where the source has one

It appears whole or not at all. Networks are taken one after another, so memory holds the largest of them.
"""

import json
import os
import pathlib
import shutil
import time
from typing import Any

import jax.numpy as jnp
import ml_collections

from difftrack_jax import __version__
from difftrack_jax.backbones import published
from difftrack_jax.checkpoints import store
from difftrack_jax.errors import UserError
from difftrack_jax.runners import outputs, parity, reference

DTYPES = ("float32", "bfloat16", "float16")

# Which function opens the source of a layout; a converter of another model adds its own line.
LAYOUTS = dict.fromkeys(("stable_diffusion", "adm", "trackdiffusion"), published.open_model)


def run(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> dict[str, Any]:
    """Convert `config.source` to `config.target` (or, where that is empty, into the workdir), and print the report."""
    begun = time.monotonic()
    target = pathlib.Path(config.target).expanduser() if config.target else workdir
    _check(config, target)
    model = LAYOUTS[config.layout](config.source)
    if model.layout != config.layout:
        raise UserError(f"source {config.source}: is of layout {model.layout}, this recipe is for {config.layout}")
    temporary = target.with_name(f".{target.name}.partial")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        rows = [_network(config, name, network, temporary) for name, network in model.networks.items()]
        _finish(config, model, rows, temporary)
        if target.exists():
            shutil.rmtree(target)
        os.replace(temporary, target)
    except OSError as error:
        raise UserError(f"target {target}: cannot be written ({error})") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    print(parity.table(rows))
    return {"written": str(target), "seconds": round(time.monotonic() - begun, 1), "peak_memory_mb": outputs.peak_mb()}


def _check(config, target):
    if config.layout not in LAYOUTS:
        raise UserError(f"layout {config.layout!r}: known are {', '.join(LAYOUTS)}")
    if config.dtype and config.dtype not in DTYPES:
        raise UserError(f"dtype {config.dtype!r}: known are {', '.join(DTYPES)}; empty keeps the source's")
    if not config.source:
        raise UserError("source: none given; name a folder or file, as in --config.source=stable-diffusion-v1-5")
    if not pathlib.Path(config.source).expanduser().exists():
        raise UserError(f"source {config.source}: no such file or folder")
    if target.is_file():
        raise UserError(f"target {target}: is a file, a folder is needed")
    if target.is_dir() and any(target.iterdir()) and not _replaceable(config, target):
        raise UserError(
            f"target {target}: is not empty; choose another, or --config.overwrite=True if it was made here"
        )


def _replaceable(config, target):
    """Only a folder of our own is ever emptied."""
    try:
        return bool(config.overwrite) and json.loads((target / "config.json").read_text())["format"] == published.FORMAT
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _network(config, name, network, folder) -> parity.Row:
    """One network from its source to disk, and what that proves."""
    before = parity.sums(parity.weights_of(network))
    expected = config.expected.get(name)
    if expected and before.parameters != expected:
        raise UserError(
            f"{network.source}: {name} has {before.parameters:,} parameters, the published one {expected:,}; "
            f"is this the model of the recipe? --config.expected.{name}=0 takes any size"
        )
    dtype = jnp.dtype(config.dtype or before.dtype)
    params = network.params(dtype)
    written = parity.digests(params)
    store.save_params(folder / name, params)
    del params
    network.tensors.release()
    after, read = parity.read_back(store.restore_numpy(folder / name, network.shapes(dtype)))
    forward: float | str = "off"
    if config.forward:
        forward = reference.error(name, network, lambda: store.restore_params(folder / name, network.shapes()))
    return parity.Row(
        name=name,
        tensors=before.tensors,
        parameters=after.parameters,
        dtype=str(dtype),
        sums=abs(after.magnitude - before.magnitude) / before.magnitude,
        read_back=read == written,
        forward=forward,
    )


def _finish(config, model, rows, folder):
    """What makes a folder of weights a model."""
    if model.tokenizer is not None:
        shutil.copytree(model.tokenizer, folder / "tokenizer")
    if not all(row.read_back for row in rows):
        raise UserError(f"target {config.target}: what was written does not read back as it was; is the disk sound?")
    outputs.write_json(
        folder / "config.json",
        {
            "format": published.FORMAT,
            "layout": model.layout,
            "networks": {name: network.fields for name, network in model.networks.items()},
            "scheduler": model.scheduler,
            "source": pathlib.Path(model.source).name,
            "report": [row._asdict() for row in rows],
            "version": __version__,
        },
    )
