"""The temporal instance enhancer and gated cross-attention of TrackDiffusion (eq. 6-8), and its published variants.

    F_i = RoIAlign(V, b_i) over the frames                           what is in the box now, null where absent
    F'_i = z + SelfAttn_f(LN(z)),  z = MLP([F_i, P_i])               one instance seen by itself along time
    V <- V + tanh(a) CrossAttn(LN(V), F')                            pixels of a frame read the frame's instances
    V <- V + tanh(d) FF(LN(V))                                       both gates start at zero

It sits after the GLIGEN fuser and before the cross-attention to text. P_i is the trajectory embedding of
`tracklets.py`. Kinds of injector; what is marked (+) the paper leaves open and the published code does not have:

    "fuse"    the above, the paper's default. read: "cross" as above, or "self" = SelfAttn(LN([V, F'])) (its Table 6);
              join: P_i joins F_i as "channels", or as "tokens" along time (+); scope: a frame reads its own "frame" or
              the whole "clip" (+); any `roi_size` (+)
    "roi"     no enhancer: SelfAttn(LN([V, F])) with the present boxes of all frames of the clip
    "query"   no RoI features: instance queries read V, then one another over the clip, and V reads them

The published "roi" and "query" mix the clips of a batch; here a clip sees itself alone.
"""

from typing import Literal, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from difftrack_jax.models.attention import CrossAttention
from difftrack_jax.models.layers import FeedForward, layer_norm
from difftrack_jax.models.tracklets import Grounds, mlp
from difftrack_jax.models.transformer2d import Conditions
from difftrack_jax.ops.roi import roi_align
from difftrack_jax.typing import Array, Float

Kind = Literal["off", "fuse", "roi", "query"]
Features = Float[Array, "b f n p c"]


class Injection(NamedTuple):
    """Which injector, in which half of the network."""

    kind: Kind = "fuse"
    where: tuple[Literal["encoder", "decoder"], ...] = ("decoder",)
    read: Literal["cross", "self"] = "cross"
    join: Literal["channels", "tokens"] = "channels"
    scope: Literal["frame", "clip"] = "frame"
    roi_size: int = 1  # features of an instance are roi_size^2 tokens


class InstanceLook(nn.Module):
    """RoI features of every slot in every frame of a map [b f, h, w, c], with a null feature for absent ones."""

    roi_size: int = 1

    @nn.compact
    def __call__(self, x: Float[Array, "k h w c"], conditions: Conditions) -> Features:
        _, h, w, c = x.shape
        boxes, valid = conditions.extra.boxes, conditions.extra.valid
        b, f, n, _ = boxes.shape
        # Published files draw it from N(0, 1) and never train it; ours starts at zero and learns.
        null = self.param("null_track_feat", nn.initializers.zeros, (1, c)).astype(x.dtype)
        cells = boxes.astype(jnp.float32) * jnp.array([w, h, w, h], jnp.float32).reshape(1, 1, 1, 4)
        roi = roi_align(x, cells.reshape(b * f, n, 4), self.roi_size).reshape(b, f, n, -1, c)
        return jnp.where(valid[..., None, None] > 0, roi, null.reshape(1, 1, 1, 1, c))


class Injector(nn.Module):
    """The injector of one spatial transformer block: x is [b f, cells, c], `seen` what `InstanceLook` saw."""

    heads: int
    spec: Injection = Injection()
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "k m c"], seen: Features | None, conditions: Conditions
    ) -> Float[Array, "k m c"]:
        make = {"fuse": self._enhanced, "roi": self._present, "query": self._asked}[self.spec.kind]
        keys, mask = make(x, seen, conditions.extra)
        first = {"fuse": 2, "roi": 1, "query": 4}[self.spec.kind]
        open_ = lambda name: jnp.tanh(self.param(name, nn.initializers.zeros, ())) * conditions.gate
        gate = lambda name: jnp.asarray(open_(name)).astype(self.dtype)
        x = x + gate("alpha_attn") * self._read(x, keys, mask, self._norm(first))
        return x + gate("alpha_dense") * FeedForward(self.dtype, name="ff")(self._norm(first + 1)(x))

    def _read(self, x, keys, mask, norm):
        """Pixels read the instances, by cross-attention or by self-attention over both."""
        attend = self._attention({"fuse": "attn2", "roi": "attn", "query": "attn3"}[self.spec.kind])
        if self.spec.read == "cross" and self.spec.kind != "roi":
            return attend(norm(x), keys)  # the keys are not normed, as published
        both = norm(jnp.concatenate([x, keys], axis=1))
        if mask is not None:
            mask = jnp.concatenate([jnp.ones(x.shape[:2], bool), mask], axis=1)
        return attend(both, mask=mask)[:, : x.shape[1]]

    def _enhanced(self, x, seen, grounds: Grounds):
        """Eq. 6 and 7: instances along time, as keys of each frame."""
        b, f, n, p, c = seen.shape
        motion = grounds.motion.astype(self.dtype)
        motion = jnp.broadcast_to(motion[:, :, :, None], (b, f, n, p, motion.shape[-1]))
        if self.spec.join == "channels":
            z = mlp("linears", (c, c, c), jnp.concatenate([seen, motion], axis=-1))
        else:  # along time come first the features of all frames, then the motion of all frames
            z = jnp.concatenate([seen, nn.Dense(c, dtype=self.dtype, name="motion")(motion)], axis=1)
        rows = jnp.moveaxis(z, 2, 1).reshape(b * n, -1, c)
        rows = rows + self._attention("attn1")(self._norm(1)(rows))
        z = jnp.moveaxis(rows.reshape(b, n, -1, p, c), 1, 2)[:, :f]
        return self._keys(z.reshape(b, f, n * p, c)), None

    def _present(self, x, seen, grounds: Grounds):
        """RoI tokens of all frames of the clip, with a mask of those that are there."""
        b, f, n, p, c = seen.shape
        keys = jnp.broadcast_to(seen.reshape(b, 1, f * n * p, c), (b, f, f * n * p, c))
        here = jnp.broadcast_to(grounds.valid[:, None, :, :, None] > 0, (b, f, f, n, p))
        return keys.reshape(b * f, -1, c), here.reshape(b * f, -1)

    def _asked(self, x, seen, grounds: Grounds):
        """Queries that read their frame's pixels, then one another over the clip."""
        b, f, n, _ = grounds.queries.shape
        c = x.shape[-1]
        q = nn.Dense(c, dtype=self.dtype, name="linear")(grounds.queries).reshape(b * f, n, c)
        q = q + self._attention("attn1")(self._norm(1)(q), x)
        q = q.reshape(b, f * n, c)
        q = q + self._attention("attn2")(self._norm(2)(q))
        q = q + FeedForward(self.dtype, name="ff_extra")(self._norm(3)(q))
        return self._keys(q.reshape(b, f, n, c)), None

    def _keys(self, z):
        """Those a frame may read, [b f, keys, c]."""
        b, f, n, c = z.shape
        if self.spec.scope == "clip":
            z = jnp.broadcast_to(z.reshape(b, 1, f * n, c), (b, f, f * n, c))
        return z.reshape(b * f, -1, c)

    def _norm(self, number: int) -> nn.LayerNorm:
        return layer_norm(self.dtype, f"norm{number}")

    def _attention(self, name: str) -> CrossAttention:
        return CrossAttention(self.heads, dtype=self.dtype, name=name)
