"""All speed benchmarks, one after the other, each in a process of its own; and their tables on one page.

    pip install -e '.[bench,reference]'
    python benchmarks/run_all.py [--only=tracked_frame,cost_curves]

Writes benchmarks/results/: NAME.json, NAME.md and NAME.png of each, and README.md with all of them. They measure CPU
time and compare in turns, so other work on the machine moves ratios little; seconds belong to the machine named.
"""

import json
import pathlib
import subprocess
import sys

from absl import app, flags

HERE = pathlib.Path(__file__).resolve().parent
RESULTS = HERE / "results"
TITLES = {
    "speed_vs_diffusers": "Our U-Nets against diffusers on torch",
    "tracked_frame": "A tracked frame, stage by stage",
    "cost_curves": "How the cost of a frame grows",
    "trackers_vs_opencv": "Beside OpenCV's trackers, on the bundled clip",
}
ONLY = flags.DEFINE_list("only", list(TITLES), "benchmarks to run; the page shows the last results of the others")


def main(_):
    failed = []
    for name in ONLY.value:
        print(f"== {name}", flush=True)
        command = [sys.executable, str(HERE / f"{name}.py"), f"--out={RESULTS / name}"]
        if subprocess.run(command, cwd=HERE).returncode:
            failed.append(name)
    RESULTS.mkdir(exist_ok=True)
    parts = [section(name) for name in TITLES if (RESULTS / f"{name}.json").is_file()]
    (RESULTS / "README.md").write_text("# Results\n\n`python benchmarks/run_all.py`\n\n" + "\n".join(parts))
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def section(name):
    """A benchmark's title, command, machine, table and picture."""
    notes = json.loads((RESULTS / f"{name}.json").read_text())
    machine = ", ".join(f"{key} {value}" for key, value in {**notes["machine"], **notes.get("theirs", {})}.items())
    table = (RESULTS / f"{name}.md").read_text()
    picture = f"\n![{TITLES[name]}]({name}.png)\n" if (RESULTS / f"{name}.png").is_file() else ""
    note = f"{notes['note']}\n\n" if "note" in notes else ""
    return f"## {TITLES[name]}\n\n`python benchmarks/{name}.py` ({machine})\n\n{note}{table}{picture}"


if __name__ == "__main__":
    app.run(main)
