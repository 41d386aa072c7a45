"""Our U-Nets against diffusers' on torch: one forward pass, and one tuning step (AdamW on all weights).

    pip install -e '.[bench,reference]'
    python benchmarks/speed_vs_diffusers.py [--sizes=tiny,mid] [--repeats=5] [--all_cores] [--out=NAME]

All run in this process, in turns, on the same inputs: ours, theirs as it is (eager), and, at the sizes named by
--torch_compile, theirs under torch.compile (which needs a C++ compiler, and minutes of its own on a CPU). The Stable
Diffusion layout has the very same weights on both sides, and outputs are compared first. ADM's layout is diffusers'
UNet2DModel in the form its own converter gives guided-diffusion's networks, with weights of its own. On a GPU add
--sizes=tiny,mid,full. Ratios are of CPU seconds (on a GPU, of wall seconds), ours over theirs: below one, ours is
faster. Unless --all_cores, everything stays on one core: see report.py.
"""

import functools
import gc
import sys

import report

if "--all_cores" not in sys.argv:
    report.one_core()

import jax
import jax.numpy as jnp
import numpy as np
import optax
from absl import app, flags

from difftrack_jax.checkpoints import tables
from difftrack_jax.models.unet2d import UNet2D, shapes
from difftrack_jax.models.unet_adm import UNetADM
from difftrack_jax.runners import compilation

SIZES = flags.DEFINE_list("sizes", ["tiny", "mid"], "tiny, mid, full")
REPEATS = flags.DEFINE_integer("repeats", 5, "timed runs of each")
COMPILED = flags.DEFINE_list("torch_compile", ["tiny"], "sizes at which theirs is torch.compiled too; minutes on a CPU")
OUT = flags.DEFINE_string("out", "benchmarks/results/speed_vs_diffusers", "OUT.json, OUT.md, OUT.png")
flags.DEFINE_bool("all_cores", False, "do not stay on one core")

SD = {
    "tiny": (dict(block_out_channels=(32, 64), attention_head_dim=4, layers_per_block=1), 16),
    "mid": (dict(block_out_channels=(64, 128, 256), attention_head_dim=8, layers_per_block=2), 32),
    "full": (dict(block_out_channels=(320, 640, 1280, 1280), attention_head_dim=8, layers_per_block=2), 64),
}
ADM = {
    "tiny": (dict(model_channels=32, num_res_blocks=1, channel_mult=(1, 1, 2), attention_resolutions=(2, 4)), 32),
    "mid": (dict(model_channels=64, num_res_blocks=2, channel_mult=(1, 2, 3), attention_resolutions=(2, 4)), 64),
    "full": (
        dict(model_channels=256, num_res_blocks=2, channel_mult=(1, 1, 2, 2, 4, 4), attention_resolutions=(8, 16, 32)),
        256,
    ),
}
TEXT = 77


def main(_):
    compilation.use_cache()
    rows = []
    for size in SIZES.value:
        for layout in (stable_diffusion, adm):
            for found in compare(f"{layout.__name__} {size}", *layout(size)):
                rows.append(found)
                write(rows)  # as they come: a benchmark that is stopped keeps what it has
            gc.collect()


def write(rows):
    head = tuple(dict.fromkeys(name for row in rows for name in row))
    text = report.table(head, [[row.get(name, "") for name in head] for row in rows])
    columns = [name for name in head if name.endswith(" s")]
    figure = report.bars(rows, columns, "what", f"seconds ({clock()})")
    report.write(OUT.value, rows, text, figure, theirs=versions())


def stable_diffusion(size):
    """(their module, their arguments, our function of (params, inputs), params, inputs) with the same weights."""
    import torch
    from diffusers import UNet2DConditionModel

    sizes, side = SD[size]
    levels = len(sizes["block_out_channels"])
    torch.manual_seed(0)
    theirs = UNet2DConditionModel(
        sample_size=side,
        cross_attention_dim=64 if size != "full" else 768,
        down_block_types=(*["CrossAttnDownBlock2D"] * (levels - 1), "DownBlock2D"),
        up_block_types=("UpBlock2D", *["CrossAttnUpBlock2D"] * (levels - 1)),
        norm_num_groups=16 if size != "full" else 32,
        **sizes,
    ).to(device())
    net = UNet2D(**tables.unet2d.fields(dict(theirs.config)))
    state = {name: value.detach().cpu().numpy() for name, value in theirs.state_dict().items()}
    params = jax.tree.map(jnp.asarray, tables.unet2d.convert(state, shapes(net)))
    rng = np.random.default_rng(0)
    z = rng.standard_normal((1, side, side, 4)).astype(np.float32)
    text = rng.standard_normal((1, TEXT, theirs.config.cross_attention_dim)).astype(np.float32)
    t = np.array([321.0], np.float32)
    ours = lambda params, z, t, text: net.apply({"params": params}, z, t, text)
    return theirs, tensors(z, t, text), ours, params, (z, t, text)


