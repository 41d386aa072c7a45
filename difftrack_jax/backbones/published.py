"""From a published file or folder to networks of ours: which there are, how large, and their weights when asked for.

    model = open_model(path)            a diffusers folder, a single-file checkpoint, ADM's .pt, or a folder that
    model.networks["unet"].module       configs/convert/*.py wrote
    model.networks["unet"].params()     read now, every tensor accounted for

What a network is called, where its sizes come from and how its weights are renamed is one row of `PARTS`.
"""

import functools
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from difftrack_jax.checkpoints import folders, rules, store, tables
from difftrack_jax.checkpoints.tables import single_file
from difftrack_jax.checkpoints.tensors import Tensors, open_tensors
from difftrack_jax.errors import UserError
from difftrack_jax.models import clip_text, unet2d, unet3d, vae, variants
from difftrack_jax.models.clip_text import CLIPText
from difftrack_jax.models.unet2d import UNet2D
from difftrack_jax.models.unet_adm import UNetADM
from difftrack_jax.models.vae import AutoencoderKL
from difftrack_jax.typing import Params, PyTree

FORMAT = "difftrack_jax/1"  # of our own folders, in their config.json


class Part(NamedTuple):
    """One network. fields: its published config.json -> the fields of `build`. shapes: of the module's parameters.

    rules: what becomes of its tensors. convert: (tensors, shapes) -> parameters; raises UserError for a tensor missing,
    left over or misshapen.
    """

    build: Callable[..., nn.Module]
    fields: Callable[[Mapping[str, Any]], dict[str, Any]]
    shapes: Callable[[Any], PyTree]
    rules: tuple[rules.Rule, ...]
    convert: Callable[[Mapping[str, np.ndarray], PyTree], Params]


class Network(NamedTuple):
    """A network of a model. config, tensors: as published; {} and None in our own folders. source: for messages."""

    part: Part
    fields: dict[str, Any]
    config: Mapping[str, Any]
    source: str
    tensors: Tensors | None
    load: Callable[[PyTree], Params]

    @property
    def module(self) -> nn.Module:
        return self.part.build(**self.fields)

    def shapes(self, dtype: Any = jnp.float32) -> PyTree:
        """Shapes of the parameters, in the dtype asked for."""
        return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, dtype), _traced(self.part.shapes, self.module))

    def on_device(self) -> Params:
        """The weights in float32 as jax arrays, which stay where they are from step to step."""
        params = jax.tree.map(jnp.asarray, self.params())
        if self.tensors is not None:
            self.tensors.release()
        return params

    def params(self, dtype: Any = jnp.float32) -> Params:
        """The weights, views of the file where they can be. Raises UserError naming the file and the tensor."""
        try:
            return self.load(self.shapes(dtype))
        except UserError as error:
            raise UserError(_with_source(self.source, error)) from error


@functools.cache
def _traced(shapes, module):
    """Tracing a large network takes seconds."""
    return shapes(module)


class Model(NamedTuple):
    """What a path holds. layout: "stable_diffusion" or "adm". scheduler: its published config, {} where there is none.

    tokenizer: the folder of its files, or None.
    """

    layout: str
    source: str
    networks: dict[str, Network]
    scheduler: dict[str, Any]
    tokenizer: pathlib.Path | None


def _adm_shapes(net: UNetADM) -> PyTree:
    image = jnp.zeros((1, 64, 64, net.in_channels))
    return jax.eval_shape(net.init, jax.random.key(0), image, jnp.zeros(1))["params"]


def _part(build, shapes, table) -> Part:
    return Part(build, table.fields, shapes, table.RULES, table.convert)


PARTS = {
    "adm": Part(UNetADM, dict, _adm_shapes, rules.ADM, rules.from_torch_adm),
    "unet": _part(UNet2D, unet2d.shapes, tables.unet2d),
    "vae": _part(AutoencoderKL, vae.shapes, tables.vae),
    "text_encoder": _part(CLIPText, clip_text.shapes, tables.clip_text),
    "video_unet": Part(unet3d.build, dict, unet3d.shapes, tables.unet3d.RULES, tables.unet3d.convert),
}
VIDEO = "UNet3DConditionModel"  # the published class of video U-Nets
STABLE_DIFFUSION = ("unet", "vae", "text_encoder")


