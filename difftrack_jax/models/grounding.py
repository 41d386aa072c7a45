"""Words that find their object: a frame's cells are asked word by word, and a phrase is what all of its words agree on.

    y_wq   = <k_w, f_q> + b_w                                  how much word w is true of what cell q is the middle of
    m_pq   = log sigma(o_q) + sum_{w in p} log sigma(y_wq)     a phrase fits where there is an object of all its words
    heat   = m_pq + sum_{w in p} <r_w, g_q>                    "left", "biggest": further than all others that fit
    fits   = sigma(a max_q m_pq + c)                           or nothing in the frame does
    box_q  = distances from the cell's centre to the four sides of the object around it (FCOS, Tian et al. 2019)

f and g are of a convolutional network over the frame, o says that the cell lies in the middle of an object. A word of
the table is a key k_w, a bias b_w and a direction r_w, nothing else, so that words join that were never seen together.
Place and size are given to f and g as numbers, read off the box that the cell itself found.

Frames come letterboxed: whole, in the middle of a square of zeros; `extent` says how much of it they fill.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from difftrack_jax.models.layers import GroupNorm, conv, space_to_depth, upsample
from difftrack_jax.models.resnet2d import Downsample2D, ResnetBlock2D
from difftrack_jax.ops.sampling import cell_centres
from difftrack_jax.typing import Array, Float, Int

STRIDE = 8  # pixels a cell
_GROUPS = 8


class Cells(NamedTuple):
    """What was found in q cells. words: logit of every word of the table; ranks: how far each goes in its direction;
    object_: logit; box: x0, y0, x1, y1 in pixels of the square frame; inside: 0 in the border, else 1.
    """

    words: Float[Array, "b q w"]
    ranks: Float[Array, "b q w"]
    object_: Float[Array, "b q"]
    box: Float[Array, "b q 4"]
    inside: Float[Array, "b q"]


class Found(NamedTuple):
    """Of each phrase and cell: heat, whose largest is where it points, and the logit that it fits there."""

    heat: Float[Array, "b k q"]
    fits: Float[Array, "b k q"]


class Grounding(nn.Module):
    """words: of the table, of which 0 is none. widths: at 1/4, 1/8, 1/16 of the frame. features: of f; ranks: of r."""

    words: int
    widths: tuple[int, int, int] = (32, 64, 96)
    features: int = 64
    ranks: int = 16

    def setup(self):
        self.trunk = Trunk(self.widths)
        self.hidden = nn.Dense(2 * self.features)
        self.box = nn.Dense(5)
        self.read = nn.Dense(2 * self.features)
        self.norm = nn.LayerNorm()
        self.feature, self.direction = nn.Dense(self.features), nn.Dense(self.ranks)
        normal = nn.initializers.normal
        self.keys = self.param("keys", normal(self.features**-0.5), (self.words, self.features))
        self.biases = self.param("biases", nn.initializers.constant(-2.0), (self.words,))
        self.directions = self.param("directions", normal(0.1), (self.words, self.ranks))
        self.fit = self.param("fit", lambda _, shape: jnp.array([1.0, 2.0]), (2,))

    def __call__(self, frames: Float[Array, "b s s 3"], extent: Float[Array, "b 2"]) -> Cells:
        """Frames in [-1, 1]; extent: width and height of what they hold, as shares of s."""
        side = frames.shape[1] // STRIDE
        x = self.trunk(frames)
        x = x.reshape(x.shape[0], side * side, -1)
        centre = cell_centres(side, side)[None] * STRIDE
        h = nn.silu(self.hidden(x))
        out = self.box(h)
        reach = STRIDE * jnp.exp(jnp.clip(out[..., :4] + 0.7, -3.0, 4.0))
        box = jnp.concatenate([centre - reach[..., :2], centre + reach[..., 2:]], axis=-1)
        where = self._where(jax.lax.stop_gradient(box), extent, frames.shape[1])
        h = self.norm(nn.silu(self.read(jnp.concatenate([h, where], axis=-1))))
        words = self.feature(h) @ self.keys.T + self.biases[None, None]
        # Ranks are read of the numbers themselves, beside the features: they must be exact.
        ranks = self.direction(jnp.concatenate([h, where], axis=-1)) @ self.directions.T
        inside = jnp.all(jnp.abs(centre / frames.shape[1] - 0.5) < extent[:, None] / 2, axis=-1)
        return Cells(words, ranks, out[..., 4] - 2.0, box, inside.astype(jnp.float32))

    def _where(self, box, extent, size):
        """Place, size and proportions of each cell's box, as shares of the frame."""
        extent = extent[:, None]
        middle = ((box[..., :2] + box[..., 2:]) / (2 * size) - 0.5) / extent
        sides = jnp.log((box[..., 2:] - box[..., :2]) / size / jnp.sqrt(jnp.prod(extent, axis=-1, keepdims=True)))
        off = jnp.max(jnp.abs(middle), axis=-1, keepdims=True)
        mean = jnp.mean(sides, axis=-1, keepdims=True)
        return jnp.concatenate([2 * middle, 2 * off, mean + 1.5, sides - mean], axis=-1)

    def find(self, cells: Cells, phrases: Int[Array, "b k s"]) -> Found:
        """Where each phrase points; phrases are numbers of words, 0 for none."""
        said = jax.nn.one_hot(phrases, self.words).sum(axis=2).at[..., 0].set(0.0)
        agree = jnp.einsum("bkw,bqw->bkq", said, jax.nn.log_sigmoid(cells.words))
        match = agree + jax.nn.log_sigmoid(cells.object_)[:, None]
        heat = match + jnp.einsum("bkw,bqw->bkq", said, cells.ranks)
        return Found(jnp.where(cells.inside[:, None] > 0, heat, -1e9), self.fit[0] * match + self.fit[1])


class Trunk(nn.Module):
    """Residual blocks at 1/4, 1/8 and 1/16 of the frame, the last added to the one before."""

    widths: tuple[int, int, int]

    @nn.compact
    def __call__(self, frames: Float[Array, "b s s 3"]) -> Float[Array, "b h w c"]:
        fine, middle, coarse = self.widths
        block = lambda width, name: ResnetBlock2D(width, _GROUPS, name=name)
        wider = lambda width, name: conv(width, 1, dtype=jnp.float32, name=name)
        x = conv(fine, dtype=jnp.float32, name="stem")(space_to_depth(frames, 4))
        x = block(fine, "fine_1")(block(fine, "fine_0")(x))
        x = Downsample2D(name="down_0")(wider(middle, "wider_0")(x))
        x = block(middle, "middle_1")(block(middle, "middle_0")(x))
        y = Downsample2D(name="down_1")(wider(coarse, "wider_1")(x))
        y = block(coarse, "coarse")(y)
        x = x + wider(middle, "narrower")(upsample(y))
        x = block(middle, "joined")(x)
        return nn.silu(GroupNorm(_GROUPS, name="norm")(x))