def adm(size):
    """ADM's layout; parameters are drawn, so only shapes and times are alike."""
    from diffusers import UNet2DModel

    sizes, side = ADM[size]
    own = dict(num_head_channels=16 if size == "tiny" else 64, resblock_updown=True, use_scale_shift_norm=True)
    net = UNetADM(**sizes, **own, out_channels=6)
    deep = [2**level in sizes["attention_resolutions"] for level in range(len(sizes["channel_mult"]))]
    theirs = UNet2DModel(
        sample_size=side,
        out_channels=6,
        block_out_channels=tuple(sizes["model_channels"] * m for m in sizes["channel_mult"]),
        layers_per_block=sizes["num_res_blocks"],
        down_block_types=tuple("AttnDownBlock2D" if d else "ResnetDownsampleBlock2D" for d in deep),
        up_block_types=tuple("AttnUpBlock2D" if d else "ResnetUpsampleBlock2D" for d in reversed(deep)),
        attention_head_dim=own["num_head_channels"],
        resnet_time_scale_shift="scale_shift",
        downsample_type="resnet",
        upsample_type="resnet",
        norm_eps=1e-5,
    ).to(device())
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((1, side, side, 3)).astype(np.float32), np.array([321.0], np.float32)
    like = jax.eval_shape(net.init, jax.random.key(0), jnp.asarray(x), jnp.asarray(t))["params"]
    params = jax.tree.map(lambda a: jnp.asarray(0.02 * rng.standard_normal(a.shape), jnp.float32), like)
    return theirs, tensors(x, t), lambda params, x, t: net.apply({"params": params}, x, t), params, (x, t)


def compare(name, theirs, their_inputs, ours, params, inputs):
    """Two rows, one after the other: the forward pass, and the tuning step."""
    import torch

    counts = sum(leaf.size for leaf in jax.tree.leaves(params)), sum(p.numel() for p in theirs.parameters())
    if name.startswith("stable"):
        check(ours, params, inputs, theirs, their_inputs)
    calls = {"eager": theirs, **({"compiled": torch.compile(theirs)} if name.split()[-1] in COMPILED.value else {})}
    forward = jax.jit(ours).lower(params, *inputs).compile()
    runs = {"ours": lambda: forward(params, *inputs).block_until_ready()}
    runs |= {kind: functools.partial(their_forward, call, their_inputs) for kind, call in calls.items()}
    yield row(f"{name}, forward", counts, report.race(runs, REPEATS.value))
    runs = {"ours": our_step(ours, params, inputs)}
    runs |= {kind: their_step(call, theirs, their_inputs) for kind, call in calls.items()}
    yield row(f"{name}, tuning step", counts, report.race(runs, max(2, REPEATS.value // 2)))


def their_forward(call, inputs):
    import torch

    with torch.no_grad():
        return synchronized(call(*inputs).sample)


def our_step(ours, params, inputs):
    """A step of AdamW towards a fixed target."""
    rule = optax.adamw(3e-5, weight_decay=1e-2)
    target = jnp.zeros(jax.eval_shape(ours, params, *inputs).shape)

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(params, state, inputs):
        grads = jax.grad(lambda p: jnp.mean((ours(p, *inputs) - target) ** 2))(params)
        updates, state = rule.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    held = [jax.tree.map(jnp.copy, params), jax.jit(rule.init)(params)]

    def run():
        held[:] = step(*held, inputs)
        jax.block_until_ready(held)

    return run


def their_step(call, theirs, inputs):
    """The same in torch."""
    import torch

    rule = torch.optim.AdamW(theirs.parameters(), lr=3e-5, weight_decay=1e-2, foreach=True)

    def run():
        rule.zero_grad(set_to_none=True)
        call(*inputs).sample.square().mean().backward()
        rule.step()
        synchronized(None)

    return run


def check(ours, params, inputs, theirs, their_inputs):
    import torch

    with torch.no_grad():
        want = theirs(*their_inputs).sample.cpu().numpy().transpose(0, 2, 3, 1)
    found = np.asarray(jax.jit(ours)(params, *inputs))
    error = np.abs(found - want).max() / np.abs(want).max()
    assert error < 1e-3, f"the outputs differ by {error:.1e}"


def row(name, counts, clocks):
    seconds = {kind: getattr(one, clock()) for kind, one in clocks.items()}
    same = "" if counts[0] == counts[1] else f" (theirs {counts[1] / 1e6:.2f} M)"
    found = {"what": name, "parameters": f"{counts[0] / 1e6:.2f} M{same}"}
    found |= {f"{kind} s": value for kind, value in seconds.items()}
    return found | {f"ours / {kind}": seconds["ours"] / seconds[kind] for kind in seconds if kind != "ours"}


def clock() -> str:
    return "cpu" if device() == "cpu" else "wall"


def device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() and jax.default_backend() != "cpu" else "cpu"


def tensors(x, *others):
    """Channels first for images, as torch has them."""
    import torch

    arrays = [x.transpose(0, 3, 1, 2), *others]
    return tuple(torch.from_numpy(np.ascontiguousarray(array)).to(device()) for array in arrays)


def synchronized(value):
    import torch

    if device() == "cuda":
        torch.cuda.synchronize()
    return value


def versions():
    import diffusers
    import torch

    return {"torch": torch.__version__, "diffusers": diffusers.__version__, "threads": torch.get_num_threads()}


if __name__ == "__main__":
    app.run(main)
