"""Runs diffusers and transformers on tiny but complete layouts and records what they answer.

    python tests/goldens/record_reference.py          # needs torch, diffusers, transformers; rewrites reference/

Weights and inputs come from formula.py and are not stored; the shapes of the weights and the answers are. The tests
call `CASES[name]()` themselves where the reference libraries are installed, and read the recorded arrays elsewhere.
"""

import functools
import json
import pathlib
import sys

import numpy as np

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER))
import compvis  # noqa: E402
import formula  # noqa: E402

UNET = dict(in_channels=4, out_channels=4, layers_per_block=2, norm_num_groups=8)
DOWN, UP = ("CrossAttnDownBlock2D", "DownBlock2D"), ("UpBlock2D", "CrossAttnUpBlock2D")
CONFIGS = {
    "sd1": UNET
    | dict(
        block_out_channels=[16, 32, 32],
        down_block_types=[DOWN[0], DOWN[0], DOWN[1]],
        up_block_types=[UP[0], UP[1], UP[1]],
        attention_head_dim=2,
        cross_attention_dim=24,
    ),
    "sd2": UNET
    | dict(
        block_out_channels=[16, 32, 48],
        down_block_types=[DOWN[0], DOWN[0], DOWN[1]],
        up_block_types=[UP[0], UP[1], UP[1]],
        attention_head_dim=[1, 2, 3],
        cross_attention_dim=40,
        use_linear_projection=True,
        layers_per_block=1,
    ),
    "gated": UNET
    | dict(
        block_out_channels=[16, 32],
        down_block_types=[DOWN[0], DOWN[1]],
        up_block_types=[UP[0], UP[1]],
        attention_head_dim=2,
        cross_attention_dim=768,  # diffusers fixes the width of the objects' names at 768 or twice that
        attention_type="gated",
        layers_per_block=1,
    ),
    "vae": dict(
        in_channels=3,
        out_channels=3,
        down_block_types=["DownEncoderBlock2D"] * 3,
        up_block_types=["UpDecoderBlock2D"] * 3,
        block_out_channels=[16, 32, 32],
        layers_per_block=2,
        latent_channels=4,
        norm_num_groups=8,
        scaling_factor=0.18215,
    ),
    "clip_l": dict(
        vocab_size=60,
        hidden_size=32,
        intermediate_size=128,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=12,
        hidden_act="quick_gelu",
        bos_token_id=58,
        eos_token_id=59,
    ),
}
CONFIGS["openclip_h"] = CONFIGS["clip_l"] | dict(hidden_act="gelu", hidden_size=48, num_attention_heads=3)
# An odd size at every level, an even one, and one that is odd further down.
LATENTS = {"sd1": (2, 4, 10, 14), "sd2": (2, 4, 8, 12), "gated": (2, 4, 7, 9)}
IMAGES = (2, 3, 24, 40)
TOKENS = [[58, 3, 40, 17, 59, 59, 59, 59], [58, 11, 59, 0, 0, 0, 0, 0]]  # padded with the end, and with 0


def fill(model) -> dict[str, list[int]]:
    """Give a torch model its formula weights; returns the shapes by name."""
    import torch

    shapes = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    model.load_state_dict({name: torch.from_numpy(value) for name, value in formula.state(shapes).items()})
    model.eval()
    return shapes


def tensors(**shapes):
    import torch

    return [torch.from_numpy(formula.array(name, shape)) for name, shape in shapes.items()]


def unet_inputs(name: str) -> dict[str, np.ndarray]:
    batch, width = LATENTS[name][0], CONFIGS[name]["cross_attention_dim"]
    inputs = dict(
        sample=formula.array("sample", LATENTS[name]),
        timestep=np.array([17, 871]),
        text=formula.array("text", (batch, 7, width)),
    )
    if name == "gated":
        corner, size = formula.uniform("corner", (batch, 5, 2)), formula.uniform("size", (batch, 5, 2))
        boxes = np.concatenate([0.25 + 0.2 * corner, 0.75 + 0.2 * size], axis=-1).astype(np.float32)
        valid = np.array([[1, 1, 1, 0, 0], [1, 0, 1, 0, 1]], np.float32)
        inputs |= dict(boxes=boxes, valid=valid, embeddings=formula.array("embeddings", (batch, 5, width)))
    return inputs


def unet(name: str) -> tuple[dict, dict]:
    import torch
    from diffusers import UNet2DConditionModel

    model = UNet2DConditionModel(**CONFIGS[name])
    shapes, inputs = fill(model), {key: torch.from_numpy(x) for key, x in unet_inputs(name).items()}
    grounding = None
    if name == "gated":
        grounding = dict(boxes=inputs["boxes"], positive_embeddings=inputs["embeddings"], masks=inputs["valid"])
    run = functools.partial(model, inputs["sample"], inputs["timestep"], inputs["text"], return_dict=False)
    with torch.no_grad():
        layer = model.up_blocks[1].attentions[0].transformer_blocks[0]
        watched = {"maps": watch(layer.attn1), "tokens": watch(layer.attn2)}
        features = []
        model.up_blocks[0].register_forward_hook(lambda module, args, out: features.append(out.numpy()))
        gligen = lambda: {"gligen": dict(grounding)} if grounding else None  # the model empties the dict it is given
        outputs = dict(output=run(cross_attention_kwargs=gligen())[0].numpy())
        outputs |= {key: probabilities[0] for key, probabilities in watched.items()}
        outputs["features"] = features[0]
        if grounding:
            outputs["ungrounded"] = run()[0].numpy()
    return outputs, shapes


