"""Hub models, against a loopback server: the commit is recorded, and every failure is one short answer."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"

# Asks for each [MODEL, revision] in its own way and prints what came of it, one JSON line each.
SCRIPT = """
import json, sys, time
from xqr_bench.encode import EncoderOptions, load_encoder
from xqr_bench.encode.hub import resolve_model
from xqr_bench.errors import EncoderError

for how, name, revision in json.loads(sys.argv[1]):
    started = time.time()
    try:
        if how == "load":
            bound = load_encoder(name, EncoderOptions(revision=revision, device="cpu"))
            found = bound.identity.model_dump() | {"warnings": bound.warnings}
        else:
            found = vars(resolve_model(name, revision, hint="the hint"))
    except EncoderError as error:
        found = str(error)
    print("=" + json.dumps([found, time.time() - started]))
"""


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


@pytest.fixture
def hub(model: Path) -> Iterator[Hub]:
    hub = Hub(model)

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
    yield hub
    server.shutdown()
    server.server_close()


def ask(home: Path, questions: list[list[str | None]], **environment: str) -> list[Any]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(questions)],
        env=inherited | {"HF_HOME": str(home)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line[1:]) for line in done.stdout.splitlines() if line.startswith("=")]
    for question, (_, seconds) in zip(questions, answers, strict=True):
        assert question[0] == "load" or seconds < 5, "a failure must be told at once, not after minutes of retries"
    return [found for found, _ in answers]


def test_a_hub_model_is_recorded_by_its_commit_and_found_again_without_the_hub(hub: Hub, tmp_path: Path) -> None:
    endpoint = f"http://127.0.0.1:{hub.port}"
    loaded, missing, revision, gated, broken, near = ask(
        tmp_path,
        [
            ["load", "acme/tiny", None],
            ["resolve", "no-such-model", None],
            ["resolve", "acme/tiny", "nowhere"],
            ["resolve", "gated/model", None],
            ["resolve", "broken/model", None],
            ["load", "char-ngrms", None],
        ],
        HF_ENDPOINT=endpoint,
    )
    assert (loaded["name"], loaded["revision"], loaded["digest"]) == ("acme/tiny", COMMIT, None)
    assert (loaded["similarity"], loaded["query_prompt"], loaded["warnings"]) == ("dot", "ask: ", [])
    assert missing == (
        "there is no model 'no-such-model': no folder, and none on the hub that you may read\n"
        f"  found: asked {endpoint} for sentence-transformers/no-such-model and no-such-model; the hint\n"
        "  to do: check the name (xqr-bench encoders lists what MODEL can be); for a private model: hf auth login"
    )
    assert revision.startswith("the model acme/tiny has no revision 'nowhere'\n")
    assert gated.startswith("the model gated/model is gated\n  to do: accept its terms")
    assert broken.startswith(
        "the hub could not be asked for the model 'broken/model', and the cache does not hold it\n"
    )
    assert "503" in broken
    assert "closest built-in or plugin: char-ngrams" in near

    (offline, *failed) = ask(
        tmp_path, [["resolve", "acme/tiny", None], ["resolve", "other/model", "v2"]], HF_HUB_OFFLINE="1"
    )
    assert offline == {"name": "acme/tiny", "commit": COMMIT, "cached_only": True, "warning": None}
    assert failed == [
        "there is no model 'other/model' here: no folder, and none in the cache of hub models at revision 'v2'\n"
        "  found: HF_HUB_OFFLINE is set, so the hub was not asked; the hint\n"
        "  to do: unset HF_HUB_OFFLINE to download it, or name a folder that holds a model"
    ]

    (unreachable,) = ask(tmp_path, [["resolve", "acme/tiny", None]], HF_ENDPOINT="http://127.0.0.1:9")
    assert (unreachable["commit"], unreachable["cached_only"]) == (COMMIT, True)
    assert unreachable["warning"].startswith("the hub could not be asked about acme/tiny (")
    assert unreachable["warning"].endswith("the copy in the cache was used, commit 0123456789ab")
