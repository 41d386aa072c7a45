"""Tracklets as tokens: where each instance is, what it is, which one it is, and how it moves (TrackDiffusion, eq. 3-4).

    h_i = MLP([class_i, Fourier(box_i)]) + e_i        location token of slot i in a frame; e_i is the instance's own
    P_i = MLP(p + SelfAttn_f(LN(p))),  p = Fourier(box_i) over the frames f              its trajectory embedding

A slot belongs to one instance for the whole clip. Where the instance is absent from a frame (valid = 0) a learned null
feature stands in for the class and another for the position; the slot still takes part in attention, as published.
Boxes are x0, y0, x1, y1 as shares of the frame, in [0, 1].
"""

from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from difftrack_jax.models.attention import CrossAttention
from difftrack_jax.models.gated import fourier, replace_absent
from difftrack_jax.models.layers import layer_norm
from difftrack_jax.typing import Array, Float

HIDDEN = 512  # of the published tokeniser, whatever the width of its tokens
MOTION = 128  # width of a trajectory embedding


class Tracklets(NamedTuple):
    """Tracklets of a clip. classes: embeddings of the slots' class names; valid: 1 where a slot is in the frame."""

    boxes: Float[Array, "b f n 4"]
    valid: Float[Array, "b f n"]
    classes: Float[Array, "b n d"]


class Grounds(NamedTuple):
    """What the U-Net's blocks read. motion: for injectors alone; queries: for the "query" injector alone."""

    boxes: Float[Array, "b f n 4"]
    valid: Float[Array, "b f n"]
    location: Float[Array, "b f n d"]
    motion: Float[Array, "b f n m"] | None = None
    queries: Float[Array, "b f n d"] | None = None


class LocationTokens(nn.Module):
    """`PositionNet` of a clip: Tracklets -> Grounds of the given width.

    slots: rows of the instance table, which starts at zero. motion: make trajectory embeddings. queries: make the
    queries of the "query" injector, from position, trajectory and instance.
    """

    width: int
    slots: int = 20
    hidden: int = HIDDEN
    instances: bool = True
    motion: bool = True
    queries: bool = False
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, tracklets: Tracklets) -> Grounds:
        b, f, n, _ = tracklets.boxes.shape
        if n != self.slots:
            raise ValueError(f"{n} slots given to a network of {self.slots}")
        valid = tracklets.valid.astype(jnp.float32).reshape(b * f, n)
        classes = jnp.repeat(tracklets.classes.astype(jnp.float32), f, axis=0)

        def present(which, values):
            null = self.param(f"null_{which}_feature", nn.initializers.zeros, values.shape[-1:])
            return replace_absent(values.reshape(b * f, n, -1), valid, null).reshape(b, f, n, -1)

        classes, position = present("positive", classes), present("position", fourier(tracklets.boxes))
        h = jnp.concatenate([classes, position], axis=-1).astype(self.dtype)
        h = mlp("linears", (self.hidden, self.hidden, self.width), h)
        e = None
        if self.instances:
            e = self.param("instance_embedding", nn.initializers.zeros, (self.slots, self.width)).astype(self.dtype)
            h = h + e[None, None]
        grounds = Grounds(tracklets.boxes, tracklets.valid, h)
        if not (self.motion or self.queries):
            return grounds
        moved = self._along_frames(position.astype(self.dtype))
        motion = mlp("tracklet_linears", (MOTION, MOTION), moved) if self.motion else None
        return grounds._replace(motion=motion, queries=self._queries(position, moved, e) if self.queries else None)

    def _along_frames(self, position):
        """Each slot's positions, having seen those of its other frames."""
        b, f, n, d = position.shape
        rows = jnp.swapaxes(position, 1, 2).reshape(b * n, f, d)
        seen = layer_norm(self.dtype, "tracklet_norm")(rows)
        rows = rows + CrossAttention(4, MOTION // 4, dtype=self.dtype, name="tracklet_attn")(seen)
        return jnp.swapaxes(rows.reshape(b, n, f, d), 1, 2)

    def _queries(self, position, moved, instance):
        b, f = position.shape[:2]
        if instance is None:
            raise ValueError("queries are made from the instance table: instances must be True")
        instance = jnp.broadcast_to(instance[None, None], (b, f, *instance.shape))
        parts = jnp.concatenate([position.astype(self.dtype), moved, instance], axis=-1)
        return mlp("query_linears", (self.hidden, self.width), parts)


def mlp(name: str, widths: tuple[int, ...], x: Array) -> Array:
    """Linear layers with SiLU between, in a compact method; numbered as in a published list: 0, 2, 4."""
    for index, width in enumerate(widths):
        x = nn.silu(x) if index else x
        x = nn.Dense(width, dtype=x.dtype, name=f"{name}_{2 * index}")(x)
    return x
