"""The frozen half of a latent generator: Stable Diffusion's autoencoder and CLIP's text encoder.

    frozen = open_frozen("trackdiffusion")        # a folder that configs/convert wrote, or a diffusers folder
    latents, conditions = frozen.batch(examples, key)

Names of instances become CLIP's pooled embedding, captions its states; both with padding to 77 tokens, as in training.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from difftrack_jax.backbones import published
from difftrack_jax.checkpoints.tokenizer import load_tokenizer
from difftrack_jax.data.tracklet_batches import Example
from difftrack_jax.errors import UserError
from difftrack_jax.generation.conditioning import Conditions
from difftrack_jax.models.clip_text import Encoded
from difftrack_jax.models.tracklets import Tracklets
from difftrack_jax.typing import Array, Float, Key, Params

TOKENS = 77


@dataclasses.dataclass(frozen=True, eq=False)
class Frozen:
    """vae, text: modules and their parameters. tokenize: text -> ids [77]."""

    vae: Any
    vae_params: Params
    text: Any
    text_params: Params
    tokenize: Any

    def batch(self, examples: Sequence[Example], key: Key[Array, ""]) -> tuple[Array, Conditions]:
        """Latents drawn from the posterior of every frame, and conditions."""
        frames = np.stack([example.frames for example in examples])
        latents = self.encode(jnp.asarray(frames), key)
        boxes, valid = (np.stack([getattr(e, name) for e in examples]) for name in ("boxes", "valid"))
        names, captions = [e.names for e in examples], [e.caption for e in examples]
        return latents, self.conditions(boxes, valid, names, captions)

    def conditions(
        self, boxes: np.ndarray, valid: np.ndarray, names: Sequence[Sequence[str]], captions: Sequence[str]
    ) -> Conditions:
        """Conditions of b clips. Every different text is encoded once."""
        texts = sorted({"", *captions, *(name for row in names for name in row)})
        encoded = self.embed(tuple(texts))
        row = {text: index for index, text in enumerate(texts)}
        states = lambda chosen: encoded.states[np.array([row[text] for text in chosen])]
        classes = encoded.pooled[np.array([[row[name] for name in one] for one in names])]
        tracklets = Tracklets(jnp.asarray(boxes), jnp.asarray(valid), classes)
        return Conditions(states(captions), states([""] * len(captions)), tracklets)

    def embed(self, texts: tuple[str, ...]) -> Encoded:
        """Encoded texts, in whole tens so that few sizes are compiled."""
        ids = np.stack([self.tokenize(text) for text in texts])
        padded = np.concatenate([ids, np.repeat(ids[-1:], -len(ids) % 10, axis=0)])
        out = self._embed(self.text_params, jnp.asarray(padded))
        return Encoded(*(np.asarray(part)[: len(texts)] for part in out))

    @functools.cached_property
    def _embed(self):
        return jax.jit(lambda params, ids: self.text.apply({"params": params}, ids))

    @functools.cached_property
    def _moments(self):
        encode = lambda params, frames: self.vae.apply({"params": params}, frames / 127.5 - 1, method="encode")
        return jax.jit(lambda params, clip: jax.lax.map(lambda f: encode(params, f[None]), clip))

    @functools.cached_property
    def _decode(self):
        decode = lambda params, z: self.vae.apply({"params": params}, z[None], method="decode")[0]
        return jax.jit(lambda params, clip: jax.lax.map(lambda z: decode(params, z), clip))

    def encode(self, frames: Array, key: Key[Array, ""]) -> Float[Array, "b t h w c"]:
        """One draw of the latents of uint8 frames [b, t, h, w, 3], frame by frame."""
        clips = []
        for index, clip in enumerate(frames):
            moments = self._moments(self.vae_params, clip.astype(jnp.float32))
            noise = jax.random.normal(jax.random.fold_in(key, index), moments.mean.shape)
            clips.append((moments.mean + moments.std * noise)[:, 0])
        return jnp.stack(clips)

    def decode(self, latents: Float[Array, "b t h w c"]) -> Float[Array, "b t h2 w2 3"]:
        """Frames, about [-1, 1], frame by frame: memory is that of one."""
        return jnp.stack([self._decode(self.vae_params, clip) for clip in latents])


def open_frozen(source: str, dtype: Any = jnp.float32) -> Frozen:
    """Autoencoder, text encoder and tokenizer of a folder; UserError when one of them is not there."""
    if not source:
        raise UserError("pretrained: none given; name a folder with vae, text_encoder and tokenizer, as SD 1.x has")
    model = published.open_model(source)
    for name in ("vae", "text_encoder"):
        if name not in model.networks:
            raise UserError(f"pretrained {source}: has no {name}")
    if model.tokenizer is None:
        raise UserError(f"pretrained {source}: has no tokenizer; a diffusers folder has one, a single file has none")
    vae, text = model.networks["vae"], model.networks["text_encoder"]
    tokenizer = load_tokenizer(model.tokenizer, text.fields["positions"])
    return Frozen(vae.module, vae.params(dtype), text.module, text.params(dtype), lambda words: tokenizer(words).ids)
