"""A stand-in for the model hub on the loopback interface."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """A server that has the model acme/tiny at one commit, and says no to everything else in different ways."""

    folder: Path
    port: int = 0

    def answer(self, path: str) -> tuple[int, bytes, dict[str, str]]:
        path = path.partition("?")[0]
        if path.startswith("/api/models/gated/"):
            return 403, b"", {"X-Error-Code": "GatedRepo"}
        if path.startswith("/api/models/broken/"):
            return 503, b"", {}
        if path.startswith("/api/models/acme/tiny/revision/nowhere"):
            return 404, b"", {"X-Error-Code": "RevisionNotFound"}
        if path.startswith("/api/models/acme/tiny") and "/tree/" not in path:
            files = [
                {"rfilename": p.relative_to(self.folder).as_posix()} for p in self.folder.rglob("*") if p.is_file()
            ]
            return 200, json.dumps({"id": "acme/tiny", "sha": COMMIT, "siblings": files}).encode(), {}
        if path.startswith("/acme/tiny/resolve/") and (file := self.folder / path.split("/", 5)[5]).is_file():
            body = file.read_bytes()
            return 200, body, {"ETag": f'"{hashlib.sha256(body).hexdigest()}"', "X-Repo-Commit": COMMIT}
        if path.startswith("/acme/tiny/") or "/tree/" in path:
            return 404, b"", {"X-Error-Code": "EntryNotFound"}
        return 401, b"", {"X-Error-Code": "RepoNotFound"}

    @property
    def endpoint(self) -> str:
        """Its address, for HF_ENDPOINT."""
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def serving(folder: Path) -> Iterator[Hub]:
    """Serve a folder as the model acme/tiny."""
    hub = Hub(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body, headers = hub.answer(self.path)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.port = server.server_port
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
