"""The three ways to get a reading of frame t+1: interpolation, reconstruction, label propagation.

Each is read(backbone, params, settings, z_start, z_end, memory, near, key) -> (Reading, A_S), for one window. All
three read attention (or feature similarity) rows over the same memory, so everything before and after them is shared.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from difftrack_jax.backbones import Backbone
from difftrack_jax.diffusion import ddim, interpolation, reconstruction, schedules
from difftrack_jax.models.attention import Maps
from difftrack_jax.tracking import attention_maps, label_propagation, readout
from difftrack_jax.tracking.settings import Settings
from difftrack_jax.typing import Array, Bool, Float, Key, Params, PyTree


class Memory(NamedTuple):
    """r reference frames of one window: what their cells look like to the network, and what they are.

    keys: a pytree with leading axis r (attention references by layer, or features). kernels: membership of target n.
    coordinates: place in the target's own frame (anchor 0, size 1). image and masks: what the window showed, and which
    of its pixels belong to target n.
    """

    keys: PyTree
    kernels: Float[Array, "r q n"]
    coordinates: Float[Array, "r q n 2"]
    image: Float[Array, "r h w 3"]
    masks: Float[Array, "r h w n"]

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the q cells."""
        h, w = self.image.shape[1:3]
        stride = round((h * w / self.kernels.shape[1]) ** 0.5)
        return h // stride, w // stride


def remember(backbone: Backbone, params: Params, settings: Settings, z: Float[Array, "h w c"]) -> PyTree:
    """The keys of one reference frame, for `Memory.keys`."""
    if settings.process == "label_propagation":
        return label_propagation.keys(backbone.features(params, z[None])[0])
    return jax.tree.map(lambda a: a[0], backbone.reference(params, z[None]))


def join(keys: PyTree) -> PyTree:
    """References [r, cells, ...] one after another along their cells, with a batch axis of one."""
    return jax.tree.map(lambda a: a.reshape(1, -1, *a.shape[2:]), keys)


def read(
    backbone: Backbone,
    params: Params,
    settings: Settings,
    z_start: Float[Array, "h w c"],
    z_end: Float[Array, "h w c"],
    memory: Memory,
    near: Bool[Array, "q m"] | None,
    key: Key[Array, ""],
) -> tuple[readout.Reading, Float[Array, "q q"]]:
    """The reading of the settings' process."""
    how = {
        "interpolation": _interpolation,
        "reconstruction": _reconstruction,
        "label_propagation": _label_propagation,
    }[settings.process]
    return how(backbone, params, settings, z_start[None], z_end[None], memory, near, key)


def _label_propagation(backbone, params, settings, z_start, z_end, memory, near, key):
    keys = join(memory.keys)
    features = label_propagation.keys(backbone.features(params, z_end)[0])
    rows = label_propagation.rows(features, keys[0], near, settings.top_k, settings.temperature)
    reading = readout.carry(rows, memory.kernels, memory.grid)
    return reading, label_propagation.rows(features, features, None, settings.top_k, settings.temperature)


def _interpolation(backbone, params, settings, z_start, z_end, memory, near, key):
    """Alg. 2's chain, every k of the interval read (sequential), or the chosen k as one batch (parallel)."""
    keys = join(memory.keys)
    carried = _carrier(settings, memory, near)

    def predict(z, alpha):
        alpha = jnp.broadcast_to(alpha, (z.shape[0],))
        references = jax.tree.map(lambda a: jnp.broadcast_to(a, (z.shape[0], *a.shape[1:])), keys)
        end, seen = backbone.predict_end(params, z, alpha, references)
        return end, carried(seen.maps)

    ks = jnp.array(settings.ks)
    if settings.order == "parallel":
        # The batch of k is folded into the network's batch axis.
        _, out = interpolation.parallel(predict, z_start[0], z_end[0], ks, settings.steps)
        return out
    operator = interpolation.OPERATORS[settings.operator]
    if settings.operator == "noised_offset":
        levels = schedules.levels(backbone.schedule, settings.steps)
        noise = jax.random.normal(key, z_start.shape)
        operator = functools.partial(operator, levels=levels, noise=noise, scaled=True)
    _, _, out = interpolation.sequential(predict, z_start, z_end, settings.steps, operator)
    return _mean_over(out, settings.steps - ks)  # the chain visits k = T..1


def _reconstruction(backbone, params, settings, z_start, z_end, memory, near, key):
    """Noise z^t and walk it back (2T calls), or, in parallel, read z^{t+1} noised to the chosen k."""
    keys = join(memory.keys)
    carried = _carrier(settings, memory, near)
    grid = ddim.Grid(settings.steps, "ddim", 0, True)

    def predict(z, t):
        alpha = jnp.broadcast_to(t / backbone.schedule.betas.shape[0], (z.shape[0],))
        references = jax.tree.map(lambda a: jnp.broadcast_to(a, (z.shape[0], *a.shape[1:])), keys)
        data, seen = backbone.predict_end(params, z, alpha, references)
        return data, carried(seen.maps)

    ks = jnp.array(settings.ks)
    if settings.order == "parallel":
        times = jnp.asarray(schedules.timesteps(1000, settings.steps, "ddim"))[settings.steps - ks]
        noise = jax.random.normal(key, z_end.shape)
        z = jnp.broadcast_to(z_end, (ks.shape[0], *z_end.shape[1:]))
        noised = schedules.q_sample(backbone.schedule, z, jnp.broadcast_to(noise, z.shape), times)
        return predict(noised, times)[1]
    rule = ddim.Rule(kind="data")
    _, _, out = reconstruction.operate(
        predict, backbone.schedule, z_start, grid, jax.random.normal(key, z_start.shape), rule
    )
    return _mean_over(out, settings.steps - ks)


def _carrier(settings, memory, near):
    """Averaged maps -> what they carry: done inside the walk, so that no row outlives its step."""

    def carried(maps: tuple[Maps, ...]):
        mean = attention_maps.average(maps)
        rows = mean.cross[0]
        reach = None
        if near is not None:
            always = jnp.ones((rows.shape[0], rows.shape[1] - near.shape[1]), bool)
            reach = jnp.concatenate([near, always], axis=-1)
        rows = attention_maps.restrict(rows, reach, settings.top_k)
        return readout.carry(rows, memory.kernels, memory.grid), mean.self_[0]

    return carried


def _mean_over(out, steps):
    return jax.tree.map(lambda a: a[steps].mean(axis=0), out)
