"""A published file from its address, once, into a cache; whole or not at all."""

import os
import pathlib
import shutil
import sys
import urllib.error
import urllib.request

from tqdm import tqdm

from difftrack_jax.checkpoints.huggingface import offline
from difftrack_jax.errors import UserError


def cache_folder() -> pathlib.Path:
    """Where downloaded files are kept; XDG_CACHE_HOME is honoured."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return pathlib.Path(home) / "difftrack_jax" / "weights"


def download(url: str) -> pathlib.Path:
    """The file behind `url`, from the cache where it is there.

    Raises UserError that says what to do when it cannot come. HF_HUB_OFFLINE is honoured here too: with it set, nothing
    is asked of the network.
    """
    path = cache_folder() / url.rsplit("/", 1)[1]
    if path.is_file():
        return path
    by_hand = f"fetch {url} by hand and put it at {path}, or name its path as the model"
    if offline():
        raise UserError(f"{path.name}: HF_HUB_OFFLINE is set and it is not in the cache; {by_hand}")
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(url, timeout=30) as answer, partial.open("wb") as file:
            size = int(answer.headers.get("Content-Length") or 0)
            quiet = not sys.stderr.isatty()
            with tqdm.wrapattr(answer, "read", total=size, desc=path.name, disable=quiet) as stream:
                shutil.copyfileobj(stream, file, 1 << 20)
            if size and file.tell() != size:
                raise OSError(f"{file.tell()} bytes of {size} came")
        partial.replace(path)
    except (OSError, urllib.error.URLError) as error:
        raise UserError(f"{path.name}: cannot be downloaded ({error}); {by_hand}") from error
    finally:
        partial.unlink(missing_ok=True)
    return path
