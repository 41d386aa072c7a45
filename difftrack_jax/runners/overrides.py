"""From flags to `Settings`: names and values are checked before anything is loaded.

A recipe holds one empty field for each setting (`empty()`), so that `--config.tracker.window=frame` is known
and typed; what stays None is the preset's. Where a setting may be none itself, 0 means none.
"""

import dataclasses
from typing import Any

from ml_collections import ConfigDict, config_dict

from difftrack_jax.tracking.settings import Settings, check, kind_of, preset_named


def empty() -> ConfigDict:
    """Every setting, not given."""
    return ConfigDict({f.name: config_dict.placeholder(kind_of(f.type)[0]) for f in dataclasses.fields(Settings)})


def changes(config: ConfigDict) -> dict[str, Any]:
    """The settings that a config gives: those of `tracker`, and the shortcuts `process` and `operator`."""
    preset = preset_named(config.preset)
    given = {name: value for name, value in config.get("tracker", {}).items() if value is not None}
    for name in ("process", "operator"):
        if config.get(name):
            given[name] = config[name]
    return check(given, preset)
