"""The door: flags, logging, a compilation cache, and one runner by `config.task`. Short on purpose.

    python -m difftrack_jax.main --config=FILE.py[:tiny] [--workdir=DIR] [--config.FIELD=VALUE ...] [--quiet]

Exit code 0 when everything was written, 1 with one line on stderr when it cannot be, 130 after Ctrl-C.
"""

import contextlib
import importlib
import logging as python_logging
import pathlib
import re
import sys

from absl import app, flags, logging
from ml_collections import ConfigDict, config_flags

from difftrack_jax.errors import UserError

_TASKS = ("track", "train", "evaluate", "convert", "generate", "fvd", "ablation")
RUNNERS = {name: f"difftrack_jax.runners.{name}" for name in _TASKS}

_CONFIG = config_flags.DEFINE_config_file("config", None, "FILE.py, or FILE.py:tiny for a laptop minute.")
_WORKDIR = flags.DEFINE_string("workdir", None, "For results, and resumed from; if absent, a new one in runs/.")
_DISTRIBUTED = flags.DEFINE_string("distributed", "", "Join other processes: auto, or HOST:PORT,PROCESSES,INDEX.")
_QUIET = flags.DEFINE_bool("quiet", False, "No progress, only results and errors.")


def run() -> None:
    """The console script `difftrack`."""
    app.run(_main, flags_parser=_parse)


def execute(config: ConfigDict, workdir: str | None, name: str = "run") -> int:
    """Run a config and return the exit code."""
    from difftrack_jax.runners import common

    folder = None
    try:
        if config.get("task") not in RUNNERS:
            raise UserError(f"task {config.get('task')!r}: unknown; known tasks are {', '.join(RUNNERS)}")
        folder = pathlib.Path(workdir).expanduser() if workdir else common.new_workdir(name)
        print(f"workdir: {folder}", flush=True)
        results = importlib.import_module(RUNNERS[config.task]).run(config, folder)
        for key, value in results.items():
            print(f"{key}: {value}")
        return 0
    except UserError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        print(f"stopped; the same command with --workdir={folder} resumes", file=sys.stderr)
        return 130
    finally:
        if folder and not workdir:
            with contextlib.suppress(OSError):
                folder.rmdir()  # Only succeeds when the run left nothing in it.


def _main(argv: list[str]) -> int:
    config = _CONFIG.value
    if len(argv) > 1:
        return _fail(f"{argv[1]!r} is not a flag; flags begin with --")
    if _QUIET.value:
        with config.unlocked():
            config.quiet = True
    _set_up_logging(config.get("quiet", False))
    # These import jax, which a wrong flag need not wait for.
    from difftrack_jax.parallel import multihost
    from difftrack_jax.runners import compilation

    compilation.use_cache()
    try:
        multihost.initialize(_DISTRIBUTED.value, _WORKDIR.value)
    except UserError as error:
        return _fail(str(error))
    return execute(config, _WORKDIR.value, pathlib.Path(_config_file(flags.FLAGS["config"].config_filename)).stem)


def _parse(argv: list[str]) -> list[str]:
    """Flags; anything wrong with them is one line."""
    try:
        rest = flags.FLAGS(argv)
        if _CONFIG.value is None:
            raise UserError("no --config given, as in --config=configs/track/video.py")
        _CONFIG.value.get("task")  # A file that is not there shows only now.
        return rest
    except (flags.Error, UserError) as error:
        sys.exit(_fail(str(error)))
    except OSError:
        path = next((arg.partition("=")[2] for arg in argv if arg.startswith("--config=")), "the file")
        sys.exit(_fail(f"--config: {_config_file(path)} cannot be read"))
    except (AttributeError, KeyError) as error:
        field = re.search(r"[A-Za-z_]\w*", str(error))[0]
        given = [arg.split("=")[0] for arg in argv if re.match(rf"--config\.(.*\.)?{field}(=|$)", arg)]
        if not given:
            raise
        hint = re.search(r'mean "(\w+)"', str(error))
        likely = f"; did you mean {hint[1]}?" if hint else ""
        sys.exit(_fail(f"{given[0]}: there is no such field in this config{likely}"))


def _config_file(argument: str) -> str:
    return argument.partition(":")[0]


def _fail(message: str) -> int:
    print("error:", " ".join(message.split()), file=sys.stderr, flush=True)
    return 1


def _set_up_logging(quiet: bool) -> None:
    """Our own news and everybody's warnings; what orbax and absl tell besides stays out."""
    logging.set_verbosity(logging.WARNING if quiet else logging.INFO)
    logging.use_absl_handler()
    handler, ours = logging.get_absl_handler(), str(pathlib.Path(__file__).parent)
    handler.addFilter(lambda record: record.levelno >= python_logging.WARNING or record.pathname.startswith(ours))
    handler.setFormatter(python_logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))


if __name__ == "__main__":
    run()
