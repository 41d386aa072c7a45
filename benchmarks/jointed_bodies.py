"""Points on thin, jointed bodies over a moving ground: the windows and colours of points were chosen on such.

    python benchmarks/jointed_bodies.py [--clips=4] [--frames=24] [--posts=2] [--changes=JSON] [--out=bodies.json]

A trunk with four limbs of two bones each, six to forty pixels thick, swings over a ground that is shifted under it;
both wear photographs out of scikit-image (extras `bench` and `train`). Ten points lie on the axes of its bones. Scores
are those of scoring.py. With `--posts` it walks behind posts that go along with the ground, a little faster; points
they hide in the first frame are left out, and those hidden later do not count while they are.
"""

import json
import pathlib
from typing import NamedTuple

import cv2
import numpy as np
from absl import app, flags
from scoring import d_avg, flow_points, ours, pck, table
from tqdm import tqdm

from difftrack_jax.data import textures
from difftrack_jax.runners import compilation
from difftrack_jax.tracking.indicators import Point
from difftrack_jax.tracking.session import load_tracker

CLIPS = flags.DEFINE_integer("clips", 4, "clips")
FRAMES = flags.DEFINE_integer("frames", 24, "frames a clip")
POSTS = flags.DEFINE_integer("posts", 0, "posts in front of the body")
MODEL = flags.DEFINE_string("model", "mini", "bundled name or weight file")
CHANGES = flags.DEFINE_string("changes", "{}", "JSON of settings to change in the preset")
OUT = flags.DEFINE_string("out", None, "JSON file for the results")

HEIGHT, WIDTH, FINE = 270, 480, 2  # drawn twice as fine, then averaged


class Bone(NamedTuple):
    """parent: its number, or None for the trunk. end: which of the parent's ends it hangs on. Lengths in fine pixels;
    angles to the parent's.
    """

    parent: int | None
    end: int
    length: float
    width: float
    angle: float
    swing: float
    phase: float


class Clip(NamedTuple):
    """points: [t, p, 2] in pixels. area: of the body, in each frame. seen: points in the frame, behind no post."""

    frames: list[np.ndarray]
    points: np.ndarray
    area: np.ndarray
    seen: np.ndarray


def skeleton(rng):
    """A trunk, a thigh on each of four hips, and a shank on each thigh."""
    size, draw = HEIGHT * FINE * rng.uniform(0.18, 0.3), rng.uniform
    phase = lambda: draw(0, 2 * np.pi)
    bones = [Bone(None, 0, 1.4 * size, 0.28 * size, draw(-0.3, 0.3), 0.1, phase())]
    for limb in range(4):
        length, width = size * draw(0.6, 0.9), size * draw(0.09, 0.16)
        bones.append(Bone(0, limb % 2, length, width, np.pi / 2 + draw(-0.4, 0.4), draw(0.2, 0.6), phase()))
    for limb in range(4):
        length, width = size * draw(0.5, 0.8), size * draw(0.06, 0.1)
        bones.append(Bone(1 + limb, 1, length, width, draw(-0.4, 0.4), draw(0.2, 0.7), phase()))
    return bones


def posed(bones, root, time):
    """Both ends of each bone [b, 2, 2] and its angle [b]."""
    ends, angles = [], []
    for bone in bones:
        above = 0.0 if bone.parent is None else angles[bone.parent]
        angle = above + bone.angle + bone.swing * np.sin(time + bone.phase)
        along = bone.length * np.array([np.cos(angle), np.sin(angle)])
        start = root - along / 2 if bone.parent is None else ends[bone.parent][bone.end]
        ends.append((start, start + along))
        angles.append(angle)
    return np.array(ends), angles


def photograph(rng, bank, height, width, contrast):
    """A crop of a photograph, blown up, and tinted towards a colour of its own."""
    image = bank[rng.integers(len(bank))].astype(np.float32)
    side = int(len(image) * rng.uniform(0.4, 1.0))
    y, x = rng.integers(0, len(image) - side + 1, 2)
    image = cv2.resize(image[y : y + side, x : x + side], (width, height), interpolation=cv2.INTER_CUBIC)
    return 0.5 * rng.uniform(0, 255, 3) + 0.5 * image.mean((0, 1)) + contrast * (image - image.mean((0, 1)))


