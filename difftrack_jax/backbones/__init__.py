"""A backbone is a handful of pure functions around a network; the tracker knows nothing else of it.

    base        what that is
    pixel       ADM networks over frames
    latent      Stable Diffusion's, over the latents of frames, with text
    phrases     the bundled word encoder, for networks that have no text of their own
    published   from published files and folders to networks of ours
    choices     one table: where each network is read, and how the tracker uses it
    loading     from a name, a path or an id on the Hub to a backbone

Adding one is writing one function that returns a `Backbone`.
"""

from difftrack_jax.backbones.base import Backbone, Phrases, References, Seen, Words
from difftrack_jax.backbones.choices import LAYERS, Layers
from difftrack_jax.backbones.latent import latent_backbone
from difftrack_jax.backbones.loading import load_backbone
from difftrack_jax.backbones.pixel import pixel_backbone

__all__ = [
    "LAYERS",
    "Backbone",
    "Layers",
    "Phrases",
    "References",
    "Seen",
    "Words",
    "latent_backbone",
    "load_backbone",
    "pixel_backbone",
]
