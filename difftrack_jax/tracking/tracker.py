"""The tracker as two pure functions: `init(frame, targets) -> state` and `step(state, frame) -> (state, targets)`.

One frame of one window (DINTR, Alg. D.5, with a search window and a memory around it):

    cut the window out of frames t and t+1                     ops/windows
    keys of frame t join those of earlier frames               processes.remember
    tune the network on the pair, if asked to                  finetune
    attention of frame t+1 over all of them, at the chosen k   processes.read
    maps, then places: L_{t+1} becomes the next frame's tau    attention_maps, readout

Targets lie in slots, windows x places: isolated when each identity has a window of its own (a vmap: TAP-Vid's rule, no
target can sway another; one place each, or the joints of a pose), and joint when one window shows the frame to all.
`step` compiles once for a frame size and a number of slots.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from difftrack_jax.backbones import Backbone
from difftrack_jax.diffusion import interpolation
from difftrack_jax.ops import windows
from difftrack_jax.ops.sampling import bilinear, cell_centres
from difftrack_jax.tracking import attention_maps, finetune, indicators, pixels, poses, processes, readout
from difftrack_jax.tracking.indicators import POINT, SEGMENT, Targets
from difftrack_jax.tracking.processes import Memory
from difftrack_jax.tracking.settings import Settings
from difftrack_jax.typing import Array, Bool, Float, Int, Key, Params

_ZOOM = 4  # at most, around points: more shows nothing new
_FAINT = 0.02  # of a point's kernel that always stays


class Kinds(NamedTuple):
    """Which kinds there are among all targets of a frame."""

    segments: Bool[Array, ""]
    points: Bool[Array, ""]


class State(NamedTuple):
    """All that is carried from frame to frame. Leading axis of targets, memory and tuning: windows.

    frame: the last one, in [-1, 1]. targets: [windows, places, ...]. first and recent: what is remembered. tuning: None
    where nothing is tuned.
    """

    frame: Float[Array, "h w 3"]
    index: Int[Array, ""]
    targets: Targets
    first: Memory
    recent: Memory
    tuning: finetune.Tuning | None
    key: Key[Array, ""]


def init(
    backbone: Backbone,
    settings: Settings,
    params: Params,
    frame: Float[Array, "h w 3"],
    targets: Targets,
    key: Key[Array, ""],
) -> State:
    """The state after the first frame, in which the targets [windows, places, ...] are given."""
    window = jax.vmap(functools.partial(_window, settings, frame.shape[:2]))(targets)
    remember = functools.partial(_remember, backbone, settings, params, frame)
    first = jax.vmap(remember)(targets, window)
    recent = jax.tree.map(lambda a: jnp.repeat(a, settings.memory, axis=1), first)
    tuning = None
    if settings.tune_first or settings.tune_steps:
        start = lambda k: finetune.init(
            params, settings.trainable, settings.tune_rate, settings.rank, k, backbone.tuned
        )
        tuning = jax.vmap(start)(jax.random.split(key, window.shape[0]))
    return State(frame, jnp.zeros((), jnp.int32), targets, first, recent, tuning, key)


def step(
    backbone: Backbone, settings: Settings, params: Params, state: State, frame: Float[Array, "h w 3"], tune: int = 0
) -> tuple[State, Targets]:
    """Follow every target into the next frame, after `tune` fine-tuning steps on the pair."""
    key = jax.random.fold_in(state.key, state.index)
    follow = functools.partial(_follow, backbone, settings, params, state.frame, frame, key, tune)
    fresh = (state.index % settings.memory_gap) == 0
    held = lambda kind: jnp.any(state.targets.valid & kind)
    kinds = Kinds(held(state.targets.kind == SEGMENT), held(indicators.is_point(state.targets.kind)))
    targets, recent, tuning = jax.vmap(follow, (0, 0, 0, 0, None, None))(
        state.targets, state.first, state.recent, state.tuning, fresh, kinds
    )
    new = State(frame, state.index + 1, targets, state.first, recent, tuning, state.key)
    return new, targets


def _follow(backbone, settings, params, previous, frame, key, tune, targets, first, recent, tuning, fresh, kinds):
    """One window: its targets, its memory, its weights."""
    window = _window(settings, frame.shape[:2], targets)
    size = _pixels(settings, frame.shape[:2])
    grid = (size[0] // backbone.stride, size[1] // backbone.stride)
    images = [windows.crop(f, window, size) for f in (previous, frame)]
    z_start, z_end = (backbone.encode(params, image[None])[0] for image in images)
    if tuning is not None:
        tuning = _tune(backbone, settings, params, tuning, z_start, z_end, key, tune)
        params = finetune.merge(params, tuning.delta)
    last = _remember(backbone, settings, params, previous, targets, window)
    memory = jax.tree.map(lambda *parts: jnp.concatenate(parts), first, recent, last)
    near = None
    if settings.radius is not None:
        near = jnp.tile(attention_maps.neighbourhood(*grid, settings.radius), (1, memory.kernels.shape[0]))
    reading, self_ = processes.read(backbone, params, settings, z_start, z_end, memory, near, key)
    maps = attention_maps.propagate(self_, reading.share, settings.beta, settings.propagation)
    evidence = _evidence(settings, maps, reading, memory, images[1], targets, window, kinds)
    found = readout.read(evidence, targets, window, grid, settings)
    found = poses.hold_together(targets, found)
    # A frame in which nothing was seen teaches the memory nothing.
    push = fresh & jnp.any(targets.visible)
    recent = jax.tree.map(
        lambda old, new: jnp.where(push, jnp.concatenate([old[1:], new])[: len(old)], old), recent, last
    )
    return found, recent, tuning


def _evidence(settings, maps, reading, memory, image, targets, window, kinds):
    """What was read, brought to the targets: each cell's votes, and the masks if any target is a segment.

    Branches, not selections: `kinds` is one for all windows, and what no target needs costs nothing.
    """
    grid, position, trust = memory.grid, reading.position, reading.mass
    if settings.pixels:
        position, alike = pixels.aligned(position, memory.image, image, grid)
        trust = trust * alike
    between = lambda u, at: bilinear(u.reshape(*grid, -1), at).reshape(u.shape)
    votes = jax.vmap(between)(memory.coordinates, position)
    mass = trust[..., None] * readout.marked(memory.kernels)[:, None]
    credit = jnp.ones_like(mass)
    if settings.pixels:
        by_looks = lambda: _looks(votes, memory, image, targets, window)
        credit = jax.lax.cond(kinds.points, by_looks, lambda: credit)
    by_pixels = lambda: pixels.carry_masks(position, reading.mass, memory.image, memory.masks, image, grid)
    by_cells = lambda: jax.image.resize(maps.reshape(*grid, -1), (*image.shape[:2], maps.shape[1]), "cubic")
    nothing = lambda: jnp.zeros((*image.shape[:2], maps.shape[1]))
    masks = jax.lax.cond(kinds.segments, by_pixels if settings.pixels else by_cells, nothing)
    return readout.Evidence(maps, votes, mass, credit, readout.concentration_of(memory.kernels[-1]), masks)


def _looks(votes, memory, image, targets, window):
    """How far each vote for where a point is now leads to what looks like it; one for targets that are no points."""
    grid, size = memory.grid, image.shape[:2]
    # Coordinates are linear in a reference's cells, and zero at the anchor; all are zero in one that knows no target.
    low, high = memory.coordinates[:, 0], memory.coordinates[:, -1]
    span = jnp.where(high == low, 1.0, high - low)
    homes = 0.5 - low / span * (jnp.array(grid[::-1]) - 1.0).reshape(1, 1, 2)
    centres = windows.from_window(cell_centres(*grid), window, grid)
    places = windows.to_window(centres[None, :, None] - votes * targets.size[None, None], window, size)
    credit = pixels.resemblance(homes * (size[0] / grid[0]), memory.image, places, image)
    return jnp.where(indicators.is_point(targets.kind)[None, None], credit, 1.0)


def _tune(backbone, settings, params, tuning, z_start, z_end, key, steps):
    """Eq. 6 on the pair, under the keys of frame t as the untouched weights see them."""
    if not steps:
        return tuning
    references = backbone.reference(params, z_start[None])

    def loss(delta, key):
        weights = finetune.merge(params, delta)
        predict = lambda z, alpha: backbone.predict_end(weights, z, jnp.broadcast_to(alpha, (1,)), references)
        alpha = interpolation.draw_alpha(key, settings.steps)
        return interpolation.loss(predict, z_start[None], z_end[None], alpha)[0]

    return finetune.update(tuning, loss, key, steps, settings.tune_rate)[0]


def _remember(backbone, settings, params, frame, targets, window) -> Memory:
    """One reference: the keys of the window's content, and each target's kernel and coordinates on its cells."""
    size = _pixels(settings, frame.shape[:2])
    grid = (size[0] // backbone.stride, size[1] // backbone.stride)
    image = windows.crop(frame, window, size)
    keys = processes.remember(backbone, params, settings, backbone.encode(params, image[None])[0])
    kernels, coordinates = on_grid(targets, window, grid)
    masks = jnp.moveaxis(_segments(targets, window, size), 0, -1)
    memory = Memory(keys, kernels.T, jnp.swapaxes(coordinates, 0, 1), image, masks)
    return jax.tree.map(lambda a: a[None], memory)


def on_grid(
    targets: Targets, window: Float[Array, "4"], grid: tuple[int, int]
) -> tuple[Float[Array, "n q"], Float[Array, "n q 2"]]:
    """Kernel m_n and target coordinates u of every cell of a window's grid.

    The kernel of a point fades as its matches do: a frame in which something hides it must not say what it looks like.
    """
    p = windows.from_window(cell_centres(*grid), window, grid)
    size = jnp.maximum(targets.size, 1e-3)
    u = (p[None] - targets.anchor[:, None]) / size[:, None]
    offsets = jnp.where(indicators.is_point(targets.kind)[:, None, None], u * size[:, None], u)
    segment = _segments(targets, window, grid).reshape(-1, grid[0] * grid[1])
    cell = (window[2] - window[0]) / grid[1]
    kernel = indicators.kernels(targets.kind, offsets, cell, segment)
    return kernel * (jnp.maximum(targets.clear, _FAINT) * targets.valid)[:, None], u


def _segments(targets: Targets, window: Float[Array, "4"], size: tuple[int, int]) -> Float[Array, "n h w"]:
    """The targets' masks over a window."""
    resample = lambda mask, old: windows.resample(mask[..., None], old, window, size)[..., 0]
    masks = jax.vmap(resample)(targets.mask, targets.mask_window)
    # Soft labels that are fed back blur a little every frame; a steeper slope through one half holds the border.
    steep = jnp.clip(2 * masks - 0.5, 0.0, 1.0)
    return jnp.where((targets.kind == SEGMENT)[:, None, None], steep, masks)


