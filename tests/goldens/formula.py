"""Weights and inputs from a formula that both sides of a parity test share, so that neither has to be stored.

Integer arithmetic only, hence the same numbers wherever numpy runs: the index of an element and the checksum of its
tensor's name are mixed into 32 bits. Nothing is zero: gates and biases count in every comparison.
"""

import zlib

import numpy as np


def uniform(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """float64 in (-1, 1), one stream a name."""
    count = int(np.prod(shape, dtype=np.int64))
    u = np.arange(count, dtype=np.uint64) * 2654435761 + zlib.crc32(name.encode())
    u &= 0xFFFFFFFF
    for _ in range(2):
        u = ((u ^ (u >> 16)) * 73244475) & 0xFFFFFFFF
    u ^= u >> 16
    return ((u.astype(np.float64) + 0.5) / 2**31 - 1).reshape(shape)


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A tensor of a state dict under its torch name: outputs of about unit size whatever the layer."""
    draw = uniform(name, shape)
    if len(shape) == 0:  # a gate
        value = 0.5 + 0.5 * draw
    elif len(shape) == 1:
        value = 1 + 0.2 * draw if name.endswith("weight") else 0.2 * draw
    elif "embedding" in name:
        value = draw
    else:
        value = draw * np.sqrt(3 / np.prod(shape[1:]))
    return np.asarray(value, np.float32)


def state(shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    return {name: weight(name, tuple(shape)) for name, shape in shapes.items()}


def array(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """An input, of unit variance."""
    return (np.sqrt(3) * uniform(name, shape)).astype(np.float32)