def paint(image, body, coat, bone, start, angle):
    """One bone, an ellipse cut out of its coat."""
    height, width = coat.shape[:2]
    shape = np.zeros((height, width), np.float32)
    axes = (max(width // 2 - 4, 2), max(height // 2 - 4, 2))
    cv2.ellipse(shape, (width // 2, height // 2), axes, 0, 0, 360, 1, -1)
    c, s = np.cos(angle), np.sin(angle)
    to = np.array([[c, -s, start[0] - 4 * c + s * height / 2], [s, c, start[1] - 4 * s - c * height / 2]])
    warp = lambda a: cv2.warpAffine(a, to, image.shape[1::-1])
    there = warp(shape)
    np.maximum(body, there, out=body)
    return image * (1 - there[..., None]) + warp(coat) * there[..., None]


def stand_before(image, posts, shift):
    """The image with posts [(x, texture)] moved by `shift` painted over it, and where they are [w]."""
    image, width = image.copy(), image.shape[1]
    covered = np.zeros(width, bool)
    for x, texture in posts:
        left = int(x + shift)
        low, high = np.clip([left, left + texture.shape[1]], 0, width)
        image[:, low:high] = texture[:, low - left : high - left]
        covered[low:high] = True
    return image, covered


def draw(seed, count, posts=0):
    """A clip of `count` frames."""
    rng = np.random.default_rng(seed)
    bank = np.asarray(textures.photograph_bank(7).images)
    height, width = HEIGHT * FINE, WIDTH * FINE
    ground = photograph(rng, bank, 2 * height, 2 * width, rng.uniform(0.3, 0.9))
    fur = photograph(rng, bank, 512, 512, rng.uniform(0.2, 0.5))
    bones = skeleton(rng)
    coats = [
        np.ascontiguousarray(fur[37 * i % 128 :, 53 * i % 64 :][: int(b.width) + 8, : int(b.length) + 8])
        for i, b in enumerate(bones)
    ]
    shift, walk = rng.uniform(-5, 5, 2) * FINE, rng.uniform(-2, 2, 2) * FINE
    pace, light = rng.uniform(0.15, 0.4), rng.uniform(-0.1, 0.1)
    bars = []
    for _ in range(posts):
        broad, x = int(rng.uniform(8, 28) * FINE), width * (0.5 + rng.uniform(-0.2, 0.2))
        bars.append((x - broad / 2, photograph(rng, bank, height, broad, rng.uniform(0.2, 0.9))))
    if posts:  # fast enough to pass by the body
        shift[0] += np.sign(shift[0]) * 2.5 * FINE
    frames, points, area, seen = [], [], [], []
    for t in range(count):
        middle = np.array([width / 2, height / 2])
        x, y = np.clip(middle + (t - count / 2) * shift / 2, 0, middle * 2).astype(int)
        image, body = ground[y : y + height, x : x + width], np.zeros((height, width), np.float32)
        ends, angles = posed(bones, middle + (t - count / 2) * walk, pace * t)
        for i in reversed(range(len(bones))):
            image = paint(image, body, coats[i], bones[i], ends[i, 0], angles[i])
        image, covered = stand_before(image, bars, -0.6 * (t - count / 2) * shift[0])
        frame = cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) * (1 + light * t / count)
        frame = frame + 3 * rng.standard_normal(frame.shape)
        frames.append(np.clip(frame, 0, 255).astype(np.uint8))
        # The trunk's ends, and the middle of every other bone.
        points.append(np.concatenate([ends[0], ends[1:].mean(1)]) / FINE)
        area.append(body.sum() / FINE**2)
        column = np.clip(points[-1][:, 0] * FINE, 0, width - 1).astype(int)
        seen.append(((points[-1] > 0) & (points[-1] < [WIDTH, HEIGHT])).all(-1) & ~covered[column])
    points, seen = np.array(points, np.float32), np.array(seen)
    asked = seen[0] | (posts == 0)
    return Clip(frames, points[:, asked], np.array(area), seen[:, asked])


def run(clip, tracker):
    found, seconds = ours(tracker, clip.frames, [Point(*map(float, p)) for p in clip.points[0]])
    paths = {
        "static": [clip.points[0]] * len(clip.frames),
        "Lucas-Kanade": flow_points(clip.frames, clip.points[0]),
        "ours": [p.point for p in found],
    }
    truth = range(len(clip.frames)), clip.points, clip.seen
    scores = {name: d_avg(path, *truth, (HEIGHT, WIDTH)) for name, path in paths.items()}
    within = {f"{name}, PCK": pck(path, *truth, clip.area) for name, path in paths.items()}
    return {**scores, **within, "seconds": seconds}


def main(_):
    compilation.use_cache()
    tracker = load_tracker(MODEL.value, "fast", **json.loads(CHANGES.value))
    clips = (draw(seed, FRAMES.value, POSTS.value) for seed in range(CLIPS.value))
    results = {f"{i:02d}": run(clip, tracker) for i, clip in enumerate(tqdm(clips, total=CLIPS.value))}
    print(table("points on thin bodies", "d_avg", results))
    if OUT.value:
        pathlib.Path(OUT.value).write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    app.run(main)
