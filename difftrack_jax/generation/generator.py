"""The generator for people: tracklets in, frames out.

    video = generate(read("tracklets.json"), caption="on a blue background")       # uint8 [t, h, w, 3]

    generator = load_generator("mini")
    run = generator.start(tracklets, caption, key)
    for _ in range(run.steps):
        run = run.advance()
    video = run.frames()
"""

import dataclasses
import functools
import json
import os
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from difftrack_jax.checkpoints import bundled
from difftrack_jax.data import tracklet_clips, tracklet_sets
from difftrack_jax.data.tracklet_sets import TrackletSet
from difftrack_jax.diffusion import schedules
from difftrack_jax.diffusion.predictions import Kind
from difftrack_jax.errors import UserError
from difftrack_jax.generation import sampling
from difftrack_jax.generation.conditioning import Conditions
from difftrack_jax.generation.network import Network, pixel_frames
from difftrack_jax.generation.sampling import Settings
from difftrack_jax.models.unet3d import settings
from difftrack_jax.models.words import UNKNOWN, number
from difftrack_jax.typing import Array, Key, Params, UInt8

# Of the bundled generator, looked at on held-out tracklets; what is left out in a config takes these.
MINI = Settings(steps=25, guidance=2.0, clip=1.0, window=8, overlap=4)
PUBLISHED = Settings()


@dataclasses.dataclass(frozen=True)
class Generator:
    """A network with its weights, and everything around it.

    shape: (h, w, c) of a frame's latents. encode: (tracklets, caption) -> Conditions of one clip, on the host; raises
    UserError for a name or a caption it cannot say. decode: latents [b, t, h, w, c] -> frames in [-1, 1].
    """

    params: Params
    predict: Callable[[Params, Array, Array, Conditions, Array], Array]
    encode: Callable[[TrackletSet, str], Conditions]
    decode: Callable[[Array], Array]
    shape: tuple[int, int, int]
    slots: int
    schedule: schedules.Schedule
    kind: Kind
    settings: Settings

    def check(self, tracklets: TrackletSet, caption: str | None = None) -> None:
        """Raise UserError for tracklets that cannot be drawn, before anything is computed."""
        tracklet_sets.check(tracklets, self.slots)
        self.encode(tracklets, tracklets.caption if caption is None else caption)

    def start(
        self, tracklets: TrackletSet, caption: str | None, key: Key[Array, ""], chosen: Settings | None = None
    ) -> "Run":
        """Sampling of one clip, not begun. caption: None takes that of the tracklets."""
        tracklet_sets.check(tracklets, self.slots)
        chosen = chosen or self.settings
        conditions = self.encode(tracklets, tracklets.caption if caption is None else caption)
        noise = jax.random.normal(key, (1, tracklets.frames, *self.shape), jnp.float32)
        size = (tracklets.width, tracklets.height)
        return Run(self, conditions, sampling.start(noise, chosen), chosen, size)


@dataclasses.dataclass(frozen=True)
class Run:
    """One clip on its way from noise."""

    generator: Generator
    conditions: Conditions
    state: Any
    settings: Settings
    size: tuple[int, int]

    @property
    def steps(self) -> int:
        return self.settings.steps

    def advance(self) -> "Run":
        """One step of the sampler."""
        made = self.generator
        update = compiled(made.predict, made.kind, self.settings)
        return dataclasses.replace(self, state=update(made.params, self.conditions, made.schedule, self.state))

    def frames(self) -> UInt8[np.ndarray, "t h w 3"]:
        """The clip as it stands, in the size of its tracklets."""
        frames = np.asarray(self.generator.decode(self.state.x))[0]
        pixels = np.rint(np.clip(frames * 127.5 + 127.5, 0, 255)).astype(np.uint8)
        scale = lambda frame: np.asarray(Image.fromarray(frame).resize(self.size, Image.Resampling.BICUBIC))
        return np.stack([scale(frame) for frame in pixels])


@functools.lru_cache(maxsize=8)
def compiled(predict: Callable, kind: Kind, chosen: Settings) -> Callable:
    """(params, conditions, schedule, state) -> state, compiled once for all clips of one length."""

    @jax.jit
    def update(params, conditions, schedule, state):
        return sampling.update(functools.partial(predict, params), conditions, state, schedule, kind, chosen)

    return update


def load_generator(model: str | os.PathLike = "mini") -> Generator:
    """`mini`, bundled, or a weights.safetensors of our own training."""
    path = pathlib.Path(model)
    path = bundled.bundled("mini_generator") if str(model) == "mini" else path
    if path.is_dir():
        path = path / "weights.safetensors"
    if not path.is_file():
        raise UserError(f"model {model}: no such generator; give mini, or a folder or file of trained weights")
    variant, params = bundled.load(path)
    notes = bundled.notes(path)
    for name in ("unet", "rule", "schedule", "size"):
        if name not in notes:
            raise UserError(f"model {model}: is no generator of videos (its header has no {name!r})")
    network = Network(variant, settings(json.loads(notes["unet"])))
    side = int(notes["size"]) // 4
    net = network.unet
    return Generator(
        params=params,
        predict=network.predict,
        encode=functools.partial(_encode_words, network, params, str(model)),
        decode=jax.jit(pixel_frames),
        shape=(side, side, net.in_channels),
        slots=net.slots,
        schedule=schedules.named(notes["schedule"]),
        kind=json.loads(notes["rule"])["kind"],
        settings=MINI._replace(window=net.max_frames, overlap=net.max_frames // 2),
    )


def _encode_words(network: Network, params: Params, model: str, tracklets: TrackletSet, caption: str) -> Conditions:
    """Conditions by the network's own list of words: names must be in it, a caption's other words are unknown ones."""
    slots, words = network.unet.slots, tracklet_clips.WORDS
    names = np.zeros((slots, 2), np.int32)
    for slot, tracklet in enumerate(tracklet_sets.ordered(tracklets)):
        names[slot] = number(tracklet.category, words, 2)
        if not names[slot].any() or (names[slot] == UNKNOWN).any():
            raise UserError(
                f"{tracklets.source}: tracklet {tracklet.id}: category {tracklet.category!r} is unknown to {model}; "
                f"say a colour ({', '.join(tracklet_clips.COLOURS)}) and a shape ({', '.join(tracklet_clips.SHAPES)})"
            )
    boxes, valid = tracklet_sets.arrays(tracklets, slots)
    told = number(caption, words, tracklet_clips.CAPTION)
    return network.conditions(params, *(jnp.asarray(value)[None] for value in (boxes, valid, names, told)))


def generate(
    tracklets: TrackletSet | dict | str | os.PathLike,
    caption: str | None = None,
    model: str | os.PathLike = "mini",
    seed: int = 0,
    **changes: Any,
) -> UInt8[np.ndarray, "t h w 3"]:
    """A clip from tracklets: a `TrackletSet`, the contents of a FILE.json, a file, or "synthetic:SEED".

    changes: fields of `generation.sampling.Settings`, such as steps=50, guidance=5.0. Raises UserError for tracklets
    that cannot be drawn.
    """
    if isinstance(tracklets, dict):
        tracklets = tracklet_sets.from_json(tracklets)
    elif not isinstance(tracklets, TrackletSet):
        tracklets = tracklet_sets.read(tracklets)
    generator = load_generator(model)
    run = generator.start(tracklets, caption, jax.random.key(seed), generator.settings._replace(**changes))
    for _ in range(run.steps):
        run = run.advance()
    return run.frames()
