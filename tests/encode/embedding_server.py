"""A server of embeddings on this machine that answers as each provider does, and misbehaves where a test says so."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

import numpy as np

from tests.tasks.loopback import Served

COLUMNS = 6


def vector_of(text: str, columns: int = COLUMNS, salt: str = "") -> np.ndarray:
    """A vector of its own for each text, float32."""
    digest = hashlib.shake_128((salt + text).encode()).digest(4 * columns)
    return (np.frombuffer(digest, np.int32) / 2**31).astype(np.float32)


def vectors_of(texts: list[str], columns: int = COLUMNS) -> np.ndarray:
    return np.array([vector_of(text, columns) for text in texts])


@dataclass
class Reply:
    """How one request is answered; by default well.

    Attributes:
        body: instead of a good answer.
        change: what is done to a good one.
        cut: bytes that are missing at its end.
        delay: seconds before it; between single bytes, where `trickle` is set.
        drop: end the connection without an answer.
    """

    status: int = 200
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    change: Callable[[dict[str, Any]], Any] = lambda answer: answer
    cut: int = 0
    delay: float = 0.0
    trickle: bool = False
    drop: bool = False


Rule = Callable[[dict[str, Any]], Reply | None]


@dataclass
class EmbeddingServer(Served):
    """Answers POST /v1/embeddings and /v1/embed, GET /v1/models.

    Attributes:
        replies: to the first, second, ... request; those after them are answered well.
        rule: a reply to whatever it says one for.
        bodies, headers: of the requests.
        most_at_once: how many were answered at the same time.
        salt: another one makes other vectors, as another model does.
        models: answer to GET /v1/models; None: 404.
    """

    replies: list[Reply] = field(default_factory=list)
    rule: Rule = lambda body: None
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    most_at_once: int = 0
    salt: str = ""
    models: object = None

    def __enter__(self) -> EmbeddingServer:
        outer, self._now, self._lock = self, 0, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                known = outer.models is not None and self.path == "/v1/models"
                self._send(Reply(200 if known else 404), json.dumps(outer.models if known else {}).encode())

            def do_POST(self) -> None:
                with outer._lock:
                    outer._now += 1
                    outer.most_at_once = max(outer.most_at_once, outer._now)
                    body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                    outer.bodies.append(body)
                    outer.headers.append({name.lower(): value for name, value in self.headers.items()})
                    reply = outer.replies.pop(0) if outer.replies else (outer.rule(body) or Reply())
                answer = reply.change(outer.answer(body))
                if not (reply.trickle or reply.drop):
                    time.sleep(reply.delay)
                with outer._lock:  # before the answer is sent: whoever has it may ask again
                    outer._now -= 1
                self._send(reply, json.dumps(answer).encode() if reply.body is None else reply.body)

            def _send(self, reply: Reply, body: bytes) -> None:
                if reply.drop:
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                for name, value in {"Content-Length": str(len(body)), **reply.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                sent = body[: len(body) - reply.cut]
                try:
                    for start in range(0, len(sent), 1 if reply.trickle else max(len(sent), 1)):
                        self.wfile.write(sent[start : start + 1] if reply.trickle else sent)
                        time.sleep(reply.delay if reply.trickle else 0)
                except OSError:  # the client has gone
                    pass

            def log_message(self, format: str, *args: object) -> None:
                pass

        return self.begin(Handler)

    @property
    def address(self) -> str:
        return f"{super().address}/v1"

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        """A good answer to a request, in the form of whose field the texts stand in."""
        columns = body.get("dimensions") or body.get("output_dimension") or COLUMNS
        texts = body.get("texts") or body.get("input") or []
        kind = body.get("encoding_format") or body.get("embedding_type") or body.get("embedding_types") or "float"
        if "base64" in kind:
            write: Callable[[np.ndarray], Any] = lambda row: base64.b64encode(row.astype("<f4").tobytes()).decode()  # noqa: E731
        else:
            write = lambda row: [float(number) for number in row]  # noqa: E731
        rows = [write(vector_of(text, columns, self.salt)) for text in texts]
        tokens = sum(len(text.split()) for text in texts)
        if "texts" in body:
            name = "base64" if "base64" in kind else "float"
            return {"id": "x", "embeddings": {name: rows}, "meta": {"billed_units": {"input_tokens": tokens}}}
        data = [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(rows)]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return {"object": "list", "data": data, "model": body["model"], "usage": usage}
