"""A file is downloaded once, whole, or not at all."""

import http.server
import threading

import pytest

from difftrack_jax.checkpoints.download import cache_folder, download
from difftrack_jax.errors import UserError


class Server(http.server.BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self):
        type(self).asked.append(self.path)
        self.send_response(404 if "none" in self.path else 200)
        self.send_header("Content-Length", "7")
        self.end_headers()
        self.wfile.write(b"wei" if "cut" in self.path else b"weights")

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    handler = type("Handler", (Server,), {"asked": []})
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}", handler.asked
    running.shutdown()
    running.server_close()


def test_a_file_is_fetched_once(server, monkeypatch):
    url, asked = server
    path = download(f"{url}/a.pt")
    assert path == cache_folder() / "a.pt"
    assert path.read_bytes() == b"weights"
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert download(f"{url}/a.pt") == path
    assert asked == ["/a.pt"]


@pytest.mark.parametrize("name", ["none.pt", "cut.pt"])
def test_what_does_not_come_whole_leaves_nothing_and_says_what_to_do(server, name):
    url, _ = server
    with pytest.raises(UserError, match="by hand") as error:
        download(f"{url}/{name}")
    assert f"{url}/{name}" in str(error.value)
    assert "\n" not in str(error.value)
    assert not list(cache_folder().iterdir())


def test_offline_asks_nobody(server, monkeypatch):
    url, asked = server
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match="HF_HUB_OFFLINE is set"):
        download(f"{url}/a.pt")
    assert not asked
