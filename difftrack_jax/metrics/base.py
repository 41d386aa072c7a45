"""What a metric is: a state for each sequence, states that merge, and numbers computed from a state.

    state = metric.evaluate(...)     # one sequence: ground truth and predictions, plain arrays
    whole = metric.merge(states)     # any number of them, in any order
    numbers = metric.compute(whole)  # official names; ratios are fractions in [0, 1], counts are ints

A state is a NamedTuple of numbers and arrays, so it can be stored, sent between processes, and merged there.
`compute` of one sequence's state is that sequence's result; a data set's is `compute` of the merged one, never a mean
of results unless the official evaluator takes it. Curves over thresholds come from `curves`, where a metric has them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np

State = TypeVar("State", bound=tuple)


@runtime_checkable
class Metric(Protocol):
    """The three functions every metric module has; `evaluate` documents its own arguments."""

    evaluate: Any

    def merge(self, states: Sequence[Any]) -> Any:
        """One state for all; at least one is needed."""

    def compute(self, state: Any) -> Mapping[str, float]:
        """Results by their official names."""


def add(states: Sequence[State]) -> State:
    """The sum of states field by field; the same to the last bit in whatever order they come."""
    # Floating sums depend on the order of their terms, so each entry's terms are put into one order first.
    total = lambda terms: np.sort(np.stack(terms), axis=0).sum(axis=0)
    return type(states[0])(*(_plain(total(terms)) for terms in zip(*states)))


def concatenate(states: Sequence[State]) -> State:
    """States whose fields are arrays over sequences, one after the other."""
    return type(states[0])(*(np.concatenate(parts) for parts in zip(*states)))


def ratio(part, whole):
    """part / whole, where a whole below one (nothing to count) gives part: the rule of the official evaluators."""
    return _plain(part / np.maximum(1, whole))


def _plain(value):
    """Python numbers from arrays without axes."""
    return value.item() if np.ndim(value) == 0 else value
