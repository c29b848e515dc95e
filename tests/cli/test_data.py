"""`xqr-bench data list|fetch|verify`."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.tasks.loopback import PARTIAL, Answer, Loopback, serve_task, write_remote_task
from xqr_bench.cli.main import cli, main
from xqr_bench.core.errors import DownloadError


@pytest.fixture(autouse=True)
def own_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("XQR_BENCH_DATA", "XQR_BENCH_MIRROR", "XQR_BENCH_OFFLINE", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda app: tmp_path / "cache" / app)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    with Loopback() as loopback:
        monkeypatch.setattr("xqr_bench.tasks.sources.time.sleep", loopback.pauses.append)
        yield loopback


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["data", *arguments], catch_exceptions=False)


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_list_tells_what_is_at_hand_and_where(tmp_path: Path) -> None:
    result = run("list")
    assert result.exit_code == 0
    lines = words(result.output)
    assert lines[0] == ["task", "at", "hand", "size", "licence"]
    assert lines[1] == ["mini", "11", "of", "11", "0.2", "MB", "Apache-2.0"]
    assert lines[2] == ["xquad-r", "0", "of", "11", "-", "CC", "BY-SA", "4.0"]
    assert f"mlqa-r (cache): {tmp_path}/cache/xqr-bench/data/mlqa-r/354d67d1" in result.output


def test_list_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "xquad-r").mkdir()
    (tmp_path / "xquad-r" / "de.json").write_bytes(b"x" * 2_500)
    result = run("list", "--data-dir", str(tmp_path), "xquad-r")
    assert ["xquad-r", "1", "of", "11", "2.5", "kB", "CC", "BY-SA", "4.0"] in words(result.output)
    assert f"xquad-r (data folder): {tmp_path}/xquad-r" in result.output


def test_fetch_shows_the_licence_and_fills_the_cache(server: Loopback, tmp_path: Path) -> None:
    serve_task(server)
    task = str(write_remote_task(tmp_path, server.address))
    first = run("fetch", task)
    assert first.exit_code == 0
    assert "remote: licence Test Licence 1.0 (https://example.org/licence)" in first.output
    assert "remote: 4 downloaded, 0 already there, in " in first.output
    assert "remote: 0 downloaded, 4 already there, in " in run("fetch", task).output
    assert len(server.requests) == 4
    assert "remote: 4 downloaded, 0 already there, in " in run("fetch", "--force", task).output
    assert "remote: 33 queries, 56 candidates, 4 articles" in run("verify", task).output


def test_fetch_of_everything_asks_for_both_downloads(server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XQR_BENCH_MIRROR", server.address)
    server.answers["/xquad-r/ar.json"] = [Answer(body=b"not it")]
    with pytest.raises(DownloadError, match="is not the file the task names"):
        run("fetch")
    assert server.requests == ["/xquad-r/ar.json"]


def test_fetch_where_there_is_nothing_to_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XQR_BENCH_DATA", str(tmp_path))
    result = run("fetch", "mini")
    assert result.output.splitlines() == [
        "mini: nothing to fetch, its files are read where they are",
        f"note: XQR_BENCH_DATA is set, so {tmp_path} is read in place of the cache",
    ]


def test_a_failed_download_is_one_message(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    task = write_remote_task(tmp_path, server.address)
    monkeypatch.setattr("sys.argv", ["xqr-bench", "data", "fetch", str(task)])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    err = capsys.readouterr().err
    assert f"error: cannot download {server.address}/r1/remote/en.json: the server answered 404" in err
    assert not list((tmp_path / "cache").rglob("*.*"))


def test_verify_of_everything_passes_over_what_was_never_fetched() -> None:
    result = run("verify")
    assert result.exit_code == 0
    assert "mini: 264 queries, " in result.output
    assert "mlqa-r: not fetched (xqr-bench data fetch mlqa-r)" in result.output


def test_verify_of_a_named_task_that_was_never_fetched() -> None:
    result = run("verify", "mlqa-r")
    assert result.exit_code == 1
    assert "FAULT mlqa-r/ar.json: mlqa-r: there is no file " in result.output
    assert "7 faults found" in result.output


def test_verify_reports_each_fault_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = shutil.copytree(PARTIAL, tmp_path / "own")
    (own / "de.json").write_text("{}")
    monkeypatch.setattr("sys.argv", ["xqr-bench", "data", "verify", str(own / "task.toml")])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    out, err = capsys.readouterr()
    assert "top level: the key 'data' is missing" in out
    assert [line[:2] for line in words(out) if line[0] in {"ok", "FAULT"}] == [
        ["ok", "en.json"],
        ["FAULT", "de.json:"],
        ["ok", "es.json"],
        ["ok", "vi.json"],
    ]
    assert "no digest to check, 10 questions, 21 sentences" in out
    assert err == "1 fault found\n"


def test_verify_finds_languages_that_do_not_fit_together(tmp_path: Path) -> None:
    own = shutil.copytree(PARTIAL, tmp_path / "own")
    for code in ("en", "de", "es", "vi"):
        path = own / f"{code}.json"
        path.write_text(re.sub(r'"q(\d\d)"', rf'"{code}\1"', path.read_text(encoding="utf-8")), encoding="utf-8")
    result = run("verify", str(own / "task.toml"))
    assert result.exit_code == 1
    assert "FAULT the task partial is not parallel: no question id is shared" in result.output
