"""What the speed benchmarks share: measuring, and writing JSON, a markdown table and a picture side by side.

Two clocks: wall seconds, and seconds of CPU summed over all threads of the process, which other work on the machine
touches much less. Both are the best of several repeats; peers are measured in turns, so that none has the quiet spell.
"""

import json
import os
import pathlib
import platform
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax


class Clock:
    """Best wall and CPU seconds of what runs between `with clock:`."""

    def __init__(self):
        self.wall = self.cpu = float("inf")

    def __enter__(self):
        self._begun = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_):
        self.wall = min(self.wall, time.perf_counter() - self._begun[0])
        self.cpu = min(self.cpu, time.process_time() - self._begun[1])


def race(runs: dict[str, Callable[[], Any]], repeats: int) -> dict[str, Clock]:
    """Clocks of several functions, in turns, after one run of each that does not count. They wait for their results."""
    for run in runs.values():
        run()
    clocks = {name: Clock() for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            with clocks[name]:
                run()
    return clocks


def one_core() -> None:
    """Keep this process on one core, so that two libraries differ in work and not in how they wait. Call it early."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Markdown; numbers to three digits."""
    say = lambda value: f"{value:.3g}" if isinstance(value, float) else str(value)
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(say, line)) + " |" for line in lines)


def machine() -> dict[str, Any]:
    device = jax.devices()[0]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"device": f"{device.platform} {device.device_kind}", "processor": processor(), "cores": cores} | {
        "jax": jax.__version__,
        "python": platform.python_version(),
        "load at the end": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
    }


def processor() -> str:
    cpus = pathlib.Path("/proc/cpuinfo")
    lines = cpus.read_text().splitlines() if cpus.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def write(out: str, rows: list[dict[str, Any]], text: str, figure: Any = None, **notes: Any) -> None:
    """OUT.json, OUT.md, and OUT.png where there is a figure."""
    path = pathlib.Path(out)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".json").write_text(json.dumps({"rows": rows, "machine": machine(), **notes}, indent=1) + "\n")
    path.with_suffix(".md").write_text(text + "\n")
    if figure is not None:
        import matplotlib.pyplot as plt

        figure.savefig(path.with_suffix(".png"), dpi=120, bbox_inches="tight")
        plt.close(figure)
    print(text)


def bars(rows: Sequence[dict[str, Any]], names: Sequence[str], label: str, what: str) -> Any:
    """Grouped bars of several columns on a logarithmic scale."""
    import matplotlib.pyplot as plt
    import numpy as np

    figure, axis = plt.subplots(figsize=(1.5 + 1.4 * len(rows), 3))
    width = 0.8 / len(names)
    for i, name in enumerate(names):
        heights = [row.get(name, np.nan) for row in rows]
        axis.bar(np.arange(len(rows)) + i * width, heights, width, label=name)
    axis.set_xticks(np.arange(len(rows)) + 0.4 - width / 2, [row[label] for row in rows], fontsize=7)
    axis.set(yscale="log", ylabel=what)
    axis.legend(fontsize=7)
    return figure
