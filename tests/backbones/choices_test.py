"""One row a network: what it says is possible, and the user has the last word."""

import dataclasses

import pytest

from difftrack_jax.backbones.choices import LATENT, LAYERS
from difftrack_jax.models import variants
from difftrack_jax.tracking.session import settings_for
from difftrack_jax.tracking.settings import PRESETS, check

from ..tracking.oracle import oracle


def backbone(name):
    return dataclasses.replace(oracle(), settings=LAYERS[name].settings)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("preset", PRESETS)
def test_every_networks_settings_fit_every_preset(name, preset):
    for process in ("interpolation", "reconstruction", "label_propagation"):
        for window in ("target", "frame"):
            asked = {"process": process, "window": window}
            found = settings_for(backbone(name), PRESETS[preset], asked)
            assert (found.process, found.window) == (process, window)
    for own in LAYERS[name].settings.values():
        assert check(own, PRESETS[preset]) == own


def test_label_propagation_takes_difts_settings_of_davis():
    found = settings_for(backbone("sd"), PRESETS["fast"], {"process": "label_propagation"})
    assert (found.temperature, found.top_k, found.radius, found.window) == (0.2, 15, 15.0, "frame")
    assert (LAYERS["sd"].time, LAYERS["sd"].features, LAYERS["sd"].copies) == (51.0, "up_blocks_2", 8)
    found = settings_for(backbone("adm256"), PRESETS["fast"], {"process": "label_propagation"})
    assert (found.temperature, found.top_k, found.radius, found.window) == (0.1, 10, 15.0, "frame")
    assert (LAYERS["adm256"].time, LAYERS["adm256"].features, LAYERS["adm256"].copies) == (51.0, "output_blocks_7", 4)
    assert found.memory + 1 == 28  # the frame before is remembered beside `memory`


def test_the_user_has_the_last_word():
    fast = PRESETS["fast"]
    assert settings_for(backbone("sd"), fast, {}).size == 256
    assert settings_for(backbone("sd"), fast, {"window": "frame"}).size == 512
    assert settings_for(backbone("sd"), fast, {"window": "frame", "size": 64}).size == 64
    assert settings_for(backbone("mini"), fast, {}) == fast


def test_every_published_layout_has_a_row():
    assert variants.ADM.keys() <= LAYERS.keys()
    assert set(LATENT.values()) <= LAYERS.keys()
    assert all(LAYERS[name].words and LAYERS[name].times for name in LATENT.values())
