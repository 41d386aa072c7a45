"""The Hub's cache is enough; without it, one line says what to do. A small server here plays the Hub."""

import http.server
import json
import pathlib
import socket
import threading

import pytest

from difftrack_jax.checkpoints import huggingface
from difftrack_jax.errors import UserError

pytest.importorskip("huggingface_hub")

SHA = "0123456789abcdef0123456789abcdef01234567"
PARTS = ("unet", "vae")
FILES = {
    "model_index.json": b"{}",
    "README.md": b"long",
    "unet/config.json": b'{"a": 1}',
    "unet/diffusion_pytorch_model.safetensors": b"weights",
    "unet/diffusion_pytorch_model.fp16.safetensors": b"half of them",
    "unet/diffusion_pytorch_model.bin": b"again",
    "vae/config.json": b"{}",
    "vae/diffusion_pytorch_model.fp16.safetensors": b"only half",
    "safety_checker/model.safetensors": b"not needed",
    "tokenizer/vocab.json": b"{}",
    "tokenizer/merges.txt": b"",
    "v1-5.ckpt": b"everything once more",
}
NEEDED = {
    "model_index.json",
    "unet/config.json",
    "unet/diffusion_pytorch_model.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.fp16.safetensors",
    "tokenizer/vocab.json",
    "tokenizer/merges.txt",
}


class Hub(http.server.BaseHTTPRequestHandler):
    """Just enough of the Hub: a public repository, a gated one, and none else."""

    asked: list[str]

    def do_GET(self):
        path = self.path.partition("?")[0]
        type(self).asked.append(path)
        if "/gated/" in path:
            return self._answer(401, b"no", {"X-Error-Code": "GatedRepo", "X-Error-Message": "gated"})
        if "/me/model" not in path:
            return self._answer(401, b"no", {"X-Error-Code": "RepoNotFound"})
        if "/revision/" in path and path.rsplit("/", 1)[1] not in ("main", "v1", SHA):
            return self._answer(404, b"no", {"X-Error-Code": "RevisionNotFound"})
        if "/tree/" in path:
            tree = [{"type": "file", "path": name, "size": len(FILES[name]), "oid": "0" * 40} for name in FILES]
            return self._answer(200, json.dumps(tree).encode(), {"Content-Type": "application/json"})
        if path.startswith("/api/models/"):
            info = {"id": "me/model", "sha": SHA, "siblings": [{"rfilename": name} for name in FILES]}
            return self._answer(200, json.dumps(info).encode(), {"Content-Type": "application/json"})
        content = FILES[path.partition(f"/resolve/{SHA}/")[2]]
        return self._answer(200, content, {"ETag": f'"{hash(content) & 0xFFFFFFFF:x}"', "X-Repo-Commit": SHA})

    do_HEAD = do_GET

    def _answer(self, code, content, headers):
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """The server's requests, with an empty cache and nothing of the user's own settings."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_CACHE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    handler = type("Handler", (Hub,), {"asked": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield handler.asked
    server.shutdown()
    server.server_close()


@pytest.fixture
def no_network(monkeypatch):
    """Whoever asks for a socket or a name fails the test."""

    def refuse(*_, **__):
        pytest.fail("the network was asked")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def files_under(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def fill(cache, revision="main"):
    """A cache as huggingface_hub leaves it."""
    repo = cache / "models--me--model"
    for name in NEEDED:
        path = repo / "snapshots" / SHA / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(FILES[name])
    (repo / "refs").mkdir(exist_ok=True)
    (repo / "refs" / revision).write_text(SHA)


def fails(name, *words):
    with pytest.raises(UserError) as error:
        huggingface.fetch(name, PARTS)
    for word in words:
        assert word in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("me/model", ("me/model", None, None)),
        ("me/model@v1", ("me/model", None, "v1")),
        ("me/model/a/b.safetensors@v1", ("me/model", "a/b.safetensors", "v1")),
        ("mini", None),
        ("/home/me", None),
        ("./me/model", None),
        ("", None),
    ],
)
def test_ids_are_told_from_other_names(name, parts):
    assert huggingface.parse(name) == (parts and huggingface.HubId(*parts))
    if parts:
        assert str(huggingface.parse(name)) == name


def test_what_is_needed_is_fetched_once_and_nothing_else(hub, monkeypatch):
    folder = huggingface.fetch("me/model", PARTS)
    assert files_under(folder) == {name: FILES[name] for name in NEEDED}
    assert not any("README" in path or ".bin" in path for path in hub)
    asked = len(hub)
    assert huggingface.fetch("me/model@v1", PARTS) == folder
    assert not any("/resolve/" in path for path in hub[asked:])
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    asked = len(hub)
    assert huggingface.fetch("me/model", PARTS) == folder
    assert len(hub) == asked


def test_one_file_of_a_repository_is_fetched_alone(hub):
    path = huggingface.fetch("me/model/v1-5.ckpt", PARTS)
    assert path.read_bytes() == FILES["v1-5.ckpt"]
    assert files_under(path.parent) == {"v1-5.ckpt": FILES["v1-5.ckpt"]}
    fails("me/model/v9.ckpt", "has no file v9.ckpt")


def test_what_is_not_to_be_had_is_one_line(hub):
    fails("someone/gated", "no such repository")
    fails("gated/model", "is gated", "https://huggingface.co/gated/model", "hf auth login")
    fails("me/model@v7", "no revision 'v7'")
    fails("no-id", "OWNER/REPO")


def test_offline_with_an_empty_cache_fails_at_once_and_says_what_to_do(monkeypatch, tmp_path, no_network):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    fails("me/model", "HF_HUB_OFFLINE is set", str(tmp_path / "cache"), "fetch it once", "local folder")


@pytest.mark.parametrize("setting", ["HF_HUB_CACHE", "HF_HOME"])
def test_offline_with_a_filled_cache_loads(monkeypatch, tmp_path, no_network, setting):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv(setting, str(tmp_path))
    fill(tmp_path if setting == "HF_HUB_CACHE" else tmp_path / "hub")
    folder = huggingface.fetch("me/model", PARTS)
    assert files_under(folder) == {name: FILES[name] for name in NEEDED}
    assert huggingface.fetch(f"me/model@{SHA}", PARTS) == folder
    fails("me/model@v1", "HF_HUB_OFFLINE is set")


def test_without_a_connection_the_cache_serves(monkeypatch, tmp_path, hub):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free.getsockname()[1]}")
    fails("me/model", "cannot be reached", "not in the cache")
    fill(pathlib.Path(tmp_path) / "home" / "hub")
    assert "unet/config.json" in files_under(huggingface.fetch("me/model", PARTS))
