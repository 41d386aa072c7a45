"""What a tracked frame costs, stage by stage: the paper's sequential process, and ours.

    python benchmarks/tracked_frame.py [--model=mini] [--repeats=3] [--out=benchmarks/results/tracked_frame]

One target in the bundled clip. A network pass is `backbone.predict_end` with captured attention, a reference pass
`backbone.reference`; what is left of the compiled step is cutting windows, maps, and the read-out. `paper` is Alg. 2 as
printed: T = 50, k from 40 to 1 one after the other, one fine-tuning step on all weights, A_S^4, the whole frame.
"""

import functools

import jax
import jax.numpy as jnp
import report
from absl import app, flags

from difftrack_jax.data import demo
from difftrack_jax.runners import compilation
from difftrack_jax.tracking.parse import make_target
from difftrack_jax.tracking.session import load_tracker

MODEL = flags.DEFINE_string("model", "mini", "network")
REPEATS = flags.DEFINE_integer("repeats", 3, "timed runs of each")
ONLY = flags.DEFINE_list("only", [], "names of presets below; empty is all")
OUT = flags.DEFINE_string("out", "benchmarks/results/tracked_frame", "OUT.json, OUT.md, OUT.png")

CASES = {
    "fast": ("fast", {}),
    "fast, one tuning step": ("fast", dict(tune_first=1, tune_steps=1)),
    "fast, sequential": ("fast", dict(order="sequential", interval=(0.02, 0.8))),
    "paper, no tuning": ("paper", dict(tune_first=0, tune_steps=0)),
    "paper": ("paper", dict(tune_first=1)),  # the 500 steps of the first pair are paid once, and left out
}


def main(_):
    compilation.use_cache()
    clip = demo.demo_clip("synthetic:5:3")
    frames = list(clip.source)
    target = make_target(**clip.targets[0])
    rows = []
    for name, (preset, changes) in CASES.items():
        if ONLY.value and name not in ONLY.value:
            continue
        tracker = load_tracker(MODEL.value, preset, **changes)
        rows.append({"what": name, **measure(tracker, frames, target)})
        print(rows[-1], flush=True)
    for row in rows:
        row["times fast"] = row["frame cpu s"] / rows[0]["frame cpu s"]
    head = tuple(rows[0])
    figure = report.bars(rows, ("frame cpu s", "network pass cpu s"), "what", "seconds of CPU")
    report.write(OUT.value, rows, report.table(head, [[row[name] for name in head] for row in rows]), figure)


def measure(tracker, frames, target):
    """Seconds of CPU of a whole frame, and of its stages."""
    backbone, settings = tracker.backbone, tracker.settings
    session = tracker.init(frames[0], [target])
    held = [tracker.step(session, frames[1])[0]]

    def frame():
        held[0], _ = tracker.step(held[0], frames[2])

    side = settings.size
    z = backbone.encode(backbone.params, jnp.zeros((1, side, side * 3 // 4 if settings.window == "frame" else side, 3)))
    reference = jax.jit(backbone.reference)
    keys = reference(backbone.params, z)
    predict = jax.jit(functools.partial(backbone.predict_end))
    alpha = jnp.full(1, 0.02)
    runs = {
        "frame": frame,
        "reference pass": lambda: jax.block_until_ready(reference(backbone.params, z)),
        "network pass": lambda: jax.block_until_ready(predict(backbone.params, z, alpha, keys)),
    }
    clocks = report.race(runs, REPEATS.value)
    passes = len(settings.ks)
    rest = clocks["frame"].cpu - passes * clocks["network pass"].cpu - clocks["reference pass"].cpu
    return {
        "passes": passes,
        "tuning steps": settings.tune_steps,
        "frame cpu s": clocks["frame"].cpu,
        "network pass cpu s": clocks["network pass"].cpu,
        "reference pass cpu s": clocks["reference pass"].cpu,
        "everything else cpu s": rest,
        "frame wall s": clocks["frame"].wall,
    }


if __name__ == "__main__":
    app.run(main)
