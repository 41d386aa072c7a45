"""Plain figures and what is painted on them, as functions of points in the figure's own square [-1, 1]^2.

    inside(shape, v)                 signed distance to the outline, positive inside, in half sides of the figure
    pattern(texture, v, ...)         1 where the second colour lies, 0 where the first

Shapes and textures are numbers in the order of `phrases.SHAPES` and `phrases.TEXTURES`. Angles of rest that would turn
one shape into another (a square into a diamond) are kept small by `TURN`.
"""

import jax
import jax.numpy as jnp
import numpy as np

from difftrack_jax.data.phrases import SHAPES, TEXTURES
from difftrack_jax.typing import Array, Float, Int, Scalar

# How far each shape may be turned, in radians.
TURN = dict(
    disc=np.pi, square=0.25, triangle=np.pi, diamond=0.3, ring=np.pi, cross=0.25, star=np.pi, heart=0.5, bar=np.pi,
    moon=np.pi,
)  # fmt: skip


def inside(shape: Int[Array, ""], v: Float[Array, "p 2"]) -> Float[Array, "p"]:
    """Signed distance of each point to the outline of a shape; y points down, as in frames."""
    x, y = v[:, 0], v[:, 1]
    return jax.lax.switch(shape, [_OUTLINES[name] for name in SHAPES], x, y)


def _radius(x, y):
    return jnp.sqrt(x * x + y * y + 1e-9)


def _star(x, y):
    """Every tenth of the turn, mirrored, holds one straight edge from a tip to the notch beside it."""
    tenth = jnp.pi / 5
    angle = jnp.mod(jnp.arctan2(x, -y), 2 * tenth)
    angle, r = jnp.minimum(angle, 2 * tenth - angle), _radius(x, y)
    notch = 0.42 * np.array([np.cos(np.pi / 5), np.sin(np.pi / 5)])
    normal = np.array([notch[1], 1 - notch[0]]) / np.hypot(notch[1], 1 - notch[0])
    return normal[0] * (1 - r * jnp.cos(angle)) - normal[1] * r * jnp.sin(angle)


def _heart(x, y):
    """Two discs above a wedge."""
    x = jnp.abs(x)
    disc = 0.52 - _radius(x - 0.44, y + 0.32)
    return jnp.maximum(disc, jnp.minimum((0.95 - y - 1.25 * x) / 1.6, y + 0.32))


_OUTLINES = {
    "disc": lambda x, y: 1 - _radius(x, y),
    "square": lambda x, y: 0.88 - jnp.maximum(jnp.abs(x), jnp.abs(y)),
    "triangle": lambda x, y: jnp.minimum(0.5 - y, (y + 1) / 2 - 0.866 * jnp.abs(x)),
    "diamond": lambda x, y: 0.527 * (1 - jnp.abs(x) / 0.62 - jnp.abs(y)),
    "ring": lambda x, y: jnp.minimum(1 - _radius(x, y), _radius(x, y) - 0.55),
    "cross": lambda x, y: jnp.minimum(
        1 - jnp.maximum(jnp.abs(x), jnp.abs(y)), 0.33 - jnp.minimum(jnp.abs(x), jnp.abs(y))
    ),
    "star": _star,
    "heart": _heart,
    "bar": lambda x, y: jnp.minimum(1 - jnp.abs(x), 0.27 - jnp.abs(y)),
    "moon": lambda x, y: jnp.minimum(1 - _radius(x, y), _radius(x - 0.5, y) - 0.78),
}


def pattern(
    texture: Int[Array, ""], v: Float[Array, "p 2"], angle: Scalar, period: Scalar, phase: Scalar, sharpness: Scalar
) -> Float[Array, "p"]:
    """How much of the second colour each point has. period: in half sides; sharpness: 1 / the width of an edge."""
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    p, q = v[:, 0] * cos + v[:, 1] * sin + phase, v[:, 1] * cos - v[:, 0] * sin + 0.6 * phase
    edge = lambda distance: jnp.clip(distance * sharpness + 0.5, 0, 1)
    wave = lambda u, length: jnp.sin(2 * jnp.pi * u / length)
    cell = lambda u, length: (jnp.mod(u / length, 1.0) - 0.5) * length

    def striped():
        return edge((wave(p, period) - 0.2) * period / 6.3)

    def spotted():
        return edge(0.31 * 1.15 * period - _radius(cell(p, 1.15 * period), cell(q, 1.15 * period)))

    def checked():
        return edge(wave(p, 1.4 * period) * wave(q, 1.4 * period) * period / 4.5)

    painted = {"plain": lambda: jnp.zeros_like(p), "striped": striped, "spotted": spotted, "checked": checked}
    return jax.lax.switch(texture, [painted[name] for name in TEXTURES])
