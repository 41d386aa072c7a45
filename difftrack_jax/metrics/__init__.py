"""The field's metrics in numpy, each to the digits of its official evaluator.

    from difftrack_jax.metrics import tapvid
    states = [tapvid.evaluate(...) for each video]
    tapvid.compute(tapvid.merge(states))

A metric is a module with these three functions (`base.Metric`). Modules are imported when first named.
"""

import importlib
import pkgutil
from types import ModuleType


def __getattr__(name: str) -> ModuleType:
    if name in __dir__():
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(__path__))
