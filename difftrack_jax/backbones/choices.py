"""What is chosen for each network: where it is read, at which noise, and how the tracker looks at a video with it.

One row a network. `features` and `time` of the published ones, and their settings of label propagation, are DIFT's for
DAVIS (Tang et al. 2023, its README): ADM t = 51, up block 7, temperature 0.1, top 10, 4 draws of noise; Stable
Diffusion t = 51, up block 2, temperature 0.2, top 15, 8 draws; both with the 28 frames before, a neighbourhood of 15
cells and frames of 480 lines, which are 832 pixels wide. Where DIFT says nothing the choice is ours [D]: attention is
read on the grid of those features.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple


class Layers(NamedTuple):
    """capture: attention blocks whose maps are averaged. features: the block whose output is compared.

    time: network time at alpha = 1; networks that predict noise read close to clean frames. copies: draws of noise
    over which features are averaged, 0 for none. words: blocks whose attention to a prompt's words finds what is
    named, and times: at which noise. phrases: bundled weights that find what is named instead. settings: of the
    tracker where they are not the preset's: for all (""), a kind of window, or a process.
    """

    capture: tuple[str, ...]
    features: str
    time: float
    prediction: Literal["offset", "noise", "velocity", "data"]
    copies: int = 0
    words: tuple[str, ...] = ()
    times: tuple[int, ...] = ()
    phrases: str = ""
    settings: Mapping[str, Mapping[str, Any]] = {}


def _dift(temperature: float, top_k: int) -> dict[str, Any]:
    """Label propagation over whole frames, as DIFT and DINO before it."""
    return dict(window="frame", size=832, memory=27, memory_gap=1, radius=15.0, temperature=temperature, top_k=top_k)


def _blocks(up: int, count: int) -> tuple[str, ...]:
    return tuple(f"up_blocks_{up}/attentions_{i}/transformer_blocks_0" for i in range(count))


_SD = Layers(
    capture=tuple(f"{block}/attn1" for block in _blocks(3, 2)),
    features="up_blocks_2",
    time=51.0,
    prediction="noise",
    copies=8,
    words=_blocks(2, 3),
    times=(201, 401, 601),
    # 512 pixels is what these networks were trained at; a window around one target needs no more than a quarter.
    settings={"": dict(size=256), "frame": dict(size=512), "label_propagation": _dift(0.2, 15)},
)

LAYERS = {
    "mini": Layers(
        ("output_blocks_2_1", "output_blocks_3_1"), "output_blocks_2", 1000.0, "offset", phrases="mini_words"
    ),
    "tiny": Layers(("output_blocks_0_1", "output_blocks_1_1"), "output_blocks_0", 1000.0, "offset"),
    "adm256": Layers(
        ("output_blocks_7_1", "output_blocks_8_1"),
        "output_blocks_7",
        51.0,
        "noise",
        copies=4,
        settings={"": dict(size=256), "label_propagation": _dift(0.1, 10)},
    ),
    "tiny_adm": Layers(("output_blocks_0_1", "output_blocks_1_1"), "output_blocks_0", 51.0, "noise", copies=2),
    # Stable Diffusion, by the number of levels of its U-Net: 4 as published, 3 in tests.
    "sd": _SD,
    "tiny_sd": _SD._replace(
        capture=tuple(f"{block}/attn1" for block in _blocks(2, 2)),
        features="up_blocks_1",
        copies=2,
        words=_blocks(1, 2),
        settings={"": dict(size=64, text_size=64)},
    ),
}
LATENT = {4: "sd", 3: "tiny_sd"}
