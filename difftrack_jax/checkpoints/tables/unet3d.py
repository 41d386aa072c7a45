"""TrackDiffusion's and ModelScopeT2V's video U-Nets to `models.unet3d.UNet3D`, and the pouring of one into the other.

    released      everything of one file; what some releases lack is named in ABSENT and starts at zero
    poured        Stable Diffusion or GLIGEN for the spatial layers, ModelScope for the temporal ones

The published config says attention_type "gated" whatever the file holds, so the layout is read off the names. Names
stay, with dots before numbers turned into underscores; a block's null feature lies in its `look`.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from difftrack_jax.checkpoints.rules import LAYERS, Rule, pointwise, same
from difftrack_jax.checkpoints.rules import convert as apply
from difftrack_jax.checkpoints.tables.fields import needed
from difftrack_jax.checkpoints.tables.unet2d import GLIGEN
from difftrack_jax.errors import UserError
from difftrack_jax.typing import Params, PyTree

WHAT = "video U-Net"
RULES = (
    Rule(r"(.*time_embedder|position_net\.instance_embedding)\.weight", 2, r"\1", same),
    Rule(r"(.+)\.null_track_feat\.weight", 2, r"\1.look.null_track_feat", same),
    Rule(r"(.+\.injector\.alpha_(?:attn|dense))", 0, r"\1", same),
    Rule(r"(.+)\.weight", 5, r"\1.kernel", lambda w: w.transpose(2, 3, 4, 1, 0)),  # convolution [o, i, 3, 1, 1]
    Rule(r"(.+\.proj_(?:in|out))\.weight", 4, r"\1.kernel", pointwise),
    *GLIGEN,
    *LAYERS,
)
# Our names of what a release may lack, and nothing else may be absent. All of it starts at zero in training.
ABSENT = re.compile(r"(^|/)(time_embedder|instance_embedding|null_track_feat)$")
# ModelScope's part of a poured network, by published names, and that part of ours.
TEMPORAL = re.compile(r"^transformer_in\.|\.temp_(convs|attentions)\.")
OURS_TEMPORAL = re.compile(r"^transformer_in/|/temp_(convs|attentions)_\d+/")
# What neither source of a poured network has: trained in TrackDiffusion's second stage.
FRESH = re.compile(r"/injector/|position_net/tracklet_|(^|/)(time_embedder|instance_embedding|null_track_feat)$")


def fields(config: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `UNet3D` from config.json and the names in the file (whose values are not looked at, bar shapes)."""
    widths = tuple(needed(config, "block_out_channels", WHAT))
    holds = lambda start: any(name.startswith(start) for name in names)
    attention = tuple(holds(f"down_blocks.{level}.attentions.") for level in range(len(widths)))
    text = names.get("mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight")
    if text is None:
        raise UserError(f"{WHAT}: no cross-attention to text in the file; is it a U-Net?")
    found = dict(
        widths=widths,
        heads=(8,) * len(widths),
        attention=attention,
        layers=config.get("layers_per_block", 2),
        text_features=int(text.shape[1]),
        in_channels=config.get("in_channels", 4),
        out_channels=config.get("out_channels", 4),
        groups=config.get("norm_num_groups", 32),
        gated=any(".fuser." in name for name in names),
        head_dim=config.get("attention_head_dim", 64),
    )
    if any(".injector.linears." in name for name in names):
        sides = {name.partition("_")[0] for name in names if ".injector." in name}
        where = [place for place, side in (("encoder", "down"), ("decoder", "up")) if side in sides]
        return {**found, "injection": {"kind": "fuse", "where": where}}
    if any(".injector." in name for name in names):
        raise UserError(f"{WHAT}: its injectors are not of the default kind, the only one that is read")
    return {**found, "injection": {"kind": "off"}}


def convert(state: Mapping[str, np.ndarray], like: PyTree) -> Params:
    """Parameters in the shapes and dtypes of `like` from a TrackDiffusion file; only `ABSENT` may be missing."""
    return apply(_filled(state, like, ABSENT), like, RULES)


def pour(spatial: Mapping[str, np.ndarray], temporal: Mapping[str, np.ndarray], like: PyTree, fresh: Params) -> Params:
    """The start of TrackDiffusion's training: spatial layers of a 2D U-Net (GLIGEN's grounding, where it has any),
    temporal layers of ModelScope, and `fresh` parameters for what neither has.
    """
    flat = flatten_dict(like, sep="/")
    own = {name: leaf for name, leaf in flat.items() if OURS_TEMPORAL.search(name) and not FRESH.search(name)}
    moved = apply({n: w for n, w in temporal.items() if TEMPORAL.search(n)}, unflatten_dict(own, sep="/"), RULES)
    grounded = any(name.startswith("position_net.") for name in spatial)
    new = lambda name: FRESH.search(name) or (not grounded and re.search(r"position_net/|/fuser/", name))
    rest = {name: leaf for name, leaf in flat.items() if name not in own and not new(name)}
    still = apply(spatial, unflatten_dict(rest, sep="/"), RULES)
    started = flatten_dict(fresh, sep="/")
    poured = {**flatten_dict(still, sep="/"), **flatten_dict(moved, sep="/")}
    return unflatten_dict({name: poured.get(name, started[name]) for name in flat}, sep="/")


def _filled(state: Mapping[str, np.ndarray], like: PyTree, absent: re.Pattern) -> dict[str, np.ndarray]:
    """The file, with zeros for what may be absent and is."""
    given = dict(state)
    for name, leaf in flatten_dict(like, sep="/").items():
        if absent.search(name):
            published = re.sub(r"_(?=\d)", ".", name.replace("/look/", "/").replace("/", ".")) + ".weight"
            given.setdefault(published, np.zeros(leaf.shape, leaf.dtype))
    return given
