"""A process that runs a recipe with the walker for a network: `RECIPE.py DATA WORKDIR DISTRIBUTED SECONDS_A_STEP`."""

import importlib.util
import pathlib
import sys
import time

from absl import logging

HERE = pathlib.Path(__file__).resolve().parent


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(recipe, data, workdir, distributed, pause):
    from difftrack_jax.errors import UserError
    from difftrack_jax.parallel import multihost

    multihost.initialize(distributed, workdir)
    from difftrack_jax.runners import benchmark

    walker = load(HERE / "walker.py").Walker

    class Slow(walker):
        def step(self, session, frame):
            time.sleep(float(pause))
            return super().step(session, frame)

    benchmark.load_tracker = lambda *_, **__: Slow()
    logging.set_verbosity(logging.INFO)
    config = load(pathlib.Path(recipe)).get_config()
    config.update(data_dir=data, births="detections", quiet=True)
    try:
        benchmark.run(config, pathlib.Path(workdir))
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
