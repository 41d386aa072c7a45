"""How targets lie in slots [windows, places]: empty slots, more slots, one slot set or marked afresh.

Isolated, every identity has a window, and a place in it or (a pose) one for each joint; joint, all share one window.
Sizes come from a short list, so that few are ever compiled.
"""

import jax
import jax.numpy as jnp

from difftrack_jax.ops.boxes import centre_size
from difftrack_jax.tracking.indicators import SEGMENT, Targets
from difftrack_jax.tracking.processes import Memory
from difftrack_jax.tracking.tracker import State
from difftrack_jax.typing import Array, Bool, Float, Int


def capacity(needed: int) -> int:
    """Slots for a number of targets: powers of two and the numbers halfway between."""
    power = 1 << (needed - 1).bit_length()
    return 3 * power // 4 if power >= 4 and needed <= 3 * power // 4 else power


def empty(windows: int, places: int, mask_side: int) -> Targets:
    """Slots that hold nothing."""
    box = jnp.tile(jnp.array([0.0, 0.0, 1.0, 1.0]), (windows, places, 1))
    # Typed, because a weak type would compile the step twice.
    return Targets(
        kind=jnp.full((windows, places), SEGMENT, jnp.int32),
        identity=jnp.zeros((windows, places), jnp.int32),
        valid=jnp.zeros((windows, places), bool),
        anchor=jnp.full((windows, places, 2), 16.0, jnp.float32),
        size=jnp.full((windows, places, 2), 16.0, jnp.float32),
        mask=jnp.zeros((windows, places, mask_side, mask_side)),
        mask_window=box,
        visible=jnp.zeros((windows, places), bool),
        score=jnp.zeros((windows, places)),
        clear=jnp.ones((windows, places)),
    )


def filled(rows: list[list[Targets]], windows: int, places: int, mask_side: int) -> Targets:
    """rows[w][m]: what lies in window w, place m; the rest is empty."""
    targets = empty(windows, places, mask_side)
    for w, row in enumerate(rows):
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *row)
        targets = jax.tree.map(lambda t, r, w=w: t.at[w, : len(r)].set(r), targets, stacked)
    return targets


def padded(state: State, windows: int, places: int) -> State:
    """The state with more windows, more places in each, or both; what is new is empty."""
    w, m, side = state.targets.mask.shape[:3]
    fresh = empty(windows, places, side)
    targets = jax.tree.map(lambda new, old: new.at[:w, :m].set(old), fresh, state.targets)

    def pad(a, axes):
        return jnp.pad(a, [(0, axes.get(i, 0)) for i in range(a.ndim)])

    def grow(memory: Memory) -> Memory:
        return Memory(
            jax.tree.map(lambda a: pad(a, {0: windows - w}), memory.keys),
            pad(memory.kernels, {0: windows - w, 3: places - m}),
            pad(memory.coordinates, {0: windows - w, 3: places - m}),
            pad(memory.image, {0: windows - w}),
            pad(memory.masks, {0: windows - w, 4: places - m}),
        )

    tuning = None if state.tuning is None else jax.tree.map(lambda a: pad(a, {0: windows - w}), state.tuning)
    return state._replace(targets=targets, first=grow(state.first), recent=grow(state.recent), tuning=tuning)


def window_replaced(state: State, other: State, w: Int[Array, ""]) -> State:
    """The state with window `w` taken from another state's only window, everything it remembers included."""
    put = lambda old, new: jax.tree.map(lambda o, n: o.at[w].set(n[0]), old, new)
    return state._replace(
        targets=put(state.targets, other.targets),
        first=put(state.first, other.first),
        recent=put(state.recent, other.recent),
        tuning=None if state.tuning is None else put(state.tuning, other.tuning),
    )


def place_replaced(state: State, row: Targets, m: Int[Array, ""]) -> State:
    """The state of a joint tracker with place `m` given to another target, which no reference has marked yet."""
    unmark = lambda memory: memory._replace(
        kernels=memory.kernels.at[..., m].set(0.0), coordinates=memory.coordinates.at[..., m, :].set(0.0)
    )
    targets = jax.tree.map(lambda t, r: t.at[0, m].set(r), state.targets, row)
    return state._replace(targets=targets, first=unmark(state.first), recent=unmark(state.recent))


def moved(state: State, here: Bool[Array, "w m"], place: Float[Array, "w m 4"]) -> State:
    """The state with the boxes of some slots put elsewhere, and in sight."""
    put = lambda new, old: jnp.where(here[..., None], new, old)
    targets = state.targets
    centre, size = centre_size(place)
    return state._replace(
        targets=targets._replace(
            anchor=put(centre, targets.anchor),
            size=put(size, targets.size),
            mask_window=put(place, targets.mask_window),
            visible=targets.visible | here,
        )
    )
