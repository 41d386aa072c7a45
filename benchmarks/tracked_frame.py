"""What a tracked frame costs, stage by stage: the paper's sequential process, and ours.

    python benchmarks/tracked_frame.py [--model=mini] [--repeats=3] [--out=benchmarks/results/tracked_frame]

One target in the bundled clip. Stages are timed as programs of their own, in turns with the whole frame: cutting the
two windows, a reference pass (`backbone.reference`), and a network pass (`backbone.predict_end` with captured
attention). Tuning is what a frame with it costs more than the same without; what is left is choosing and carrying rows,
the read-out, and the way to the host. `paper` is Alg. 2 as printed: k from T = 50 to 1 one after the other, those up to
40 are read, one fine-tuning step on all weights, A_S^4, the whole frame.
"""

import functools

import jax
import jax.numpy as jnp
import report
from absl import app, flags

from difftrack_jax.data import demo
from difftrack_jax.ops import windows
from difftrack_jax.runners import compilation
from difftrack_jax.tracking import attention_maps
from difftrack_jax.tracking.parse import make_target
from difftrack_jax.tracking.session import load_tracker

MODEL = flags.DEFINE_string("model", "mini", "network")
REPEATS = flags.DEFINE_integer("repeats", 3, "timed runs of each")
ONLY = flags.DEFINE_list("only", [], "names of presets below; empty is all")
OUT = flags.DEFINE_string("out", "benchmarks/results/tracked_frame", "OUT.json, OUT.md, OUT.png")

CASES = {  # preset, changes, and the case that differs by its tuning alone
    "fast": ("fast", {}, None),
    "fast, one tuning step": ("fast", dict(tune_first=1, tune_steps=1), "fast"),
    "paper, no tuning": ("paper", dict(tune_first=0, tune_steps=0), None),
    # The 500 steps of the first pair are paid once, and left out.
    "paper": ("paper", dict(tune_first=1), "paper, no tuning"),
    "fast, sequential": ("fast", dict(order="sequential", interval=(0.02, 0.8)), None),
    "paper, reconstruction": ("paper", dict(process="reconstruction", tune_first=0, tune_steps=0), None),
}


def main(_):
    compilation.use_cache()
    clip = demo.demo_clip("synthetic:5:3")
    frames = list(clip.source)
    target = make_target(**clip.targets[0])
    rows = {}
    for name, (preset, changes, untuned) in CASES.items():
        if ONLY.value and name not in ONLY.value:
            continue
        tracker = load_tracker(MODEL.value, preset, **changes)
        found = measure(tracker, frames, target)
        tuning = found["frame"] - rows[untuned]["frame"] if untuned in rows else 0.0
        rows[name] = {"what": name, "passes": passes(tracker.settings), **found, "tuning": tuning}
        rows[name]["rest"] = left(rows[name])
        rows[name]["times fast"] = found["frame"] / rows["fast"]["frame"] if "fast" in rows else float("nan")
        write(list(rows.values()))  # as they come: a benchmark that is stopped keeps what it has


def write(rows):
    head = tuple(rows[0])
    figure = report.bars(rows, ("frame", "network pass"), "what", "seconds of CPU")
    report.write(OUT.value, rows, report.table(head, [[row[name] for name in head] for row in rows]), figure)


def passes(settings):
    """Network passes a frame: the whole walk, or those k that are read."""
    return len(settings.ks) if settings.order == "parallel" else settings.steps


def left(row):
    """What no stage accounts for."""
    named = row["windows"] + row["reference pass"] + row["passes"] * row["network pass"] + row["tuning"]
    return row["frame"] - named


def measure(tracker, frames, target):
    """Seconds of CPU of a whole frame, and of its stages."""
    backbone, settings = tracker.backbone, tracker.settings
    session = tracker.init(frames[0], [target])
    held = [tracker.step(session, frames[1])[0]]

    def frame():
        held[0], _ = tracker.step(held[0], frames[2])

    height, place = settings.size if settings.window == "target" else settings.size * 3 // 4, (60.0, 50, 180, 170)
    cut = lambda image: windows.crop(image, jnp.array(place), (height, settings.size))
    both = jax.jit(lambda *two: [cut(one) for one in two])
    images = [jnp.asarray(one, jnp.float32) / 127.5 - 1 for one in frames[:2]]
    z = backbone.encode(backbone.params, both(*images)[0][None])
    reference = jax.jit(backbone.reference)
    # The first frame, those remembered, and the one before.
    tile = lambda a: jnp.tile(a, (1, 2 + settings.memory, 1, 1))
    keys = jax.tree.map(tile, reference(backbone.params, z))
    network, alpha = jax.jit(functools.partial(_network_pass, backbone, settings)), jnp.full(1, 0.02)
    runs = {
        "frame": frame,
        "windows": lambda: jax.block_until_ready(both(*images)),
        "reference pass": lambda: jax.block_until_ready(reference(backbone.params, z)),
        "network pass": lambda: jax.block_until_ready(network(backbone.params, z, alpha, keys)),
    }
    return {name: clock.cpu for name, clock in report.race(runs, REPEATS.value).items()}


def _network_pass(backbone, settings, params, z, alpha, keys):
    """What a frame takes from a pass: the rest is never computed."""
    end, seen = backbone.predict_end(params, z, alpha, keys)
    maps = attention_maps.average(seen.maps)
    return maps.cross, maps.self_ if settings.beta else None, end if settings.order == "sequential" else None


if __name__ == "__main__":
    app.run(main)
