"""Downloads against a loopback server: what arrives is whole and right, or nothing is left."""

from __future__ import annotations

import hashlib
import re
import socket
import ssl
import urllib.error
from pathlib import Path

import pytest

from tests.kit import Seen
from tests.tasks.loopback import Answer, Loopback, serve_task, write_remote_task
from xqr_bench.core.errors import DataError, DownloadError, TaskError, XqrBenchError
from xqr_bench.core.observe import Observer
from xqr_bench.tasks import fetch, load_spec, load_task, pending_downloads
from xqr_bench.tasks.sources import PAUSES_SECONDS, cache_folder, download

pytestmark = pytest.mark.usefixtures("own_surroundings")

BODY = b"sentences " * 20_000
DIGEST = hashlib.sha256(BODY).hexdigest()


def left_behind(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_the_bytes_arrive_whole_with_progress(loopback: Loopback, tmp_path: Path) -> None:
    loopback.answers["/f.json"] = [Answer(body=BODY)]
    seen = Seen()
    download(f"{loopback.address}/f.json", tmp_path / "deep" / "f.json", DIGEST, observe=seen)
    assert (tmp_path / "deep" / "f.json").read_bytes() == BODY
    assert left_behind(tmp_path) == ["f.json"]
    assert [total for _, total in seen.phases] == [len(BODY)]
    assert seen.phases[0][0].endswith("/f.json")
    assert sum(seen.steps) == len(BODY)
    assert min(seen.steps) > 0
    assert len(seen.steps) > 1
    assert seen.ended == 1


def test_not_found_is_not_tried_again(loopback: Loopback, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"the server answered 404 Not Found\n  to do: check the address"):
        download(f"{loopback.address}/none.json", tmp_path / "none.json", DIGEST)
    assert (len(loopback.requests), left_behind(tmp_path)) == (1, [])


@pytest.mark.parametrize(
    "trouble",
    [Answer(503), Answer(429), Answer(body=BODY, cut=70_001), Answer(drop=True), Answer(body=BODY, reset=True)],
    ids=["unavailable", "too many requests", "cut off", "dropped", "reset"],
)
def test_a_passing_trouble_is_overcome(loopback: Loopback, tmp_path: Path, trouble: Answer) -> None:
    loopback.answers["/f.json"] = [trouble, trouble, Answer(body=BODY)]
    download(f"{loopback.address}/f.json", tmp_path / "f.json", DIGEST)
    assert (tmp_path / "f.json").read_bytes() == BODY
    assert loopback.pauses == list(PAUSES_SECONDS[:2])
    assert left_behind(tmp_path) == ["f.json"]


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        (Answer(503), r"the server answered 503 Service Unavailable \(4 attempts\)"),
        (Answer(body=BODY, cut=1), r"the connection ended after 199999 of 200000 bytes \(4 attempts\)"),
        (Answer(drop=True), r"closed connection without response \(4 attempts\)"),
    ],
    ids=["unavailable", "cut off", "dropped"],
)
def test_a_lasting_trouble_ends_with_a_remedy(
    loopback: Loopback, tmp_path: Path, trouble: Answer, message: str
) -> None:
    loopback.answers["/f.json"] = [trouble]
    with pytest.raises(DownloadError, match=message) as caught:
        download(f"{loopback.address}/f.json", tmp_path / "f.json", DIGEST)
    assert "XQR_BENCH_MIRROR" in str(caught.value)
    assert loopback.pauses == list(PAUSES_SECONDS)
    assert left_behind(tmp_path) == []


