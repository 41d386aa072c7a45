"""Scalars to the log, a JSON-lines file and TensorBoard.

clu's writers are used where TensorFlow and TensorBoard are installed (clu imports both); without TensorFlow the same
events are written by TensorBoard's own writer, and without TensorBoard the JSON lines remain.
"""

import json
import pathlib
import time

from absl import logging


class Writer:
    """write(step, scalars) everywhere at once. A resumed run appends; later lines for a step win.

    folder: None writes nowhere, for all processes but the first.
    """

    def __init__(self, folder: pathlib.Path | None):
        self._lines = None
        if folder is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        self._lines = (folder / "metrics.jsonl").open("a")
        self._events = _tensorboard(folder)

    def write(self, step: int, scalars: dict[str, float]) -> None:
        if self._lines is None:
            return
        scalars = {name: float(value) for name, value in scalars.items()}
        self._lines.write(json.dumps({"step": step, **scalars}) + "\n")
        self._lines.flush()
        self._events(step, scalars)
        logging.info("step %d: %s", step, ", ".join(f"{k} {v:.4g}" for k, v in scalars.items()))

    def close(self) -> None:
        if self._lines is not None:
            self._lines.close()


def _tensorboard(folder):
    try:
        from clu import metric_writers
    except ImportError:
        return _plain_tensorboard(folder)
    writer = metric_writers.create_default_writer(str(folder / "tensorboard"), asynchronous=False)
    return lambda step, scalars: (writer.write_scalars(step, scalars), writer.flush())


def _plain_tensorboard(folder):
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError:
        logging.info(
            "TensorBoard is not installed: scalars go to metrics.jsonl only (pip install difftrack_jax[train])"
        )
        return lambda step, scalars: None
    writer = EventFileWriter(str(folder / "tensorboard"))

    def write(step, scalars):
        values = [Summary.Value(tag=name, simple_value=value) for name, value in scalars.items()]
        writer.add_event(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))
        writer.flush()

    return write
