"""Reading a published `config.json`: what we can be told, and what must be as we built it."""

from collections.abc import Mapping
from typing import Any

from difftrack_jax.errors import UserError


def require(config: Mapping[str, Any], expected: Mapping[str, Any], what: str) -> None:
    """Raise unless each field of `expected` that the config has is one of the values we implement.

    A field that is left out has its library's default, which is listed first.
    """
    for field, values in expected.items():
        value = config.get(field, values[0])
        value = tuple(value) if isinstance(value, list) else value
        if value not in values:
            known = " or ".join(str(v) for v in values)
            raise UserError(f"{what} config: {field} is {value!r}; only {known} is supported")


def needed(config: Mapping[str, Any], field: str, what: str) -> Any:
    """A field without which nothing can be built."""
    if field not in config:
        raise UserError(f"{what} config: no field {field!r}; is this the config.json of {what}?")
    return config[field]


def whole(config: Mapping[str, Any], field: str, default: int | None, what: str) -> int:
    """A field that is one whole number; needed if there is no default."""
    value = needed(config, field, what) if default is None else config.get(field, default)
    if not isinstance(value, int):
        raise UserError(f"{what} config: {field} is {value!r}; only one whole number is supported")
    return value


def per_level(value: Any, levels: int, field: str, what: str) -> tuple[Any, ...]:
    """One value a level, from one for all or a list."""
    values = tuple(value) if isinstance(value, list | tuple) else (value,) * levels
    if len(values) != levels:
        raise UserError(f"{what} config: {field} has {len(values)} entries for {levels} levels")
    return values
