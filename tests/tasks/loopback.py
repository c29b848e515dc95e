"""A small HTTP server whose answers a test scripts, and the task whose files it serves."""

from __future__ import annotations

import hashlib
import socket
import struct
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

PARTIAL = Path(__file__).parent.parent / "fixtures" / "partial"


@dataclass
class Answer:
    status: int = 200
    body: bytes = b""
    cut: int = 0
    """How many bytes less than Content-Length are sent before the connection ends."""
    drop: bool = False
    """End the connection without any answer."""
    reset: bool = False
    """Break the connection in the middle of the body (TCP reset)."""


class Served:
    """A server on the loopback interface, as long as the block lasts."""

    def begin(self, handler: type[BaseHTTPRequestHandler]) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"


@dataclass
class Loopback(Served):
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    """Path -> the answers to its first, second, ... request; the last one repeats."""
    requests: list[str] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    def __enter__(self) -> Loopback:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append(self.path)
                script = outer.answers.get(self.path, [Answer(404)])
                answer = script.pop(0) if len(script) > 1 else script[0]
                if answer.drop:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                if answer.reset:
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.close_connection = True
                    self.connection.close()
                    return
                self.wfile.write(answer.body[: len(answer.body) - answer.cut])

            def log_message(self, format: str, *args: object) -> None:
                pass

        return self.begin(Handler)


def write_remote_task(folder: Path, address: str, *, name: str = "remote") -> Path:
    """A task file whose files (those of the partial fixture) are downloaded from `address`."""
    lines = [
        f'name = "{name}"',
        'languages = ["en", "de", "es", "vi"]',
        'licence = { name = "Test Licence 1.0", url = "https://example.org/licence" }',
        'revision = "r1"',
        f'base_url = "{address}/{{revision}}/{{path}}"',
        "[files]",
    ]
    for code in ("en", "de", "es", "vi"):
        digest = hashlib.sha256((PARTIAL / f"{code}.json").read_bytes()).hexdigest()
        lines.append(f'{code} = {{ path = "{name}/{code}.json", sha256 = "{digest}" }}')
    path = folder / "remote.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def serve_task(server: Loopback, prefix: str = "/r1", *, name: str = "remote") -> None:
    for code in ("en", "de", "es", "vi"):
        server.answers[f"{prefix}/{name}/{code}.json"] = [Answer(body=(PARTIAL / f"{code}.json").read_bytes())]
