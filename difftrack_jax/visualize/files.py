"""Files that are whole or absent: written under a temporary name beside the target, then moved into place."""

import contextlib
import os
import pathlib
from collections.abc import Iterator

from difftrack_jax.errors import UserError


@contextlib.contextmanager
def disk_errors(path: str | os.PathLike) -> Iterator[None]:
    """A full disk or a forbidden folder becomes one line that names the file."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error})") from error


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """A temporary path with the suffix of `path`, renamed to it at the end and removed if the body fails.

    with atomic_write("tracks.txt") as temporary:
      temporary.write_text("...")
    """
    path = pathlib.Path(path)
    temporary = path.with_name(f".{path.stem}.partial{path.suffix}")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
