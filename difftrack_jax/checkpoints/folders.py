"""Where things lie in a published folder (diffusers' layout), and which of several weight files to take.

    FOLDER/model_index.json  unet/config.json  unet/diffusion_pytorch_model.safetensors  vae/...  text_encoder/...
           tokenizer/vocab.json  tokenizer/merges.txt  scheduler/scheduler_config.json

Of one part's files the first of this order is taken: safetensors before torch, full precision before fp16, one file
before shards.
"""

import json
import pathlib
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from difftrack_jax.checkpoints.tensors import Tensors, open_tensors
from difftrack_jax.errors import UserError

_STEMS = ("diffusion_pytorch_model", "model", "pytorch_model")
_ORDER = tuple(
    f"{stem}{ending}"
    for ending in (
        ".safetensors",
        ".safetensors.index.json",
        ".fp16.safetensors",
        ".safetensors.index.fp16.json",
        ".bin",
        ".bin.index.json",
        ".fp16.bin",
    )
    for stem in _STEMS
)


class Part(NamedTuple):
    """One network of a folder: its config.json, and its weights."""

    config: dict[str, Any]
    tensors: Tensors


def read_part(folder: pathlib.Path, name: str) -> Part:
    """The network in FOLDER/name. Raises UserError when the folder has none, naming what is absent."""
    inside = folder / name
    if not inside.is_dir():
        there = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
        raise UserError(f"{folder}: has no part {name!r} of a diffusers folder; it holds {there}")
    return Part(read_json(inside / "config.json"), open_tensors(weight_file(inside)))


def weight_file(folder: pathlib.Path) -> pathlib.Path:
    """The weights in a part's folder: one file, or the index of its shards."""
    names = {path.name for path in folder.iterdir()}
    found = next((name for name in _ORDER if name in names), None)
    if found is None:
        raise UserError(f"{folder}: no weights here; there should be {_ORDER[0]}, {_ORDER[1]} or the like")
    return folder / found


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """A JSON object, or a UserError that names the file."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise UserError(f"{path}: is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise UserError(f"{path}: is not a JSON object")
    return value


def needed_files(files: Iterable[str], parts: Iterable[str]) -> list[str]:
    """Of a repository's files those to fetch: configs, tokenizer, scheduler, and each part's weights once.

    The part "." is the repository itself, as transformers lays its models out.
    """
    files = sorted(files)
    wanted = [name for name in files if re.fullmatch(r"[^/]+\.json|(tokenizer|scheduler)/[^/]+", name)]
    for part in parts:
        prefix = "" if part == "." else f"{part}/"
        names = {name.removeprefix(prefix) for name in files if re.fullmatch(rf"{prefix}[^/]+", name)}
        weights = next((name for name in _ORDER if name in names), None)
        chosen = {"config.json", weights} & names
        if weights and weights.endswith(".json"):
            stem, kind = weights.split(".")[:2]
            count = r"-\d+-of-\d+"
            shard = rf"{stem}(\.fp16{count}|{count}\.fp16)" if ".fp16." in weights else rf"{stem}{count}"
            chosen |= {name for name in names if re.fullmatch(rf"{shard}\.{kind}", name)}
        wanted += [f"{prefix}{name}" for name in sorted(chosen) if f"{prefix}{name}" not in wanted]
    return wanted
