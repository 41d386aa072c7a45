"""Workdir rules: who may write into a folder, what makes it resume, and what is left when a run fails.

    with claim(workdir, config) as folder: ...

A runner checks its input first and claims second, so that bad input touches nothing. A new or empty folder is
taken. One whose config.json belongs to the same config is resumed. Any other is refused, or, with
`overwrite=True`, emptied of our files. A lock, lifted by the system even by kill -9, keeps a second run out.
"""

import contextlib
import fcntl
import itertools
import json
import pathlib
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

from ml_collections import ConfigDict

from difftrack_jax.errors import UserError
from difftrack_jax.visualize.files import atomic_write

CONFIG, LOCK = "config.json", ".lock"
# What may differ between a run and its resumption, by task ("" for all).
_FREE = {
    "": {"quiet", "overwrite", "checkpoint_every", "log_every", "eval_every", "save_every", "profile", "dry_run"},
    # A longer training goes on where a shorter one ended, on whatever devices there are.
    "train": {"steps", "mesh.data", "mesh.fsdp"},
    "track": {"sequences", "limit"},  # more of a benchmark joins what is done of it
    "ablation": {"only", "rows"},  # every row has a folder that knows its own settings
}
# All that a run writes; `overwrite` removes these and nothing else.
_OURS = (
    CONFIG, ".*.partial*", "tracks.json", "tracks.partial.jsonl", "tracks.txt", "overlay.mp4", "masks",
    "state", "summary.json", "checkpoints", "profile", "metrics.jsonl", "tensorboard", "weights.safetensors",
    "video_*.mp4", "frames", "tracklets.json", "predictions", "per_sequence.csv", "results.json",
    "truth", "seconds", "clips", "rows", "ablation.json", "ablation.md", ".failed", "tracks_*", "tracks.csv", "boxes",
)  # fmt: skip


def new_workdir(name: str, root: str | pathlib.Path = "runs") -> pathlib.Path:
    """A fresh folder root/name-NUMBER."""
    for number in itertools.count(1):
        folder = pathlib.Path(root) / f"{name}-{number}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise UserError(f"workdir {folder}: cannot be written ({error.strerror})") from error
        return folder


@contextlib.contextmanager
def claim(workdir: pathlib.Path, config: ConfigDict) -> Iterator[pathlib.Path]:
    """Hold the workdir for the length of a run. One that fails before it wrote anything leaves no trace."""
    fields = flatten(config)
    if workdir.exists() and not workdir.is_dir():
        raise UserError(f"workdir {workdir}: is a file, a folder is needed")
    made = [folder for folder in (workdir, *workdir.parents) if not folder.exists()]
    found = None if made else _find(workdir)
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        lock = (workdir / LOCK).open("a")
    except OSError as error:
        raise UserError(f"workdir {workdir}: cannot be written ({error.strerror})") from error
    with lock:
        _take(lock, workdir)
        if found is not None and config.get("overwrite", False):
            _empty(workdir)
        elif found is not None:
            _compare(workdir, found, fields)
        try:
            with atomic_write(workdir / CONFIG) as temporary:
                temporary.write_text(json.dumps(json.loads(config.to_json()), indent=1, sort_keys=True) + "\n")
            yield workdir
        except Exception:
            _leave_no_trace(workdir, made)
            raise


def finished(workdir: pathlib.Path, config: ConfigDict) -> bool:
    """The workdir holds all of what this config asks for: summary.json is written last."""
    if config.get("overwrite", False) or not (workdir / "summary.json").is_file():
        return False
    found = _find(workdir)
    if found is not None:
        _compare(workdir, found, flatten(config))
    return not (workdir / "tracks.partial.jsonl").exists()


def flatten(config: Mapping[str, Any] | ConfigDict) -> dict[str, Any]:
    """Fields by dotted name, as JSON gives them back."""
    tree = json.loads(config.to_json() if isinstance(config, ConfigDict) else json.dumps(config))
    flat = {}

    def walk(prefix, value):
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(f"{prefix}.{key}" if prefix else key, inner)
        else:
            flat[prefix] = value

    walk("", tree)
    return flat


def _find(workdir: pathlib.Path) -> dict[str, Any] | None:
    """Fields of the run that lives there; None for an empty folder, an error for anybody else's."""
    try:
        others = [path.name for path in workdir.iterdir() if path.name != LOCK]
        if not others:
            return None
        tree = json.loads((workdir / CONFIG).read_text())
        if isinstance(tree, dict) and "task" in tree:
            return flatten(tree)
    except FileNotFoundError:
        pass
    except ValueError:
        pass
    except OSError as error:
        raise UserError(f"workdir {workdir}: cannot be read ({error.strerror})") from error
    raise UserError(
        f"workdir {workdir}: foreign workdir, it holds {sorted(others)[0]!r} and no {CONFIG} of ours; "
        "choose a new or empty folder"
    )


def _take(lock, workdir):
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UserError(f"workdir {workdir}: locked, another run is using it") from error
    except OSError as error:
        raise UserError(f"workdir {workdir}: cannot be locked ({error.strerror})") from error


def _compare(workdir, old, new):
    free = _FREE[""] | _FREE.get(new.get("task"), set())
    for name in sorted(old.keys() | new.keys()):
        was, now = old.get(name), new.get(name)
        if not {name, name.partition(".")[0]} & free and was != now:
            raise UserError(
                f"workdir {workdir}: belongs to another config, {name} was {was!r} and is {now!r}; "
                "choose another folder or add --config.overwrite=True"
            )


def _empty(workdir):
    for pattern in _OURS:
        for path in workdir.glob(pattern):
            try:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            except OSError as error:
                raise UserError(f"workdir {workdir}: cannot be emptied ({error})") from error


def _leave_no_trace(workdir, made):
    """Undo `claim`, when all that is in the folder is our config and lock."""
    if {path.name for path in workdir.iterdir()} <= {CONFIG, LOCK}:
        for path in list(workdir.iterdir()):
            path.unlink()
        for folder in made:
            folder.rmdir()
