"""One forward pass of a full-size latent U-Net, without torch: seconds to compile, seconds a pass, peak memory.

    python benchmarks/latent_unet.py --variant=sd15 --latent=64 --dtype=bfloat16 [--repeats=3]

Weights are random, in the dtype of the computation; `--latent=64` is an image of 512 x 512. Memory is the process's
peak on a CPU, and the device's own count elsewhere. A pass is the median of `repeats`, after one that is not timed;
the processor's own seconds beside it tell how much of the wall clock went to other processes.
"""

import resource
import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags

from difftrack_jax.models import variants
from difftrack_jax.models.unet2d import UNet2D, shapes

VARIANT = flags.DEFINE_enum("variant", "sd15", list(variants.UNET2D), "named size")
LATENT = flags.DEFINE_integer("latent", 64, "side of the latent; an eighth of the image's")
DTYPE = flags.DEFINE_enum("dtype", "float32", ["float32", "bfloat16"], "of weights and computation")
REPEATS = flags.DEFINE_integer("repeats", 3, "timed passes")


def random_weights(like, dtype):
    """A leaf at a time from one small block, for speed: the values do not matter, but for not being zero."""
    block = np.random.default_rng(0).standard_normal(1 << 16).astype(np.float32)
    scale = lambda leaf: 1 / np.sqrt(max(1, np.prod(leaf.shape[:-1])))
    return jax.tree.map(lambda leaf: jnp.asarray(np.resize(block, leaf.shape) * scale(leaf), dtype), like)


def peak_gib() -> float:
    stats = jax.devices()[0].memory_stats() or {}
    if "peak_bytes_in_use" in stats:
        return stats["peak_bytes_in_use"] / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main(_):
    dtype, side = jnp.dtype(DTYPE.value), LATENT.value
    net = UNet2D(**variants.UNET2D[VARIANT.value], dtype=dtype)
    params = random_weights(shapes(net), dtype)
    inputs = jnp.ones((1, side, side, net.in_channels)), jnp.full(1, 261.0), jnp.ones((1, 77, net.text_features))
    begin = time.perf_counter()
    run = jax.jit(lambda params, *inputs: net.apply({"params": params}, *inputs)).lower(params, *inputs).compile()
    compiled = time.perf_counter() - begin
    wall, processor = [], []
    for _ in range(1 + REPEATS.value):
        begin, busy = time.perf_counter(), time.process_time()
        jax.block_until_ready(run(params, *inputs))
        wall.append(time.perf_counter() - begin)
        processor.append(time.process_time() - busy)
    pixels = f"{8 * side} x {8 * side}"
    print(f"{VARIANT.value} {DTYPE.value} latent {side} x {side} (image {pixels}) on {jax.devices()[0].device_kind}")
    middle = lambda seconds: f"{statistics.median(seconds[1:]):.2f} s"
    print(f"compile {compiled:.1f} s; pass {middle(wall)}, of the processor {middle(processor)}", end="; ")
    print(f"peak memory {peak_gib():.2f} GiB")


if __name__ == "__main__":
    app.run(main)