def test_a_refused_connection(loopback: Loopback, tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/f.json"
        with pytest.raises(DownloadError, match=rf"cannot download {url}: Connection refused \(4 attempts\)"):
            download(url, tmp_path / "f.json", DIGEST)
    assert left_behind(tmp_path) == []


def test_a_server_that_falls_silent(loopback: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xqr_bench.tasks.sources.TIMEOUT_SECONDS", 0.05)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(DownloadError, match=r"timed out \(4 attempts\)"):
            download(f"http://127.0.0.1:{silent.getsockname()[1]}/f.json", tmp_path / "f.json", DIGEST)


def test_other_bytes_than_expected_are_refused(loopback: Loopback, tmp_path: Path) -> None:
    loopback.answers["/f.json"] = [Answer(body=b"<html>log in first</html>")]
    target = tmp_path / "f.json"
    target.write_bytes(b"the old one")
    with pytest.raises(DownloadError, match="is not the file the task names: its SHA-256 is another") as caught:
        download(f"{loopback.address}/f.json", target, DIGEST)
    assert f"(25 bytes), expected {DIGEST}" in str(caught.value)
    assert "a proxy or mirror may have answered with something else" in str(caught.value)
    assert target.read_bytes() == b"the old one"
    assert (len(loopback.requests), left_behind(tmp_path)) == (1, ["f.json"])


def test_ctrl_c_leaves_nothing(loopback: Loopback, tmp_path: Path) -> None:
    loopback.answers["/f.json"] = [Answer(body=BODY)]

    class Stop(Observer):
        def advance(self, steps: int, status: str = "") -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(f"{loopback.address}/f.json", tmp_path / "f.json", DIGEST, observe=Stop())
    assert left_behind(tmp_path) == []


def test_offline_by_wish_asks_nobody(loopback: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XQR_BENCH_OFFLINE", "1")
    with pytest.raises(DownloadError, match="XQR_BENCH_OFFLINE forbids to fetch it") as caught:
        download(f"{loopback.address}/f.json", tmp_path / "f.json", DIGEST)
    assert "--data-dir or XQR_BENCH_DATA" in str(caught.value)
    assert loopback.requests == []


def test_a_certificate_nobody_trusts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = ssl.SSLCertVerificationError(1, "certificate verify failed")
    refusal.verify_message = "self-signed certificate"

    def refuse(*_: object, **__: object) -> None:
        raise urllib.error.URLError(refusal)

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    with pytest.raises(DownloadError, match="the certificate is not trusted: self-signed certificate") as caught:
        download("https://example.org/f.json", tmp_path / "f.json", DIGEST)
    assert "SSL_CERT_FILE" in str(caught.value)


def test_a_folder_that_cannot_be_written(loopback: Loopback, tmp_path: Path) -> None:
    loopback.answers["/f.json"] = [Answer(body=BODY)]
    (tmp_path / "taken").write_text("a file where the cache wants a folder")
    with pytest.raises(XqrBenchError, match=r"cannot write .*taken/f\.json: (File exists|Not a directory)"):
        download(f"{loopback.address}/f.json", tmp_path / "taken" / "f.json", DIGEST)


def test_no_address_at_all(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"no address: mirror/f\.json"):
        download("mirror/f.json", tmp_path / "f.json", DIGEST)


# a whole task


def test_loading_fills_the_cache_once(loopback: Loopback, tmp_path: Path) -> None:
    serve_task(loopback)
    spec = load_spec(write_remote_task(tmp_path, loopback.address))
    assert pending_downloads(spec) == ("en", "de", "es", "vi")
    first = load_task(spec)
    assert len(loopback.requests) == 4
    assert pending_downloads(spec) == ()
    assert load_task(spec) == first
    assert len(loopback.requests) == 4, "the filled cache was downloaded again"
    cached = tmp_path / "cache" / "xqr-bench" / "data" / "remote" / "r1" / "remote"
    assert left_behind(cached) == ["de.json", "en.json", "es.json", "vi.json"]


def test_a_commit_in_the_address_takes_the_place_of_a_digest(loopback: Loopback, tmp_path: Path) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    serve_task(loopback, prefix=f"/{commit}")
    file = write_remote_task(tmp_path, loopback.address)
    without = re.sub(r', sha256 = "\w+"', "", file.read_text())
    file.write_text(without)
    with pytest.raises(TaskError, match="or have a commit of 40 hex digits in its address"):
        load_spec(file)
    file.write_text(without.replace('"r1"', f'"{commit}"'))
    spec = load_spec(file)
    data = load_task(spec)
    assert (len(data.queries), len(loopback.requests)) == (33, 4)
    cached = cache_folder(spec) / "remote" / "de.json"
    assert data.files["remote/de.json"] == hashlib.sha256(cached.read_bytes()).hexdigest()
    assert not fetch(spec, "de")
    assert fetch(spec, "de", force=True)


def test_only_the_wanted_languages_are_downloaded(loopback: Loopback, tmp_path: Path) -> None:
    serve_task(loopback)
    data = load_task(write_remote_task(tmp_path, loopback.address), languages=["vi", "en"])
    assert data.languages == ("en", "vi")
    assert loopback.requests == ["/r1/remote/en.json", "/r1/remote/vi.json"]


def test_fetch_keeps_good_files_replaces_damaged_ones_and_obeys_force(loopback: Loopback, tmp_path: Path) -> None:
    serve_task(loopback)
    spec = load_spec(write_remote_task(tmp_path, loopback.address))
    assert [fetch(spec, "en"), fetch(spec, "en"), fetch(spec, "en", force=True)] == [True, False, True]
    cached = tmp_path / "cache" / "xqr-bench" / "data" / "remote" / "r1" / "remote" / "en.json"
    cached.write_bytes(cached.read_bytes()[:100])
    with pytest.raises(DataError, match="to do: xqr-bench data fetch --force remote"):
        load_task(spec, languages=["en"])
    assert fetch(spec, "en")
    load_task(spec, languages=["en"])


def test_a_mirror_takes_the_place_of_the_address(
    loopback: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_task(loopback, prefix="/mirrored/{here}")
    monkeypatch.setenv("XQR_BENCH_MIRROR", f"{loopback.address}/mirrored/{{here}}/")
    data = load_task(write_remote_task(tmp_path, "http://nowhere.invalid"))
    assert len(data.queries) == 33
    assert loopback.requests[0] == "/mirrored/{here}/remote/en.json"


def test_a_task_without_download(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the task mini has no download"):
        fetch(load_spec("mini"), "en")
