"""How the cost of a tracked frame grows: with targets, frames, resolution and devices.

    python benchmarks/cost_curves.py [--only=targets,together,frames,resolutions,devices] [--quick] [--out=NAME]

Seconds of CPU a frame (all threads) of the preset `fast` at 320 x 240. Targets: each in a window of its own; together:
all in one window over the frame (`--config.tracker.window=frame`), one network pass for all. Frames: a flat line says
that nothing grows with the video (windows of 128 pixels, to be done sooner). Devices: a fleet of as many videos as host
devices; `relative` is its cost against that of the same videos one after the other on one device, measured in turns
with it. This part runs in processes of its own, because a process has one number of devices. --quick takes few, small
settings.
"""

import json
import os
import subprocess
import sys
import time

import numpy as np
import report
from absl import app, flags

ONLY = flags.DEFINE_list("only", ["targets", "together", "frames", "resolutions", "devices"], "curves")
MODEL = flags.DEFINE_string("model", "mini", "network")
QUICK = flags.DEFINE_bool("quick", False, "few, small settings")
FLEET = flags.DEFINE_integer("fleet", 0, "used by itself: measure a fleet of so many videos, and print JSON")
LABELS = {
    "targets": "targets",
    "together": "targets in one window",
    "frames": "frames",
    "resolutions": "window, pixels",
    "devices": "devices and videos",
}
OUT = flags.DEFINE_string("out", "benchmarks/results/cost_curves", "OUT.json, OUT.md, OUT.png")


def main(_):
    from difftrack_jax.runners import compilation

    compilation.use_cache()
    if FLEET.value:
        print("FLEET", json.dumps(fleet(FLEET.value)))
        return
    curves = dict(targets=targets, together=together, frames=frames, resolutions=resolutions, devices=devices)
    rows, head = [], ("curve", "at", "cpu s a frame", "relative")
    for name in ONLY.value:
        rows += [{"curve": name, "at": at, **found} for at, found in curves[name](QUICK.value)]
        text = report.table(head, [[row[column] for column in head] for row in rows])
        report.write(OUT.value, rows, text, plot(rows))  # as they come: one that is stopped keeps what it has


def clip(length):
    """A texture of blocks that moves to the right; what is seen has no part in what it costs."""
    blocks = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    return [np.roll(blocks, 2 * t, axis=1) for t in range(length)]


def seconds(tracker, video, some):
    """CPU of each frame after the first step, which compiles."""
    session = tracker.init(video[0], some)
    spent = []
    for frame in video[1:]:
        begun = time.process_time()
        session, _ = tracker.step(session, frame)
        spent.append(time.process_time() - begun)
    return spent[1:]


def middle(values):
    return sorted(values)[len(values) // 2]


def relative(found):
    """To the first of a curve."""
    return [(at, {"cpu s a frame": cost, "relative": cost / found[0][1]}) for at, cost in found]


def targets(quick, **changes):
    from difftrack_jax import Point, load_tracker

    tracker, video = load_tracker(MODEL.value, **changes), clip(4)
    places = [Point(20 + 37 * n % 280, 20 + 53 * n % 200) for n in range(64)]
    counts = (1, 2, 4) if quick else (1, 4, 16, 64)
    return relative([(n, middle(seconds(tracker, video, places[:n]))) for n in counts])


def together(quick):
    return targets(quick, window="frame")


def frames(quick):
    from difftrack_jax import Box, load_tracker

    lengths = (4, 8, 12) if quick else (10, 30, 100, 300, 1000)
    tracker = load_tracker(MODEL.value, size=64 if quick else 128)
    spent = seconds(tracker, clip(lengths[-1] + 1), [Box(100, 80, 160, 140)])
    return relative([(n, middle(spent[max(0, n - 10) : n])) for n in lengths])


def resolutions(quick):
    from difftrack_jax import Box, load_tracker

    video, found = clip(4), []
    for size in (64, 128) if quick else (128, 192, 256, 384, 512):
        found.append((size, middle(seconds(load_tracker(MODEL.value, size=size), video, [Box(100, 80, 160, 140)]))))
    return relative(found)


def devices(quick):
    rows = []
    for count in (1, 2) if quick else (1, 2, 4, 8):
        flag = f"--xla_force_host_platform_device_count={count}"
        command = [sys.executable, __file__, f"--fleet={count}", f"--model={MODEL.value}", f"--quick={QUICK.value}"]
        done = subprocess.run(
            command, env={**os.environ, "XLA_FLAGS": flag}, capture_output=True, text=True, check=True
        )
        line = next(line for line in done.stdout.splitlines() if line.startswith("FLEET"))
        rows.append((count, json.loads(line.removeprefix("FLEET"))))
    return rows


def fleet(count):
    """A step of a fleet of `count` videos on as many devices, in turns with a step of each of them on one device."""
    from difftrack_jax import Box, load_tracker
    from difftrack_jax.tracking.fleet import Fleet

    tracker = load_tracker(MODEL.value, **(dict(size=64) if QUICK.value else {}))
    video, box = clip(4), [Box(100, 80, 160, 140)]
    many = Fleet(tracker)
    state = [many.init([video[0]] * count, [box] * count)]
    sessions = [tracker.init(video[0], box) for _ in range(count)]

    def together():
        state[0] = many.step(state[0], [video[1]] * count)
        many.predict(state[0])

    def one_after_the_other():
        sessions[:] = [tracker.step(session, video[1])[0] for session in sessions]

    clocks = report.race({"fleet": together, "alone": one_after_the_other}, 2 if QUICK.value else 6)
    cost, alone = clocks["fleet"].cpu / count, clocks["alone"].cpu / count
    return {"cpu s a frame": cost, "alone": alone, "relative": cost / alone}


def plot(rows):
    import matplotlib.pyplot as plt

    names = list(dict.fromkeys(row["curve"] for row in rows))
    figure, axes = plt.subplots(1, len(names), figsize=(3.2 * len(names), 2.8), squeeze=False)
    for axis, name in zip(axes[0], names):
        points = [(row["at"], row["cpu s a frame"]) for row in rows if row["curve"] == name]
        axis.plot(*zip(*points), "o-")
        axis.set(xlabel=LABELS[name], ylabel="CPU s a frame" if axis is axes[0][0] else "", ylim=(0, None))
        axis.set_xscale("log" if name == "frames" else "linear")
    figure.tight_layout()
    return figure


if __name__ == "__main__":
    app.run(main)
