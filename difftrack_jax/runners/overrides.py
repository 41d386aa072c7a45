"""From flags to `Settings`: names and values are checked before anything is loaded.

A recipe holds one empty field for each setting (`empty()`), so that `--config.tracker.window=frame` is known
and typed; what stays None is the preset's. Where a setting may be none itself, 0 means none.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict, config_dict

from difftrack_jax.errors import UserError
from difftrack_jax.tracking.settings import PRESETS, Settings


def empty() -> ConfigDict:
    """Every setting, not given."""
    return ConfigDict({f.name: config_dict.placeholder(_kind(f.type)[0]) for f in dataclasses.fields(Settings)})


def changes(config: ConfigDict) -> dict[str, Any]:
    """The settings that a config gives: those of `tracker`, and the shortcuts `process` and `operator`."""
    if config.preset not in PRESETS:
        raise UserError(f"preset {config.preset!r}: known presets are {', '.join(PRESETS)}")
    given = {name: value for name, value in config.get("tracker", {}).items() if value is not None}
    for name in ("process", "operator"):
        if config.get(name):
            given[name] = config[name]
    return check(given, PRESETS[config.preset])


def check(given: Mapping[str, Any], preset: Settings) -> dict[str, Any]:
    """The given settings in their own types. Raises UserError for a name or a value that is not known."""
    fields = {field.name: field.type for field in dataclasses.fields(Settings)}
    for name in given:
        if name not in fields:
            raise UserError(f"tracker.{name}: no such setting; there are {', '.join(fields)}")
    typed = {name: _typed(name, value, fields[name]) for name, value in given.items()}
    try:
        dataclasses.replace(preset, **typed)
    except (TypeError, ValueError) as error:
        raise UserError(f"tracker: {error}") from error
    return typed


def _typed(name, value, annotation):
    kind, choices, optional = _kind(annotation)
    if choices:
        if value not in choices:
            raise UserError(f"{name} {value!r}: known are {', '.join(map(str, choices))}")
        return value
    if optional and (value is None or value == 0):
        return None
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is float and number:
        return float(value)
    if not isinstance(value, kind) or (kind is int and not number):
        raise UserError(f"tracker.{name} {value!r}: must be of type {kind.__name__}")
    return value


def _kind(annotation) -> tuple[type, tuple, bool]:
    """The plain type of a field, its choices if it has any, and whether it may be None."""
    if typing.get_origin(annotation) is typing.Literal:
        choices = typing.get_args(annotation)
        return type(choices[0]), choices, False
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        inner = next(a for a in typing.get_args(annotation) if a is not type(None))
        return *_kind(inner)[:2], True
    return typing.get_origin(annotation) or annotation, (), False
