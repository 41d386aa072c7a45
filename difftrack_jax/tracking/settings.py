"""Every choice of the tracker in one place, and the presets that bundle them.

[P] the paper says so, [D] our decision where it is silent, [+] ours beyond it; see docs/differences.md.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal

from difftrack_jax.errors import UserError
from difftrack_jax.tracking.attention_maps import Propagation


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a tracker does; hashable, so that one compiled step belongs to one of these."""

    process: Literal["interpolation", "reconstruction", "label_propagation"] = "interpolation"
    # Table 2, the paper's choice first [P], and Alg. 2's line 4 with its step scaled [D].
    operator: Literal["offset", "destination", "start", "blend", "noised_offset"] = "offset"
    order: Literal["parallel", "sequential"] = "parallel"  # teacher-forced [+], or Alg. 2's chain [P]
    steps: int = 50  # T [P]
    interval: tuple[float, float] = (
        0.0,
        0.02,
    )  # share of T over which attention is added up; [1/T, 0.8] is the paper's
    samples: int = 1  # k of the interval that the parallel order evaluates; 0 takes all of them

    propagation: Propagation = "matmul"  # A_S^beta a, the matrix power [D]
    beta: int = 0  # 4 in the paper
    top_k: int | None = 8  # entries of a row of A_X that count [+]
    radius: float | None = None  # reach of a match in cells of the window [+]
    temperature: float = 0.1  # of label propagation's similarities (DIFT)

    window: Literal["target", "frame"] = "target"  # search around each target [+], or one window over the frame [P]
    size: int = 192  # network pixels of a window's side (of the longer side, for "frame")
    context: float = 2.0  # window side over target size
    point_side: float = 0.14  # window side of a point over the frame's longer side
    memory: int = 1  # references beside the first and the previous frame [+]
    memory_gap: int = 4  # frames between refreshes of those
    pixels: bool = True  # matches aligned, masks carried and points told from what is behind them by pixels [+]
    box: Literal["similarity", "quantile"] = "similarity"  # how a box is read out [D]
    scale_rate: float = 0.25  # how much of a frame's measured change of scale a box takes over [+]
    point: Literal["vote", "soft_arg_max"] = "vote"
    visible_above: float = 0.25  # least score of a visible box or segment; a point with less stays where it was
    point_visible_above: float = 0.05  # least share of the first frame's content where a point is visible [+]
    text_boxes: int = 1  # at most so many boxes are found for a phrase
    text_frames: int = 8  # frames ahead in which words of motion are seen; `mini` alone reads them so [+]
    text_size: int = 512  # network pixels of the frame's longer side where phrases are looked for; `mini` has its own

    tune_first: int = 0  # fine-tuning steps on the first pair; 500 in the paper
    tune_steps: int = 0  # and on every later one; 1 in the paper
    tune_rate: float = 3e-5  # AdamW [P]
    trainable: Literal["all", "attention", "low_rank"] = "attention"
    rank: int = 4  # of the low-rank updates

    def __post_init__(self):
        low, high = self.interval
        if not 0 <= low < high <= 1:
            raise ValueError(f"interval {self.interval}: needs 0 <= low < high <= 1")
        for name in ("size", "text_size"):
            if getattr(self, name) % 32:
                raise ValueError(f"{name} {getattr(self, name)}: must be a multiple of 32")
        for name in ("text_boxes", "text_frames"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}: must be at least 1")

    @property
    def ks(self) -> tuple[int, ...]:
        """The k that are read, within [max(1, low T), high T]."""
        first, last = max(1, round(self.interval[0] * self.steps)), max(1, round(self.interval[1] * self.steps))
        every = tuple(range(first, last + 1))
        if self.order == "sequential" or not self.samples or self.samples >= len(every):
            return every
        return tuple(every[round(i * (len(every) - 1) / max(self.samples - 1, 1))] for i in range(self.samples))


PRESETS = {
    "fast": Settings(),
    "paper": Settings(
        order="sequential",
        interval=(0.02, 0.8),
        beta=4,
        top_k=None,
        memory=0,
        pixels=False,
        window="frame",
        size=256,
        tune_first=500,
        tune_steps=1,
        trainable="all",
    ),
}


def preset_named(name: str) -> Settings:
    """Raises UserError for a preset that is not known."""
    if name not in PRESETS:
        raise UserError(f"preset {name!r}: known presets are {', '.join(PRESETS)}")
    return PRESETS[name]


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
    kind, choices, optional = kind_of(annotation)
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


def kind_of(annotation: Any) -> tuple[type, tuple, bool]:
    """The plain type of a field, its choices if it has any, and whether it may be None."""
    if typing.get_origin(annotation) is typing.Literal:
        choices = typing.get_args(annotation)
        return type(choices[0]), choices, False
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        inner = next(a for a in typing.get_args(annotation) if a is not type(None))
        return *kind_of(inner)[:2], True
    return typing.get_origin(annotation) or annotation, (), False
