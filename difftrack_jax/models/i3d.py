"""Inception I3D (Carreira and Zisserman 2017), the Kinetics-400 network whose logits FVD compares.

    logits = I3D().apply(variables, video)       # video [b, t, 224, 224, 3] in [-1, 1] -> [b, t', 400], before softmax

The layout, names and padding are those of `pytorch_i3d` (a port of the TensorFlow original): convolutions and max
pools pad as TensorFlow does, more at the end, and pools pad with zeros. Batch norm runs on stored statistics, with the
epsilon of the port in use: 1e-3 (piergiaj) or 1e-5 (the copy in common_metrics_on_video_quality).
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from difftrack_jax.typing import Array, Float, PyTree

Video = Float[Array, "b t h w c"]
Maps = Float[Array, "b t2 h2 w2 c2"]
# Widths of the branches of each Mixed block: b0; b1a, b1b; b2a, b2b; b3b.
MIXED = {
    "3b": (64, 96, 128, 16, 32, 32),
    "3c": (128, 128, 192, 32, 96, 64),
    "4b": (192, 96, 208, 16, 48, 64),
    "4c": (160, 112, 224, 24, 64, 64),
    "4d": (128, 128, 256, 24, 64, 64),
    "4e": (112, 144, 288, 32, 64, 64),
    "4f": (256, 160, 320, 32, 128, 128),
    "5b": (256, 160, 320, 32, 128, 128),
    "5c": (384, 192, 384, 48, 128, 128),
}
POOLS = {"3a": ((1, 3, 3), (1, 2, 2)), "4a": ((3, 3, 3), (2, 2, 2)), "5a": ((2, 2, 2), (2, 2, 2))}


class Unit(nn.Module):
    """Convolution, batch norm on stored statistics, rectifier."""

    features: int
    kernel: tuple[int, int, int] = (1, 1, 1)
    stride: int = 1
    epsilon: float = 1e-3

    @nn.compact
    def __call__(self, x: Video) -> Maps:
        # SAME depends on the size, as in TensorFlow: flax pads just so.
        conv = nn.Conv(self.features, self.kernel, (self.stride,) * 3, "SAME", use_bias=False, name="conv3d")
        norm = nn.BatchNorm(use_running_average=True, epsilon=self.epsilon, name="bn")
        return nn.relu(norm(conv(x)))


class Mixed(nn.Module):
    """Four branches side by side."""

    widths: tuple[int, ...]
    epsilon: float

    @nn.compact
    def __call__(self, x: Video) -> Maps:
        unit = lambda width, kernel, name: Unit(width, (kernel,) * 3, epsilon=self.epsilon, name=name)
        a, b, c, d, e, f = self.widths
        return jnp.concatenate(
            [
                unit(a, 1, "b0")(x),
                unit(c, 3, "b1b")(unit(b, 1, "b1a")(x)),
                unit(e, 3, "b2b")(unit(d, 1, "b2a")(x)),
                unit(f, 1, "b3b")(max_pool(x, (3, 3, 3), (1, 1, 1))),
            ],
            axis=-1,
        )


class I3D(nn.Module):
    """Logits a time step; `mutable=["features"]` hands out every endpoint as "NAME.out", and "pooled.out"."""

    classes: int = 400
    epsilon: float = 1e-3

    @nn.compact
    def __call__(self, x: Float[Array, "b t h w 3"]) -> Float[Array, "b t2 {self.classes}"]:
        def show(name, value):
            self.sow("features", f"{name}.out", value, reduce_fn=lambda _, new: new)  # modules have the bare names
            return value

        unit = lambda name, width, *sizes: show(name, Unit(width, *sizes, epsilon=self.epsilon, name=name)(x))
        x = unit("Conv3d_1a_7x7", 64, (7, 7, 7), 2)
        x = show("MaxPool3d_2a_3x3", max_pool(x, (1, 3, 3), (1, 2, 2)))
        x = unit("Conv3d_2b_1x1", 64)
        x = unit("Conv3d_2c_3x3", 192, (3, 3, 3))
        for name, widths in MIXED.items():
            pool = f"{name[0]}a"
            if name.endswith("b") and pool in POOLS:
                label = {"3a": "MaxPool3d_3a_3x3", "4a": "MaxPool3d_4a_3x3", "5a": "MaxPool3d_5a_2x2"}[pool]
                x = show(label, max_pool(x, *POOLS[pool]))
            x = show(f"Mixed_{name}", Mixed(widths, self.epsilon, name=f"Mixed_{name}")(x))
        # The mean over 2 x 7 x 7, moved along time.
        x = show("pooled", nn.avg_pool(x, (2, 7, 7), (1, 1, 1), "VALID"))
        return nn.Dense(self.classes, name="logits")(x)[:, :, 0, 0]


def max_pool(x: Video, window: tuple[int, int, int], stride: tuple[int, int, int]) -> Maps:
    """The largest value of each window, zeros beyond the border (values are not negative after a rectifier)."""
    pads = []
    for size, k, s in zip(x.shape[1:4], window, stride):
        total = max(k - s if size % s == 0 else k - size % s, 0)
        pads.append((total // 2, total - total // 2))
    padded = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    return nn.max_pool(padded, window, stride, "VALID")


def shapes(net: I3D) -> PyTree:
    """Shapes and dtypes of parameters and statistics."""
    found = jax.eval_shape(net.init, jax.random.key(0), jax.ShapeDtypeStruct((1, 16, 224, 224, 3), jnp.float32))
    return {name: found[name] for name in ("params", "batch_stats")}