def open_model(path: str | pathlib.Path) -> Model:
    """What the file or folder holds. Raises UserError, one line, when it is none of the kinds above."""
    path = pathlib.Path(path).expanduser()
    if path.is_dir():
        if (path / "config.json").is_file():
            alone = folders.read_json(path / "config.json").get("_class_name") == VIDEO
            return _video(path.parent, path.name) if alone else _ours(path)
        if (path / "model_index.json").is_file() or (path / "unet").is_dir():
            return _diffusers(path)
        there = ", ".join(sorted(entry.name for entry in path.iterdir())[:8]) or "nothing"
        raise UserError(f"model {path}: neither a diffusers folder nor one that we converted; it holds {there}")
    tensors = open_tensors(path)
    if "time_embed.0.weight" in tensors and "input_blocks.0.0.weight" in tensors:
        return _adm(path, tensors)
    if any(name.startswith("model.diffusion_model.") for name in tensors):
        return _single_file(path, tensors)
    raise UserError(f"model {path}: of no network known here; its first tensor is {next(iter(tensors))}")


def _with_source(source, error):
    message = str(error)
    return message if source in message else f"{source}: {message.removeprefix('weights: ')}"


def _published(name: str, config: Mapping[str, Any], tensors: Tensors) -> Network:
    part = PARTS[name]
    try:
        fields = part.fields(config)
    except UserError as error:
        raise UserError(_with_source(tensors.source, error)) from error
    return Network(part, fields, config, tensors.source, tensors, functools.partial(part.convert, tensors))


def _video(folder, unet="unet"):
    """TrackDiffusion: a video U-Net, with the autoencoder and the text encoder where they are beside it."""
    config, tensors = folders.read_part(folder, unet)
    try:
        fields = tables.unet3d.fields(config, tensors)
    except UserError as error:
        raise UserError(_with_source(tensors.source, error)) from error
    part = PARTS["video_unet"]
    load = functools.partial(part.convert, tensors)
    networks = {"video_unet": Network(part, fields, config, tensors.source, tensors, load)}
    beside = [name for name in ("vae", "text_encoder") if unet == "unet" and (folder / name).is_dir()]
    networks |= {name: _published(name, *folders.read_part(folder, name)) for name in beside}
    scheduler, tokenizer = folder / "scheduler" / "scheduler_config.json", folder / "tokenizer"
    found = folders.read_json(scheduler) if scheduler.is_file() else {}
    return Model("trackdiffusion", str(folder), networks, found, tokenizer if tokenizer.is_dir() else None)


def _diffusers(folder):
    config = folder / "unet" / "config.json"
    if config.is_file() and folders.read_json(config).get("_class_name") == VIDEO:
        return _video(folder)
    networks = {name: _published(name, *folders.read_part(folder, name)) for name in STABLE_DIFFUSION}
    scheduler = folder / "scheduler" / "scheduler_config.json"
    tokenizer = folder / "tokenizer"
    return Model(
        "stable_diffusion",
        str(folder),
        networks,
        folders.read_json(scheduler) if scheduler.is_file() else {},
        tokenizer if tokenizer.is_dir() else None,
    )


def _single_file(path, tensors):
    """Three networks in one file, which says nothing of their sizes, nor of what a version 2 predicts: velocity, as the
    one for 768 pixels does; the one for 512 should be taken as a folder.
    """
    try:
        parts, sizes = single_file.readers(tensors), single_file.variant(tensors)
    except UserError as error:
        raise UserError(_with_source(str(path), error)) from error
    known = {"unet": variants.UNET2D, "vae": variants.VAE, "text_encoder": variants.CLIP_TEXT}
    networks = {}
    for name, readers in parts.items():
        part, own = PARTS[name], Tensors(path, readers)
        load = functools.partial(part.convert, own)
        networks[name] = Network(part, dict(known[name][sizes[name]]), {}, str(path), own, load)
    scheduler = {"prediction_type": "v_prediction"} if sizes["unet"] == "sd21" else {}
    beside = path.parent / "tokenizer"
    return Model("stable_diffusion", str(path), networks, scheduler, beside if beside.is_dir() else None)


def _adm(path, tensors):
    """ADM's files say nothing of the network but the shapes of its tensors."""
    width = tensors["time_embed.0.weight"].shape[1]
    published = {name: size for name, size in variants.ADM.items() if not size.get("patch")}
    found = next((size for size in published.values() if size["model_channels"] == width), None)
    if found is None:
        known = ", ".join(f"{name} ({size['model_channels']})" for name, size in published.items())
        raise UserError(f"model {path}: an ADM network of width {width}; known are {known}")
    return Model("adm", str(path), {"adm": _published("adm", found, tensors)}, {}, None)


def _ours(folder):
    config = folders.read_json(folder / "config.json")
    if config.get("format") != FORMAT:
        raise UserError(f"model {folder}: its config.json is not one that we wrote (format {FORMAT})")
    networks = {}
    for name, fields in config["networks"].items():
        fields = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
        where = folder / name
        networks[name] = Network(
            PARTS[name], fields, {}, str(where), None, functools.partial(store.restore_params, where)
        )
    tokenizer = folder / "tokenizer"
    found = tokenizer if tokenizer.is_dir() else None
    return Model(config["layout"], str(folder), networks, config["scheduler"], found)
