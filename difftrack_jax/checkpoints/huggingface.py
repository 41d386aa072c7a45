"""Published models by their id on the Hugging Face Hub: fetched once into its cache, found there ever after.

    fetch("stable-diffusion-v1-5/stable-diffusion-v1-5", parts)           OWNER/REPO
    fetch("OWNER/REPO@v2", parts)                                         pinned to a branch, tag or commit
    fetch("OWNER/REPO/some/file.safetensors", parts)                      one file of it

HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE, HF_ENDPOINT and HF_TOKEN mean what they mean to huggingface_hub, except that they
are read anew at each call. Offline, nothing is asked of the network.
"""

import contextlib
import os
import pathlib
import re
import socket
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from difftrack_jax.checkpoints.folders import needed_files
from difftrack_jax.errors import UserError

_WORD = r"[A-Za-z0-9][\w.-]*"
_ID = re.compile(rf"(?P<repo>{_WORD}/{_WORD})(?:/(?P<file>[^@]+))?(?:@(?P<revision>[^@\s]+))?")


class HubId(NamedTuple):
    """repo: OWNER/REPO. file: a path in it, or None for the whole. revision: None is the main branch."""

    repo: str
    file: str | None
    revision: str | None

    def __str__(self) -> str:
        return self.repo + (f"/{self.file}" if self.file else "") + (f"@{self.revision}" if self.revision else "")


def parse(name: str) -> HubId | None:
    """The id in `name`; None where it cannot be one."""
    match = _ID.fullmatch(name)
    return HubId(match["repo"], match["file"], match["revision"]) if match else None


def offline() -> bool:
    """HF_HUB_OFFLINE (or TRANSFORMERS_OFFLINE) asks that the network be left alone."""
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    return any(os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE") for name in names)


def cache_folder() -> pathlib.Path:
    """Where fetched files are kept."""
    home = os.environ.get("HF_HOME") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache"), "huggingface"
    )
    return pathlib.Path(os.environ.get("HF_HUB_CACHE") or os.path.join(home, "hub")).expanduser()


def fetch(name: str, parts: Iterable[str]) -> pathlib.Path:
    """The local folder (or, for an id with a file, file) of a published model; what is not in the cache is fetched.

    parts: subfolders whose weights are needed; of each, one file is fetched even where the repository has several.
    Raises UserError, one line that says what to do, when the repository is gated, private or absent, has no such
    revision or file, or cannot be reached and is not in the cache.
    """
    wanted = parse(name)
    if wanted is None:
        raise UserError(f"model {name!r}: is not an id on the Hub, which look like OWNER/REPO or OWNER/REPO@REVISION")
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ImportError as error:
        raise UserError(f"model {wanted}: needs huggingface_hub: pip install 'difftrack_jax[hub]'") from error
    with _explained(wanted):
        if offline():
            return _cached(huggingface_hub, wanted)
        try:
            files = _choose(huggingface_hub, wanted, parts)
        except Exception as error:
            if not _no_connection(error):
                raise
            return _cached(huggingface_hub, wanted)
        return _download(huggingface_hub, wanted, files)


def _choose(hub, wanted, parts):
    """The repository's files that we read."""
    if wanted.file:
        return [wanted.file]
    info = hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT")).model_info(wanted.repo, revision=wanted.revision)
    return needed_files([sibling.rfilename for sibling in info.siblings], parts)


def _download(hub, wanted, files):
    folder = hub.snapshot_download(
        wanted.repo,
        revision=wanted.revision,
        cache_dir=cache_folder(),
        endpoint=os.environ.get("HF_ENDPOINT"),
        allow_patterns=files,
    )
    path = pathlib.Path(folder) / (wanted.file or "")
    if not path.exists():
        raise UserError(f"model {wanted}: {wanted.repo} has no file {wanted.file}")
    return path


def _cached(hub, wanted):
    """What was fetched before; huggingface_hub itself would miss the files that we never fetch."""
    options = dict(cache_dir=cache_folder(), revision=wanted.revision)
    for probe in (wanted.file,) if wanted.file else ("model_index.json", "config.json"):
        path = hub.try_to_load_from_cache(wanted.repo, probe, **options)
        if isinstance(path, str):
            return pathlib.Path(path) if wanted.file else pathlib.Path(path).parent
    raise hub.errors.LocalEntryNotFoundError(str(wanted))


@contextlib.contextmanager
def _explained(wanted: HubId) -> Iterator[None]:
    """What huggingface_hub raises, as one line that says what to do."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"model {wanted}: {_why(wanted, error)}") from error


def _why(wanted, error):
    from huggingface_hub import errors

    where = f"https://huggingface.co/{wanted.repo}"
    if isinstance(error, errors.GatedRepoError):
        return f"is gated: accept its conditions at {where} and log in (hf auth login, or set HF_TOKEN)"
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"there is no such repository at {where}, or it is private and you are not logged in (hf auth login)"
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{wanted.repo} has no revision {wanted.revision!r}"
    if isinstance(error, errors.LocalEntryNotFoundError) or _no_connection(error):
        why = "HF_HUB_OFFLINE is set" if offline() else "the Hub cannot be reached"
        todo = "fetch it once with the network on, point HF_HUB_CACHE at a cache that has it, or name a local folder"
        return f"{why} and it is not in the cache {cache_folder()}; {todo}"
    return f"cannot be fetched from {where} ({type(error).__name__}: {error})"


def _no_connection(error: BaseException | None) -> bool:
    """No answer came, in the words of Python or of whatever HTTP library huggingface_hub uses."""
    while error is not None:
        if isinstance(error, (ConnectionError, TimeoutError, socket.gaierror)):
            return True
        if any(kind.__name__ in ("ConnectError", "ConnectTimeout", "ConnectionError") for kind in type(error).__mro__):
            return True
        error = error.__cause__ or error.__context__
    return False
