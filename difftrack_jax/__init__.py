"""Diffusion meets tracking in JAX.

    import difftrack_jax as dt
    for prediction in dt.track("clip.mp4", [dt.Box(10, 20, 80, 60)]):
        print(prediction.frame, prediction.box)

Names are imported when first used, so that `import difftrack_jax` costs nothing.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_NAMES = {
    "Box": "difftrack_jax.tracking.indicators",
    "Point": "difftrack_jax.tracking.indicators",
    "Pose": "difftrack_jax.tracking.indicators",
    "Segment": "difftrack_jax.tracking.indicators",
    "Text": "difftrack_jax.tracking.indicators",
    "Tracker": "difftrack_jax.tracking.session",
    "generate": "difftrack_jax.generation.generator",
    "load_generator": "difftrack_jax.generation.generator",
    "load_tracker": "difftrack_jax.tracking.session",
    "track": "difftrack_jax.tracking.stream",
    "Prediction": "difftrack_jax.typing",
    "UserError": "difftrack_jax.errors",
}
_MODULES = (
    "backbones", "checkpoints", "data", "detectors", "diffusion", "errors", "generation", "metrics", "models", "ops",
    "parallel", "runners", "tracking", "typing", "visualize",
)  # fmt: skip
__all__ = [*_NAMES, *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        value = getattr(importlib.import_module(_NAMES[name]), name)
    elif name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