def watch(attention) -> list[np.ndarray]:
    """Collects an attention layer's probabilities, averaged over heads, from its own projections."""
    seen = []

    def hook(module, args, kwargs):
        x = kwargs.get("hidden_states", args[0] if args else None)
        context = kwargs.get("encoder_hidden_states")
        q, k = module.to_q(x), module.to_k(x if context is None else context)
        q, k = module.head_to_batch_dim(q), module.head_to_batch_dim(k)
        rows = module.get_attention_scores(q, k)
        seen.append(rows.reshape(x.shape[0], -1, *rows.shape[1:]).mean(1).numpy())

    attention.register_forward_pre_hook(hook, with_kwargs=True)
    return seen


def vae() -> tuple[dict, dict]:
    import torch
    from diffusers import AutoencoderKL

    model = AutoencoderKL(**CONFIGS["vae"])
    shapes = fill(model)
    images, z = tensors(images=IMAGES, latents=(2, 4, 6, 10))
    with torch.no_grad():
        posterior = model.encode(images).latent_dist
        outputs = dict(mean=posterior.mean.numpy(), logvar=posterior.logvar.numpy())
        return outputs | dict(decoded=model.decode(z).sample.numpy()), shapes


def clip(name: str) -> tuple[dict, dict]:
    import torch
    from transformers import CLIPTextConfig, CLIPTextModel

    model = CLIPTextModel(CLIPTextConfig(**CONFIGS[name]))
    shapes = fill(model)
    with torch.no_grad():
        out = model(torch.tensor(TOKENS), output_hidden_states=True)
        final = model.final_layer_norm if hasattr(model, "final_layer_norm") else model.text_model.final_layer_norm
        penultimate = final(out.hidden_states[-2])
    outputs = dict(last=out.last_hidden_state, pooled=out.pooler_output, penultimate=penultimate)
    return {key: value.numpy() for key, value in outputs.items()}, shapes


def dpm_inverse() -> tuple[dict, dict]:
    """The inverse scheduler's states from clean data to noise, under a toy network."""
    import torch
    from diffusers import DPMSolverMultistepInverseScheduler

    outputs = {}
    for spacing, steps in [("linspace", 10), ("linspace", 25), ("leading", 10), ("leading", 25)]:
        betas = dict(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
        offset = dict(timestep_spacing=spacing, steps_offset=1 if spacing == "leading" else 0)
        scheduler = DPMSolverMultistepInverseScheduler(**betas, **offset)
        scheduler.set_timesteps(steps)
        states = tensors(clean=(8,))
        for t in scheduler.timesteps:
            eps = 0.8 * torch.tanh(states[-1]) + 0.1 * torch.cos(t / 100)
            states.append(scheduler.step(eps, t, states[-1]).prev_sample)
        outputs[f"{spacing}{steps}/x"] = torch.stack(states).numpy()
        outputs[f"{spacing}{steps}/timesteps"] = scheduler.timesteps.numpy()
    return outputs, {}


def single_file() -> tuple[dict, dict]:
    """Where diffusers' own converters put the tensors of a CompVis file; each is marked by numbers of its own."""
    import torch
    from diffusers.loaders import single_file_utils as convert

    marked = {name: torch.from_numpy(value) for name, value in compvis.stable_diffusion_2().items()}
    unet = dict(CONFIGS["sd1"], layers_per_block=2, class_embed_type=None, addition_embed_type=None)
    unet |= dict(down_block_types=[DOWN[0]] * 3 + [DOWN[1]], up_block_types=[UP[0]] + [UP[1]] * 3)
    vae = dict(down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4)
    text = type("Text", (), {"config": type("Config", (), {"hidden_size": 1})})
    parts = {
        "unet": convert.convert_ldm_unet_checkpoint(dict(marked), unet),
        "vae": convert.convert_ldm_vae_checkpoint(dict(marked), vae),
        "text_encoder": convert.convert_open_clip_checkpoint(text, dict(marked)),
    }
    places = {f"{part}/{name}": value for part, found in parts.items() for name, value in found.items()}
    outputs = dict(
        names=np.array(list(places)),
        marks=np.array([float(value[0, 0]) for value in places.values()]),
        rows=np.array([len(value) for value in places.values()]),
    )
    return outputs, {}


CASES = {
    "single_file": single_file,
    "dpm_inverse": dpm_inverse,
    "sd1": functools.partial(unet, "sd1"),
    "sd2": functools.partial(unet, "sd2"),
    "gated": functools.partial(unet, "gated"),
    "vae": vae,
    "clip_l": functools.partial(clip, "clip_l"),
    "openclip_h": functools.partial(clip, "openclip_h"),
}


def main():
    folder = FOLDER / "reference"
    folder.mkdir(exist_ok=True)
    for name, case in CASES.items():
        outputs, shapes = case()
        np.savez_compressed(folder / f"{name}.npz", **outputs)
        (folder / f"{name}.json").write_text(json.dumps(shapes, separators=(",", ":")))
        print(name, {key: value.shape for key, value in outputs.items()})


if __name__ == "__main__":
    main()
