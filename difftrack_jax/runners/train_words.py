"""The objective of the bundled word encoder, made from a config: scenes and phrases are drawn on the device."""

import functools

import jax
import jax.numpy as jnp
import ml_collections

from difftrack_jax.checkpoints import bundled
from difftrack_jax.data import phrases, referring_phrases, textures
from difftrack_jax.models import variants
from difftrack_jax.models.grounding import Grounding
from difftrack_jax.parallel import sharding
from difftrack_jax.runners.objective import Objective
from difftrack_jax.tracking import grounding_objective as grounding


def objective_from(config: ml_collections.ConfigDict) -> Objective:
    """Phrases that find their objects; evaluated on pairs of colour and shape that training never draws."""
    net = Grounding(len(phrases.WORDS), **variants.GROUNDING[config.model])
    bank = textures.training_bank(config.seed) if config.photographs else textures.procedural_bank(config.seed)
    draw = functools.partial(referring_phrases.batch, bank=bank, size=config.size, phrases_each=config.phrases)
    weights = grounding.Weights(**config.weights)

    def init(key):
        frames, extent = jnp.zeros((1, config.size, config.size, 3)), jnp.ones((1, 2))
        numbers = jnp.zeros((1, 1, phrases.LENGTH), jnp.int32)
        both = lambda net, frames, extent, numbers: net.find(net(frames, extent), numbers)
        return net.init(key, frames, extent, numbers, method=both)["params"]

    def loss(params, key):
        return grounding.loss(net, params, sharding.share(draw(key, count=config.batch)), weights)

    @functools.cache
    def held_out():
        new = functools.partial(draw, count=config.eval_scenes, training=False)
        return jax.jit(new)(jax.random.key(config.seed + 1_000_003))

    score = jax.jit(lambda params, batch: grounding.score(net, params, sharding.share(batch)))
    notes = {"words": " ".join(phrases.WORDS[1:]), "size": str(config.size)}
    start = lambda _: bundled.load_for(config.model, config.start_from) if config.start_from else {}
    return Objective(init, loss, lambda params: score(params, held_out()), start=start, notes=notes)
