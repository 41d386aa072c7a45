"""All of Stable Diffusion in one file, in the layout of CompVis' training code, as three parts under diffusers' names.

    model.diffusion_model.*         U-Net: blocks numbered through, as input_blocks.4.1 (second level, first attention)
    first_stage_model.*             autoencoder: the decoder's levels are numbered from the image inwards
    cond_stage_model.transformer.*  version 1: CLIP, under transformers' names
    cond_stage_model.model.*        version 2: OpenCLIP, query, key and value fused; its last layer is not used

`readers` gives each part's tensors as functions that read them, so that nothing is read before its turn. Averages kept
beside the weights (model_ema), the noise schedule's tables and the training loss are known and left; anything else
raises. Where both are there the weights are taken, not their averages, as diffusers does.
"""

import re
from collections.abc import Callable, Mapping

import numpy as np

from difftrack_jax.errors import UserError

Reader = Callable[[], np.ndarray]
UNET, VAE, CLIP, OPENCLIP = (
    "model.diffusion_model.",
    "first_stage_model.",
    "cond_stage_model.transformer.",
    "cond_stage_model.model.",
)
LEFT = re.compile(
    r"model_ema\..+|first_stage_model\.loss\..+|cond_stage_model\.model\.(?:text_projection|logit_scale|attn_mask)"
    r"|betas|(?:sqrt_|sqrt_recip_|sqrt_recipm1_)?alphas_cumprod(?:_prev)?|(?:sqrt|log)_one_minus_alphas_cumprod"
    r"|posterior_.+|lvlb_weights|logvar|scale_factor"
)
RESNET = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
TOP = {
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "input_blocks.0.0": "conv_in",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
}
ATTENTION = {"norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}
OPEN_LAYER = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
OPEN_TOP = {
    "token_embedding.weight": "embeddings.token_embedding.weight",
    "positional_embedding": "embeddings.position_embedding.weight",
    "ln_final.weight": "final_layer_norm.weight",
    "ln_final.bias": "final_layer_norm.bias",
}


def readers(state: Mapping[str, np.ndarray]) -> dict[str, dict[str, Reader]]:
    """{"unet", "vae", "text_encoder"} -> diffusers' or transformers' name -> what reads the tensor.

    Raises UserError for a tensor of no part, and for a part that is not there.
    """
    parts = {"unet": {}, "vae": {}, "text_encoder": {}}
    unet, vae = _unet_names(state), _vae_names(state)
    dropped = _last_open_layer(state)
    for name in state:
        if LEFT.fullmatch(name) or (dropped and name.startswith(dropped)):
            continue
        read = lambda name=name: state[name]
        if name.startswith(UNET):
            parts["unet"][unet(name.removeprefix(UNET))] = read
        elif name.startswith(VAE):
            parts["vae"][vae(name.removeprefix(VAE))] = read
        elif name.startswith(CLIP):
            parts["text_encoder"][name.removeprefix(CLIP)] = read
        elif name.startswith(OPENCLIP):
            parts["text_encoder"] |= _open_clip(name.removeprefix(OPENCLIP), read)
        else:
            raise UserError(f"weights: {name} belongs to no part of Stable Diffusion")
    for part, found in parts.items():
        if not found:
            raise UserError(f"weights: there is no {part} in this file")
    return parts


def variant(state: Mapping[str, np.ndarray]) -> dict[str, str]:
    """The named size of each part, told by the width of the text that the U-Net reads and by its fusers."""
    to_k = next((name for name in state if name.startswith(UNET) and name.endswith("attn2.to_k.weight")), None)
    if to_k is None:
        raise UserError("weights: no U-Net of Stable Diffusion 1 or 2 in this file (nothing called attn2.to_k)")
    width = state[to_k].shape[1]
    gated = any(".fuser." in name for name in state)
    known = {768: ("gligen_sd14" if gated else "sd15", "clip_l"), 1024: ("sd21", "openclip_h")}
    if width not in known:
        raise UserError(f"weights: a U-Net that reads texts of width {width}; Stable Diffusion's are 768 and 1024")
    unet, text = known[width]
    return {"unet": unet, "vae": "sd", "text_encoder": text}


def _unet_names(state) -> Callable[[str], str]:
    """Blocks are numbered through, and how many make a level is seen from where the first downsampling stands."""
    pattern = re.compile(re.escape(UNET) + r"input_blocks\.(\d+)\.0\.op\.weight")
    found = [int(match[1]) for match in map(pattern.fullmatch, state) if match]
    level = min(found, default=3)  # blocks of a level: `layers` and the downsampling, or one layer more on the way up

    def rename(name: str) -> str:
        stem, _, leaf = name.rpartition(".")
        if stem in TOP:
            return f"{TOP[stem]}.{leaf}"
        if name.startswith("position_net."):
            return name
        match = re.fullmatch(r"(input_blocks|output_blocks)\.(\d+)\.(\d+)\.(.+)|(middle_block)\.(\d+)\.(.+)", name)
        if not match:
            raise UserError(f"weights: {UNET}{name} is no tensor of Stable Diffusion's U-Net")
        if match[5]:
            part, rest = int(match[6]), match[7]
            where = f"mid_block.attentions.0.{rest}" if part == 1 else f"mid_block.resnets.{part // 2}.{_resnet(rest)}"
            return where
        down, number, part, rest = match[1] == "input_blocks", int(match[2]), int(match[3]), match[4]
        i, j = divmod(number - down, level)
        block = f"{'down' if down else 'up'}_blocks.{i}"
        if rest.startswith(("op.", "conv.")):
            return f"{block}.{'down' if down else 'up'}samplers.0.conv.{leaf}"
        return f"{block}.attentions.{j}.{rest}" if part else f"{block}.resnets.{j}.{_resnet(rest)}"

    return rename


def _resnet(rest: str) -> str:
    stem, _, leaf = rest.rpartition(".")
    if stem not in RESNET:
        raise UserError(f"weights: no layer {stem} in a residual block")
    return f"{RESNET[stem]}.{leaf}"


def _vae_names(state) -> Callable[[str], str]:
    found = [re.match(re.escape(VAE) + r"decoder\.up\.(\d+)\.", name) for name in state]
    top = max((int(match[1]) for match in found if match), default=3)

    def rename(name: str) -> str:
        match = re.fullmatch(r"(encoder|decoder)\.(?:down|up)\.(\d+)\.(.+)", name)
        if match:
            side, level, rest = match[1], int(match[2]), match[3]
            place = f"encoder.down_blocks.{level}" if side == "encoder" else f"decoder.up_blocks.{top - level}"
            rest = re.sub(r"^block\.", "resnets.", rest).replace("nin_shortcut", "conv_shortcut")
            return place + "." + re.sub(r"^(down|up)sample\.", r"\1samplers.0.", rest)
        match = re.fullmatch(r"(encoder|decoder)\.mid\.(block_([12])|attn_1)\.(.+)", name)
        if match and match[3]:
            rest = match[4].replace("nin_shortcut", "conv_shortcut")
            return f"{match[1]}.mid_block.resnets.{int(match[3]) - 1}.{rest}"
        if match:
            stem, _, leaf = match[4].rpartition(".")
            return f"{match[1]}.mid_block.attentions.0.{ATTENTION.get(stem, stem)}.{leaf}"
        return name.replace("norm_out", "conv_norm_out")

    return rename


def _last_open_layer(state) -> str:
    """The prefix of OpenCLIP's last layer, whose answer Stable Diffusion 2 does not read; "" for version 1."""
    layer = re.compile(re.escape(OPENCLIP) + r"transformer\.resblocks\.(\d+)\.")
    numbers = [int(match[1]) for match in map(layer.match, state) if match]
    return f"{OPENCLIP}transformer.resblocks.{max(numbers)}." if numbers else ""


def _open_clip(name: str, read: Reader) -> dict[str, Reader]:
    """One tensor of OpenCLIP's text tower under transformers' names; the fused projection is three."""
    if name in OPEN_TOP:
        return {OPEN_TOP[name]: read}
    match = re.fullmatch(r"transformer\.resblocks\.(\d+)\.(.+?)[._](weight|bias)", name)
    place = f"encoder.layers.{match[1]}" if match else ""
    if match and match[2] in OPEN_LAYER:
        return {f"{place}.{OPEN_LAYER[match[2]]}.{match[3]}": read}
    if match and match[2] == "attn.in_proj":
        third = lambda i: lambda: np.split(read(), 3)[i]
        return {f"{place}.self_attn.{part}_proj.{match[3]}": third(i) for i, part in enumerate("qkv")}
    raise UserError(f"weights: {OPENCLIP}{name} is no tensor of OpenCLIP's text encoder")
