"""Noise in the shapes of drawn training pairs, where a test is about the training and not about what is drawn:
scenes take longer to compile than the rest of a step."""

import jax

from difftrack_jax.data.synthetic import Pairs


def training_batch(key, bank, *, batch, size, grid, queries, windows=False):
    """In place of data.synthetic.training_batch."""
    first, second, third = jax.random.split(key, 3)
    frames = jax.random.uniform(first, (batch, queries + 1, size, size, 3), minval=-1.0)
    source = jax.random.uniform(second, (batch, queries, 2, grid**2, 2), maxval=float(grid))
    seen = jax.random.uniform(third, (batch, queries, 3, grid**2)) < 0.7
    return Pairs(frames[:, 0], frames[:, 1:], source, seen[:, :, :2], seen[:, :, 2])
