from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tasks.loopback import Loopback


@pytest.fixture(autouse=True)
def own_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the data, cache or proxies of the machine it runs on."""
    for name in ("XQR_BENCH_DATA", "XQR_BENCH_MIRROR", "XQR_BENCH_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda app: tmp_path / "cache" / app)


@pytest.fixture
def loopback(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """A server on the loopback interface; pauses between attempts are recorded, not slept."""
    with Loopback() as server:
        monkeypatch.setattr("xqr_bench.tasks.sources.time.sleep", server.pauses.append)
        yield server