def _pixels(settings: Settings, frame: tuple[int, int]) -> tuple[int, int]:
    """Height and width at which the network sees a window."""
    if settings.window == "target":
        return settings.size, settings.size
    scale = settings.size / max(frame)
    return tuple(max(32, round(side * scale / 32) * 32) for side in frame)


def _window(settings: Settings, frame: tuple[int, int], targets: Targets) -> Float[Array, "4"]:
    """Where to look: around the target, wider while it is lost; or the whole frame.

    Points keep theirs: on real video most are held to be hidden, and what is thin is lost for good in coarser cells.
    """
    if settings.window == "frame":
        return jnp.array([0.0, 0.0, frame[1], frame[0]])
    longest = float(max(frame))
    point_side = max(settings.point_side * longest, settings.size / _ZOOM)
    side = indicators.window_side(targets, settings.context, point_side)
    lost = ~jnp.any(targets.visible | (targets.valid & (targets.kind == POINT)))
    side = jnp.where(lost, 1.5 * side, side)
    low, high = indicators.extent(targets)
    return windows.around((low + high) / 2, jnp.clip(side, 32.0, longest), frame)


def full_mask(mask: Float[Array, "g g2"], window: Float[Array, "4"], frame: tuple[int, int]) -> Array:
    """A target's mask over the whole frame, boolean [h, w]."""
    whole = jnp.array([0.0, 0.0, frame[1], frame[0]])
    return windows.resample(mask[..., None], window, whole, frame)[..., 0] > 0.5
