"""Published models in small: the layouts of their files and folders, whole, with weights from a formula."""

import json
import pathlib

import numpy as np
from flax.traverse_util import flatten_dict
from safetensors.numpy import load_file, save_file

from difftrack_jax.backbones.published import PARTS
from difftrack_jax.checkpoints import tables
from difftrack_jax.models import variants

from . import compvis, record_reference

formula, FOLDER = record_reference.formula, record_reference.FOLDER


def adm(variant: str) -> dict[str, np.ndarray]:
    """A state dict of guided-diffusion."""
    part = PARTS["adm"]
    like = part.shapes(part.build(**variants.ADM[variant]))
    shapes = {}
    for name, leaf in flatten_dict(like, sep="/").items():
        shape, (*path, kind) = leaf.shape, name.split("/")
        if kind == "kernel":
            shape = (shape[1], shape[0], 1) if "qkv" in name or "proj_out" in name else shape[::-1]
            shape = (shape[0], shape[1], *leaf.shape[:2]) if len(leaf.shape) == 4 else shape
        shapes[".".join([*map(_dotted, path), "bias" if kind == "bias" else "weight"])] = shape
    return formula.state(shapes)


def _dotted(name: str) -> str:
    """output_blocks_7_1 -> output_blocks.7.1"""
    words = name.split("_")
    return "_".join(w for w in words if not w.isdigit()) + "".join(f".{w}" for w in words if w.isdigit())


BEGIN, END = 58, 59
MERGES = ("c a", "ca r</w>", "r e", "re d</w>", "d o", "do g</w>")


def vocabulary() -> dict[str, int]:
    """A byte-pair vocabulary in CLIP's manner: letters, letters that end a word, a few merges, two marks."""
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = [*letters, *(f"{letter}</w>" for letter in letters), *(merge.replace(" ", "") for merge in MERGES)]
    return {word: i for i, word in enumerate([*words, "<|startoftext|>", "<|endoftext|>"])}


def write_tokenizer(folder: pathlib.Path) -> None:
    """vocab.json, merges.txt and the configs beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary()))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *MERGES, ""]))
    marks = dict(bos_token="<|startoftext|>", eos_token="<|endoftext|>", unk_token="<|endoftext|>")
    config = marks | dict(pad_token="<|endoftext|>", tokenizer_class="CLIPTokenizer", model_max_length=12)
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def shapes_of(case: str) -> dict[str, list[int]]:
    return json.loads((FOLDER / "reference" / f"{case}.json").read_text())


def write_stable_diffusion(folder: pathlib.Path, unet: str = "sd1", text: str = "clip_l") -> None:
    """A whole diffusers folder: unet, vae, text_encoder, tokenizer, scheduler; networks of record_reference.py."""
    files = {
        "unet": (unet, "diffusion_pytorch_model.safetensors"),
        "vae": ("vae", "diffusion_pytorch_model.safetensors"),
        "text_encoder": (text, "model.safetensors"),
    }
    for part, (case, file) in files.items():
        config = dict(record_reference.CONFIGS[case])
        shapes = shapes_of(case)
        if part == "text_encoder":
            # The text's width is the one the U-Net reads.
            width = record_reference.CONFIGS[unet]["cross_attention_dim"]
            shapes = {
                name: [width if n == config["hidden_size"] else n for n in sizes] for name, sizes in shapes.items()
            }
            config |= dict(hidden_size=width, num_attention_heads=4)
        (folder / part).mkdir(parents=True)
        (folder / part / "config.json").write_text(json.dumps(config))
        save_file(formula.state(shapes), folder / part / file)
    write_tokenizer(folder / "tokenizer")
    (folder / "scheduler").mkdir()
    scheduler = dict(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, num_train_timesteps=1000)
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(scheduler))
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}))


def single_file(folder: pathlib.Path) -> dict[str, np.ndarray]:
    """The same weights as one file of CompVis would have them, a table of the noise schedule among them."""
    names = [f"model.diffusion_model.{name}" for name in compvis.unet((1, 2, 2), 2, (True, True, False))]
    names += [f"first_stage_model.{name}" for name in compvis.autoencoder((1, 2, 2), 2)]
    text = load_file(folder / "text_encoder" / "model.safetensors")
    state = {f"cond_stage_model.transformer.text_model.{name}": value for name, value in text.items()}
    for part, readers in tables.single_file.readers({**{name: np.array(name) for name in names}, **state}).items():
        if part != "text_encoder":
            weights = load_file(folder / part / "diffusion_pytorch_model.safetensors")
            state |= {str(read()): weights[name] for name, read in readers.items()}
    return state | {"betas": np.linspace(0, 1, 5)}
