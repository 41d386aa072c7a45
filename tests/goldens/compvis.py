"""The names in a Stable Diffusion file of CompVis, found by building the networks block by block as their code does.

Only the names are true: each tensor is a column of numbers that no other tensor has, so that one can follow it.
"""

import numpy as np


def stable_diffusion_2() -> dict[str, np.ndarray]:
    names = [f"model.diffusion_model.{name}" for name in unet()]
    names += [f"first_stage_model.{name}" for name in autoencoder()]
    names += [f"cond_stage_model.model.{name}" for name in open_clip()]
    state = {name: 4 * i + np.arange(3, dtype=np.float32)[:, None] for i, name in enumerate(names)}
    # Its width tells diffusers where the fused projection is to be cut; ours are of width one.
    state["cond_stage_model.model.text_projection"] = np.ones((1, 1), np.float32)
    return state


def leaves(*stems):
    return [f"{stem}.{leaf}" for stem in stems for leaf in ("weight", "bias")]


def resnet(place, changes):
    stems = ["in_layers.0", "in_layers.2", "emb_layers.1", "out_layers.0", "out_layers.3"]
    return leaves(*(f"{place}.{stem}" for stem in stems + ["skip_connection"] * changes))


def transformer(place):
    block = f"{place}.transformer_blocks.0"
    names = leaves(f"{place}.norm", f"{place}.proj_in", f"{place}.proj_out")
    for attention in ("attn1", "attn2"):
        names += [f"{block}.{attention}.to_{part}.weight" for part in "qkv"]
        names += leaves(f"{block}.{attention}.to_out.0")
    return names + leaves(*(f"{block}.{stem}" for stem in ("ff.net.0.proj", "ff.net.2", "norm1", "norm2", "norm3")))


def unet(mults=(1, 2, 4, 4), layers=2, attention=(True, True, True, False)):
    names, n, width, skips = leaves("time_embed.0", "time_embed.2", "input_blocks.0.0"), 1, 1, [1]
    for level, mult in enumerate(mults):
        for _ in range(layers):
            names += resnet(f"input_blocks.{n}.0", width != mult)
            names += transformer(f"input_blocks.{n}.1") if attention[level] else []
            n, width = n + 1, mult
            skips.append(mult)
        if level < len(mults) - 1:
            names += leaves(f"input_blocks.{n}.0.op")
            n += 1
            skips.append(mult)
    names += resnet("middle_block.0", False) + transformer("middle_block.1") + resnet("middle_block.2", False)
    n = 0
    for level, _ in reversed(list(enumerate(mults))):
        for i in range(layers + 1):
            skips.pop()
            names += resnet(f"output_blocks.{n}.0", True)  # the skip is joined to it: the width always changes
            names += transformer(f"output_blocks.{n}.1") if attention[level] else []
            if level and i == layers:
                names += leaves(f"output_blocks.{n}.{1 + attention[level]}.conv")
            n += 1
    return names + leaves("out.0", "out.2")


def autoencoder(mults=(1, 2, 4, 4), layers=2):
    def block(place, changes):
        return leaves(
            *(f"{place}.{stem}" for stem in ["norm1", "conv1", "norm2", "conv2"] + ["nin_shortcut"] * changes)
        )

    def middle(side):
        attention = leaves(*(f"{side}.mid.attn_1.{stem}" for stem in ("norm", "q", "k", "v", "proj_out")))
        return block(f"{side}.mid.block_1", False) + attention + block(f"{side}.mid.block_2", False)

    names, width = leaves("encoder.conv_in", "encoder.norm_out", "encoder.conv_out", "quant_conv"), 1
    for level, mult in enumerate(mults):
        for j in range(layers):
            names += block(f"encoder.down.{level}.block.{j}", width != mult)
            width = mult
        names += leaves(f"encoder.down.{level}.downsample.conv") if level < len(mults) - 1 else []
    names += middle("encoder") + middle("decoder")
    names += leaves("decoder.conv_in", "decoder.norm_out", "decoder.conv_out", "post_quant_conv")
    for level, mult in reversed(list(enumerate(mults))):
        for j in range(layers + 1):
            names += block(f"decoder.up.{level}.block.{j}", width != mult)
            width = mult
        names += leaves(f"decoder.up.{level}.upsample.conv") if level else []
    return names


def open_clip(layers=24):
    names = ["positional_embedding", "text_projection", "logit_scale", "token_embedding.weight"] + leaves("ln_final")
    for i in range(layers):
        place = f"transformer.resblocks.{i}"
        names += [f"{place}.attn.in_proj_weight", f"{place}.attn.in_proj_bias"]
        names += leaves(*(f"{place}.{stem}" for stem in ("attn.out_proj", "ln_1", "ln_2", "mlp.c_fc", "mlp.c_proj")))
    return names
