"""Clips of one procedural object with its truth, from seeds that no training draws: what presets are chosen on.

    for clip in clips(12, frames=24): ...
    write(root, clips(12, frames=24))     # root/otb, root/davis, root/tapvid_davis: official layouts, for data/builders

The scenes move from half to twice the pace of `synthetic:SEED`, and are seen through a shaking, noisy camera.
"""

import itertools
import os
import pathlib
import pickle
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image
from scipy import ndimage

from difftrack_jax.data import synthetic
from difftrack_jax.data.formats import davis, rle, sot
from difftrack_jax.data.records import make_rows
from difftrack_jax.data.scene import sample_scene
from difftrack_jax.data.textures import Bank, training_bank
from difftrack_jax.typing import Bool, Float, UInt8

SIZE = (240, 320)  # height, width
SEED = 900_001  # training folds its seeds from 0 and 1
_BANK_SEED = 77
_TRIED = 40  # points of an object among which hidden ones are looked for


class ObjectClip(NamedTuple):
    """masks: of what can be seen of the object; boxes: around it, in pixels. visible: at least 20 pixels can be seen.

    points: four of the object's, inside it in the first frame.
    """

    frames: UInt8[np.ndarray, "t h w 3"]
    masks: Bool[np.ndarray, "t h w"]
    boxes: Float[np.ndarray, "t 4"]
    visible: Bool[np.ndarray, "t"]
    points: Float[np.ndarray, "t 4 2"]
    point_visible: Bool[np.ndarray, "t 4"]


def clips(count: int, frames: int, always_visible: bool = False) -> Iterator[ObjectClip]:
    """The first `count` clips, in the order of their seeds. always_visible: only those whose object is never hidden."""
    bank = training_bank(_BANK_SEED)
    made = (make_clip(seed, bank, frames) for seed in itertools.count())
    good = (clip for clip in made if clip is not None and (clip.visible.all() or not always_visible))
    return itertools.islice(good, count)


def hidden_clips(count: int, frames: int) -> Iterator[ObjectClip]:
    """Clips whose points stay within the frame, but are hidden in a sixth to four fifths of the frames."""
    bank = training_bank(_BANK_SEED)
    made = (make_clip(seed, bank, frames, hidden=True) for seed in itertools.count())
    return itertools.islice((clip for clip in made if clip is not None), count)


def make_clip(seed: int, bank: Bank, frames: int, hidden: bool = False) -> ObjectClip | None:
    """One clip and its object, or None where no object is of a fair size and mostly in sight.

    hidden: None where it has no four points that are often hidden, instead.
    """
    rng = np.random.default_rng(seed)
    times = jnp.asarray(1.0 + 0.014 * 2.0 ** rng.uniform(-1, 1) * np.arange(frames), jnp.float32)
    scene, drawn, images, truth = _draw(jax.random.key(SEED + seed), bank, times)
    masks, visible = np.asarray(truth.masks), np.asarray(truth.visible)
    share = masks[:, 0].mean((-2, -1))
    good = np.nonzero((share > 0.01) & (share < 0.25) & ((visible.mean(1) > 0.7) | hidden) & visible[:, 0])[0]
    if not len(good):
        return None
    target = int(rng.choice(good))
    inside, tried = np.argwhere(ndimage.binary_erosion(masks[target, 0], iterations=2)), _TRIED if hidden else 4
    if len(inside) < tried:
        return None
    points = inside[rng.choice(len(inside), tried, replace=False)][:, ::-1] + 0.5
    tracks = _truth(scene, drawn, times, jnp.asarray(points, jnp.float32))
    points, seen = np.swapaxes(np.asarray(tracks.points), 0, 1), np.asarray(tracks.point_visible).T
    if hidden:
        often = np.nonzero(_often_hidden(points, seen))[0][:4]
        if len(often) < 4:
            return None
        points, seen = points[:, often], seen[:, often]
    return ObjectClip(np.asarray(images), masks[target], np.asarray(truth.boxes)[target], visible[target], points, seen)


def _often_hidden(points, seen):
    """Which of the points [t, p, 2] stay in the frame, and are hidden in a sixth to four fifths of its times."""
    share = 1 - seen.mean(0)
    inside = ((points >= 0) & (points < SIZE[::-1])).all((0, 2))
    return inside & (share > 1 / 6) & (share < 4 / 5)


@jax.jit
def _draw(key, bank, times):
    """Scene, frames as the camera sees them, and the truth of all objects."""
    k_scene, k_lens = jax.random.split(key)
    scene = sample_scene(k_scene, bank, objects=4, texture_size=256)
    clip = synthetic.render(scene, times, SIZE)
    # Half of the lens's changes from frame to frame: neighbours of a video are alike.
    frames = (clip.frames + synthetic.lens(k_lens, clip.frames)) / 2
    frames = jnp.rint((frames + 1) * 127.5).astype(jnp.uint8)
    return scene, clip, frames, synthetic.ground_truth(scene, clip, times, jnp.zeros((1, 2)))


_truth = jax.jit(synthetic.ground_truth)


def write(root: str | os.PathLike, made: Iterable[ObjectClip]) -> None:
    """The clips as three benchmarks: boxes as OTB, masks as DAVIS 2016, points as TAP-Vid; images once, under davis."""
    root, names, videos = pathlib.Path(root), [], {}
    for number, clip in enumerate(made):
        names.append(f"clip{number:02d}")
        images = root / "davis" / "JPEGImages" / "480p" / names[-1]
        images.mkdir(parents=True)
        for index, frame in enumerate(clip.frames):
            Image.fromarray(frame).save(images / f"{index:05d}.png")
        _write_masks(root / "davis" / "Annotations" / "480p" / names[-1], clip.masks)
        boxes = root / "otb" / names[-1]
        boxes.mkdir(parents=True)
        (boxes / "img").symlink_to(os.path.relpath(images, boxes))
        sot.write_boxes(boxes / "groundtruth_rect.txt", clip.boxes)
        videos[names[-1]] = _tapvid(clip)
    lists, points = root / "davis" / "ImageSets" / "2016", root / "tapvid_davis"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("".join(f"{name}\n" for name in names))
    points.mkdir()
    (points / "tapvid_davis.pkl").write_bytes(pickle.dumps(videos))


def _write_masks(folder: pathlib.Path, masks: Bool[np.ndarray, "t h w"]) -> None:
    shown = np.flatnonzero(masks.any((1, 2)))
    rows = make_rows(shown, id=np.ones(len(shown)), segment=[rle.encode(masks[t]) for t in shown])
    davis.write(folder, rows, [f"{t:05d}" for t in range(len(masks))], masks.shape[1:])


def _tapvid(clip: ObjectClip) -> dict[str, np.ndarray]:
    """An entry of TAP-Vid's pickle: points [n, t, 2] in [0, 1]."""
    size = np.array(clip.frames.shape[2:0:-1])
    return {
        "video": clip.frames,
        "points": (np.swapaxes(clip.points, 0, 1) / size).astype(np.float32),
        "occluded": ~clip.point_visible.T,
    }
