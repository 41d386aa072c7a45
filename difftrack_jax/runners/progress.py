"""Progress with a time to go: a bar on a terminal, a plain line now and then elsewhere, nothing when quiet."""

import sys
import time

from tqdm import tqdm


class Progress:
    """`with Progress("track", total, start) as p: p.update(done, note)`; `total` may be None when nobody knows."""

    def __init__(self, label: str, total: int | None, start: int = 0, quiet: bool = False, every: float = 20.0):
        self._bar = None
        self._quiet, self._label, self._total, self._start, self._every = quiet, label, total, start, every
        self._begun = self._printed = time.monotonic()
        if not quiet and sys.stderr.isatty():
            self._bar = tqdm(desc=label, total=total, initial=start, unit="frame" if label == "track" else "step")

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, done: int, note: str = "") -> None:
        """`done` items are finished in all, those of an earlier run included."""
        if self._bar is not None:
            self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(done - self._bar.n)
        elif not self._quiet and (time.monotonic() - self._printed > self._every or done == self._total):
            self._printed = time.monotonic()
            print(self._line(done, note), file=sys.stderr, flush=True)

    def _line(self, done, note):
        pace = (time.monotonic() - self._begun) / max(done - self._start, 1)
        line = f"{self._label}: {done}/{self._total or '?'}, {pace:.2f} s each"
        if self._total:
            line += f", {(self._total - done) * pace / 60:.1f} min to go"
        return f"{line}  {note}".rstrip()
