"""What a training learns, in the words of the loop."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import optax

from difftrack_jax.typing import Params, PyTree


class Objective(NamedTuple):
    """init(key) -> params; loss(params, key, batch) -> (loss, metrics); evaluate(params) -> metrics.

    optimizer: None takes the config's plain AdamW. batches: step -> the batch of that step, of host arrays; a pure
    function of the step, so that a resumed run sees what an undisturbed one does. None: the loss draws its own data
    from its key, and is called without a batch. micro_batches: the loss of a step is that many keys' (and batches',
    which then have it as a leading axis) mean, one after the other. start: shapes of all parameters ->
    those an earlier training left, as a tree with gaps; what it lacks is drawn by init. notes: what the exported file
    has to say of itself.
    """

    init: Callable
    loss: Callable
    evaluate: Callable
    optimizer: optax.GradientTransformation | None = None
    batches: Callable[[int], PyTree] | None = None
    micro_batches: int = 1
    start: Callable[[Params], Params] = lambda shapes: {}
    notes: Mapping[str, str] = MappingProxyType({})
