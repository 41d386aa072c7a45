"""What is trained as one: the video U-Net and its words; and how frames become the latents of pixel generators.

    network = Network("mini_video")
    params = network.init(key, frames=8, side=16)
    out = network.predict(params, x, t, conditions)
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp

from difftrack_jax.data import tracklet_clips
from difftrack_jax.generation.conditioning import Conditions
from difftrack_jax.models import variants
from difftrack_jax.models.layers import depth_to_space, space_to_depth
from difftrack_jax.models.tracklets import Tracklets
from difftrack_jax.models.unet3d import UNet3D
from difftrack_jax.models.words import WordEncoder
from difftrack_jax.typing import Array, Float, Int, Key, Params

PATCH = 4  # pixels a side of a latent cell of the pixel generators


def pixel_latents(frames: Float[Array, "b f h w 3"]) -> Float[Array, "b f h2 w2 48"]:
    """Blocks of 4 x 4 pixels as cells of 48 channels."""
    return jax.vmap(lambda clip: space_to_depth(clip, PATCH))(frames)


def pixel_frames(latents: Float[Array, "b f h w 48"]) -> Float[Array, "b f h2 w2 3"]:
    """The inverse of `pixel_latents`."""
    return jax.vmap(lambda clip: depth_to_space(clip, PATCH))(latents)


@dataclasses.dataclass(frozen=True, eq=False)
class Network:
    """The trainable whole: `UNet3D` of a named size, and its words unless CLIP has them.

    changes: fields that differ from the named size.
    """

    variant: str
    changes: dict[str, Any] = dataclasses.field(default_factory=dict)
    dropout: float = 0.0
    remat: bool = False
    dtype: str = "float32"
    words: bool = True

    @functools.cached_property
    def unet(self) -> UNet3D:
        return UNet3D(**{**variants.UNET3D[self.variant], **self.changes}, dtype=self.dtype)

    @functools.cached_property
    def encoder(self) -> WordEncoder:
        return WordEncoder(len(tracklet_clips.WORDS), self.unet.text_features, tracklet_clips.CAPTION)

    def init(self, key: Key[Array, ""], frames: int, side: int) -> Params:
        """Fresh parameters, {"unet"} and "words"; one frame makes no temporal ones. side: cells."""
        k_unet, k_words = jax.random.split(key)
        n, d = self.unet.slots, self.unet.text_features
        x = jnp.zeros((1, frames, side, side, self.unet.in_channels))
        tracklets = Tracklets(jnp.zeros((1, frames, n, 4)), jnp.zeros((1, frames, n)), jnp.zeros((1, n, d)))
        unet = self.unet.init(k_unet, x, jnp.zeros(1), jnp.zeros((1, 1, d)), tracklets)["params"]
        if not self.words:
            return {"unet": unet}
        numbers = jnp.zeros((1, tracklet_clips.CAPTION), jnp.int32), jnp.zeros((1, n, 2), jnp.int32)
        return {"unet": unet, "words": self.encoder.init(k_words, *numbers)["params"]}

    def conditions(
        self,
        params: Params,
        boxes: Float[Array, "b f n 4"],
        valid: Float[Array, "b f n"],
        names: Int[Array, "b n k"],
        captions: Int[Array, "b s"],
    ) -> Conditions:
        """Conditions from numbered words."""
        text, classes = self.encoder.apply({"params": params["words"]}, captions, names)
        nothing, _ = self.encoder.apply({"params": params["words"]}, jnp.zeros_like(captions), names)
        return Conditions(text, nothing, Tracklets(boxes, valid, classes))

    def predict(
        self,
        params: Params,
        x: Float[Array, "b f h w c"],
        t: Float[Array, "b"],
        conditions: Conditions,
        gate: Any = 1.0,
        dropout_key: Key[Array, ""] | None = None,
    ) -> Float[Array, "b f h w c"]:
        """What the network says of noisy latents; with a dropout key, as in training."""
        net = self.unet.clone(remat=self.remat, dropout=self.dropout if dropout_key is not None else 0.0)
        rngs = {} if dropout_key is None else {"dropout": dropout_key}
        return net.apply({"params": params["unet"]}, x, t, conditions.text, conditions.tracklets, gate, rngs=rngs)
