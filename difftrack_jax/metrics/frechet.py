"""The Frechet distance between two sets of features, each taken for a Gaussian (Dowson and Landau, 1982).

    d^2 = |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))

with sample means m and covariances S (divided by n - 1). With features of images this is FID, of videos FVD (`fvd` says
which). It is biased for few samples, so their numbers belong beside it: 2048 videos are customary.

States hold moments, so features of millions of videos need not be kept and parts of a set can be merged. The trace of
the root is the sum of square roots of the eigenvalues of S1^(1/2) S2 S1^(1/2), which is symmetric; the same number as
from the root of S1 S2, without its complex rounding.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class State(NamedTuple):
    """Moments of one set. scatter: the sum of outer products of what differs from the mean."""

    count: int
    mean: Float[np.ndarray, "d"]
    scatter: Float[np.ndarray, "d d"]


def evaluate(features: Float[np.ndarray, "n d"]) -> State:
    """Some of a set's samples, at least one; computed in float64."""
    features = np.asarray(features, np.float64)
    mean = features.mean(axis=0)
    centred = features - mean
    return State(len(features), mean, centred.T @ centred)


def merge(states: Sequence[State]) -> State:
    """The moments of all samples (Chan et al., 1983)."""
    whole = states[0]
    for state in states[1:]:
        count = whole.count + state.count
        apart = state.mean - whole.mean
        mean = whole.mean + apart * state.count / count
        between = np.outer(apart, apart) * (whole.count * state.count / count)
        whole = State(count, mean, whole.scatter + state.scatter + between)
    return whole


def distance(real: State, generated: State) -> float:
    """The squared Frechet distance of two sets. Sets of a single sample have no spread: only the means count then."""
    means = float(np.square(real.mean - generated.mean).sum())
    if min(real.count, generated.count) < 2:
        return means
    a, b = real.scatter / (real.count - 1), generated.scatter / (generated.count - 1)
    return float(means + np.trace(a) + np.trace(b) - 2 * _trace_of_root(a, b))


def compute(states: tuple[State, State]) -> dict[str, float]:
    """The distance, and how many samples it is of."""
    real, generated = states
    return {"frechet": distance(real, generated), "real": real.count, "generated": generated.count}


def _trace_of_root(a: Float[np.ndarray, "d d"], b: Float[np.ndarray, "d d"]) -> float:
    values, vectors = np.linalg.eigh(a)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return float(np.sqrt(np.maximum(np.linalg.eigvalsh(root @ b @ root), 0)).sum())
