"""Downloads into the cache: retried, checked, moved into place whole or not at all.

urllib rather than requests: it is in the standard library, honours the proxy variables of the environment and
verifies certificates, and one GET with a checked digest needs no more.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import quote

from xqr_bench import __version__
from xqr_bench.errors import DownloadError
from xqr_bench.files import atomic_path

MIRROR = "XQR_BENCH_MIRROR"
OFFLINE = "XQR_BENCH_OFFLINE"
TIMEOUT_SECONDS = 30.0
PAUSES_SECONDS = (1.0, 2.0, 4.0)
"""The waits between attempts: one attempt more than there are waits."""
_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}
_CHUNK = 1 << 16


class Progress(Protocol):
    """Called as data is read, to draw a bar from. It may raise (Ctrl-C): nothing is left half-written.

    Args:
        stage: "download" (done and total count bytes) or "read" (done and total count files).
        name: the file in question.
        done: how much is done.
        total: how much there is, None when unknown.
    """

    def __call__(self, stage: str, name: str, done: int, total: int | None) -> None:  # noqa: D102
        ...


class _TransientError(Exception):
    """A failure that another attempt may not meet."""


def source_url(base_url: str, revision: str, path: str) -> str:
    """The address of a file: `<XQR_BENCH_MIRROR>/<path>` where that is set, else from the template."""
    mirror = os.environ.get(MIRROR, "").strip()
    template = mirror.rstrip("/").replace("{", "{{").replace("}", "}}") + "/{path}" if mirror else base_url
    return template.format(revision=quote(revision), path=quote(path))


def download(url: str, target: Path, sha256: str, *, progress: Progress | None = None) -> None:
    """Fetch `url` to `target`, which then holds exactly the bytes of that digest.

    Tries again after a broken connection, a short body or a server's temporary error, with growing pauses.

    Raises:
        DownloadError: offline by wish, not reachable, refused by the server, or another digest than expected.
            Nothing is left at `target` that was not there before.
    """
    if os.environ.get(OFFLINE, "").strip() not in {"", "0"}:
        raise DownloadError(
            f"{target.name} is not in the cache, and {OFFLINE} forbids to fetch it",
            found=f"expected at {target}",
            remedy=f"unset {OFFLINE}, or name a folder with the files: --data-dir or XQR_BENCH_DATA",
        )
    for pause in (*PAUSES_SECONDS, None):
        try:
            with atomic_path(target) as temporary:
                _fetch(url, temporary, sha256, progress)
            return
        except _TransientError as error:
            if pause is None:
                raise DownloadError(
                    f"cannot download {url}: {error} ({len(PAUSES_SECONDS) + 1} attempts)",
                    remedy=f"check the network or proxy and try again; or name a mirror with {MIRROR}, "
                    "or a folder with the files: --data-dir or XQR_BENCH_DATA",
                ) from None
            time.sleep(pause)


def _fetch(url: str, temporary: Path, sha256: str, progress: Progress | None) -> None:
    """One attempt. No network error may leave as an OSError: `atomic_path` would take it for a full disk."""
    digest = hashlib.sha256()
    done = 0
    with temporary.open("wb") as handle:
        response = _open(url)
        with response:
            total = int(length) if (length := response.headers.get("Content-Length", "")).isdigit() else None
            while chunk := _read(response):
                handle.write(chunk)
                digest.update(chunk)
                done += len(chunk)
                if progress is not None:
                    progress("download", url, done, total)
    if total is not None and done < total:
        raise _TransientError(f"the connection ended after {done} of {total} bytes")
    if digest.hexdigest() != sha256:
        raise DownloadError(
            f"{url} is not the file the task names: its SHA-256 is another",
            found=f"{digest.hexdigest()} ({done} bytes), expected {sha256}",
            remedy="a proxy or mirror may have answered with something else: open the address in a browser, "
            f"or take the file from elsewhere (--data-dir, XQR_BENCH_DATA or {MIRROR})",
        )


def _open(url: str) -> http.client.HTTPResponse:
    try:
        request = urllib.request.Request(url, headers={"User-Agent": f"xqr-bench/{__version__}"})
        response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
        return response
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in _TRANSIENT:
            raise _TransientError(f"the server answered {error.code} {error.reason}") from None
        raise DownloadError(
            f"cannot download {url}: the server answered {error.code} {error.reason}",
            remedy=f"check the address, the proxy and {MIRROR}; or name a folder with the files: "
            "--data-dir or XQR_BENCH_DATA",
        ) from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise DownloadError(
                f"cannot download {url}: the certificate is not trusted: {error.reason.verify_message}",
                remedy="install the certificates of your system or proxy (SSL_CERT_FILE names a bundle)",
            ) from None
        raise _TransientError(_reason(error.reason)) from None
    except (OSError, http.client.HTTPException) as error:
        raise _TransientError(_reason(error)) from None
    except ValueError as error:
        raise DownloadError(f"no address: {url}: {error}", remedy=f"correct base_url or {MIRROR}") from None


def _read(response: IO[bytes]) -> bytes:
    try:
        return response.read(_CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _TransientError(_reason(error)) from None


def _reason(error: object) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{error}" or type(error).__name__
