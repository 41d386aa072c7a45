"""What a conversion can prove of itself, network by network.

accounted    every published tensor has gone into a parameter, or is known to be none          always (rules.py)
sizes        as many parameters as the published network has                                   always
sums         sum of |w| over what was read and over what lies on disk now                      always
read back    what lies on disk is, bit for bit, what was written                               always
forward      both networks' answers to one random input, largest error over largest value      with the extra
                                                                                               `reference` installed
"""

import re
import zlib
from collections.abc import Iterable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

from difftrack_jax.backbones.published import Network
from difftrack_jax.checkpoints.rules import Rule
from difftrack_jax.typing import Params


class Sums(NamedTuple):
    """Of floating-point tensors: how many, of how many numbers, their widest dtype, and the sum of their sizes |w|."""

    tensors: int
    parameters: int
    dtype: str
    magnitude: float


class Row(NamedTuple):
    """One line of the report. forward: the error, or why there is none."""

    name: str
    tensors: int
    parameters: int
    dtype: str
    sums: float
    read_back: bool
    forward: float | str


def sums(arrays: Iterable[np.ndarray]) -> Sums:
    """One pass; an array is let go before the next is read."""
    tensors, parameters, magnitude, widest = 0, 0, 0.0, np.dtype(np.float16)
    for array in arrays:
        if jnp.issubdtype(array.dtype, jnp.floating):
            tensors, parameters = tensors + 1, parameters + array.size
            magnitude += float(np.sum(np.abs(array), dtype=np.float64))
            if parameters == array.size or array.dtype.itemsize > widest.itemsize:
                widest = array.dtype
    return Sums(tensors, parameters, str(widest), magnitude)


def weights_of(network: Network) -> Iterable[np.ndarray]:
    """The published tensors that are weights of ours."""
    for name, array in network.tensors.items():
        if not _ignored(network.part.rules, name, array.ndim):
            yield array


def _ignored(rules: tuple[Rule, ...], name: str, rank: int) -> bool:
    """The rule that takes the tensor says that it is no weight."""
    taking = (rule for rule in rules if rule.rank == rank and re.fullmatch(rule.pattern, name))
    return next((rule.target is None for rule in taking), False)


def digests(params: Params) -> dict[str, int]:
    """A checksum of each parameter."""
    flat = flatten_dict(params, sep="/")
    return {name: zlib.crc32(np.ascontiguousarray(leaf).reshape(-1).view(np.uint8)) for name, leaf in flat.items()}


def read_back(parts: Iterable[Params]) -> tuple[Sums, dict[str, int]]:
    """Sums and digests of weights that come part by part."""
    total, found = Sums(0, 0, "", 0.0), {}
    for part in parts:
        more = sums(flatten_dict(part).values())
        magnitude = total.magnitude + more.magnitude
        total = Sums(total.tensors + more.tensors, total.parameters + more.parameters, more.dtype, magnitude)
        found |= digests(part)
    return total, found


def table(rows: Iterable[Row]) -> str:
    """The report as text."""
    head = ("network", "tensors", "parameters", "dtype", "left over", "sum |w|", "read back", "forward")
    lines = [head]
    for row in rows:
        forward = row.forward if isinstance(row.forward, str) else f"{row.forward:.1e}"
        back = "identical" if row.read_back else "DIFFERS"
        lines.append(
            (row.name, str(row.tensors), f"{row.parameters:,}", row.dtype, "none", f"{row.sums:.1e}", back, forward)
        )
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)
