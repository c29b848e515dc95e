"""The files of a task: where they are, how they are downloaded, and whether they are what they should be."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from xqr_bench import __version__
from xqr_bench.core.checked import checked
from xqr_bench.core.errors import DataError, DownloadError
from xqr_bench.core.files import atomic_path, sha256_of
from xqr_bench.core.observe import Observer
from xqr_bench.tasks.readers import READERS, DataFile
from xqr_bench.tasks.segment import segmenter
from xqr_bench.tasks.spec import TaskSpec, section_and_part

# Downloads into the cache: retried, checked, moved into place whole or not at all.
#
# urllib rather than pooch: that asks again for what is refused (404) or wrong (another digest), knows only the
# certificates of certifi, not those of the system, and leaves files that only their owner can read. urllib honours the
# proxy variables of the environment, and one GET with a checked digest needs no more.

MIRROR = "XQR_BENCH_MIRROR"
OFFLINE = "XQR_BENCH_OFFLINE"
TIMEOUT_SECONDS = 30.0
PAUSES_SECONDS = (1.0, 2.0, 4.0)
"""The waits between attempts: one attempt more than there are waits."""
_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}
_CHUNK = 1 << 16


class _TransientError(Exception):
    """A failure that another attempt may not meet."""


def source_url(base_url: str, revision: str, path: str) -> str:
    """The address of a file: `<XQR_BENCH_MIRROR>/<path>` where that is set, else from the template."""
    mirror = os.environ.get(MIRROR, "").strip()
    template = mirror.rstrip("/").replace("{", "{{").replace("}", "}}") + "/{path}" if mirror else base_url
    return template.format(revision=quote(revision), path=quote(path))


def download(url: str, target: Path, sha256: str | None, *, observe: Observer | None = None) -> None:
    """Fetch `url` to `target`, which then holds exactly the bytes of that digest; None: what the address holds, whole.

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
                _fetch(url, temporary, sha256, observe or Observer())
            return
        except _TransientError as error:
            if pause is None:
                raise DownloadError(
                    f"cannot download {url}: {error} ({len(PAUSES_SECONDS) + 1} attempts)",
                    remedy=f"check the network or proxy and try again; or name a mirror with {MIRROR}, "
                    "or a folder with the files: --data-dir or XQR_BENCH_DATA",
                ) from None
            time.sleep(pause)


def _fetch(url: str, temporary: Path, sha256: str | None, observe: Observer) -> None:
    digest = hashlib.sha256()
    done = 0
    with temporary.open("wb") as handle:
        for chunk in _chunks(url, observe):
            handle.write(chunk)
            digest.update(chunk)
            done += len(chunk)
    if sha256 is not None and digest.hexdigest() != sha256:
        raise DownloadError(
            f"{url} is not the file the task names: its SHA-256 is another",
            found=f"{digest.hexdigest()} ({done} bytes), expected {sha256}",
            remedy="a proxy or mirror may have answered with something else: open the address in a browser, "
            f"or take the file from elsewhere (--data-dir, XQR_BENCH_DATA or {MIRROR})",
        )


def _chunks(url: str, observe: Observer) -> Iterator[bytes]:
    """Yield the bytes of an address.

    No network error may leave as an OSError: `atomic_path` would take it for a full disk.
    """
    import http.client
    import ssl
    import urllib.error
    import urllib.request

    done = 0
    try:
        request = urllib.request.Request(url, headers={"User-Agent": f"xqr-bench/{__version__}"})
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            total = int(length) if (length := response.headers.get("Content-Length", "")).isdigit() else None
            with observe.phase("/".join(url.split("/")[-2:]), total):
                while chunk := response.read(_CHUNK):
                    done += len(chunk)
                    yield chunk
                    observe.advance(len(chunk))
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
    if total is not None and done < total:
        raise _TransientError(f"the connection ended after {done} of {total} bytes")


def _reason(error: object) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{error}" or type(error).__name__


DATA_DIR = "XQR_BENCH_DATA"
Kind = Literal["package", "beside the task file", "data folder", "cache"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file is, or would be; `key` is its key under `files` in the task file."""

    key: str
    path: Path
    kind: Kind

    @property
    def present(self) -> bool:
        """Whether the file is there."""
        return self.path.is_file()


@checked
def data_folder(data_dir: Path | str | None = None) -> Path | None:
    """The data folder: the argument, else XQR_BENCH_DATA, else None (the cache)."""
    named = data_dir if data_dir is not None else os.environ.get(DATA_DIR, "").strip() or None
    return None if named is None else Path(named).expanduser()


def cache_folder(spec: TaskSpec) -> Path:
    """The per-user cache of a task's revision."""
    import platformdirs

    return platformdirs.user_cache_path("xqr-bench") / "data" / spec.name / spec.revision


@checked
def locate(spec: TaskSpec, key: str, data_dir: Path | str | None = None) -> Place:
    """Where the file of that key is looked for; it need not be there.

    Embedded files and those beside a task file have one place; a data folder is for the others.
    """
    path = spec.files[key].path
    if spec.embedded is not None:
        return Place(key, Path(__file__).resolve().parent / spec.embedded / path, "package")
    if spec.base_url is None and not spec.source:
        folder = spec.origin.parent if spec.origin is not None else Path()
        return Place(key, folder / path, "beside the task file")
    named = data_folder(data_dir)
    if named is not None:
        return Place(key, named / path, "data folder")
    return Place(key, cache_folder(spec) / path, "cache")


def pending_downloads(
    spec: TaskSpec, data_dir: Path | str | None = None, languages: Sequence[str] | None = None
) -> tuple[str, ...]:
    """The keys of the files that loading would download now: ask first, to show the licence."""
    places = [locate(spec, key, data_dir) for keys in spec.sections(languages).values() for key in keys]
    return tuple(place.key for place in places if spec.downloadable and place.kind == "cache" and not place.present)


@checked
def fetch(spec: TaskSpec, key: str, *, force: bool = False, observe: Observer | None = None) -> bool:
    """Bring the file of that key into the cache.

    A file that is there with the right digest, or of which none is known, is kept unless `force`; a damaged one is
    replaced.

    Returns:
        Whether it was downloaded.

    Raises:
        DataError: the task has no download.
        DownloadError: see `download`.
    """
    file = spec.files[key]
    if spec.base_url is None:
        raise DataError(f"the task {spec.name} has no download", remedy=to_bring(spec))
    target = cache_folder(spec) / file.path
    if not force and target.is_file() and file.sha256 in (None, _digest(target)):
        return False
    mirrored = os.environ.get(MIRROR, "").strip()
    path = file.path if mirrored else file.upstream or file.path
    download(source_url(spec.base_url, spec.revision, path), target, file.sha256, observe=observe)
    return True


def find_source(
    spec: TaskSpec,
    key: str,
    data_dir: Path | str | None = None,
    *,
    may_fetch: bool = True,
    observe: Observer | None = None,
) -> tuple[Path, str]:
    """Path and SHA-256 of the file of that key, which is downloaded when the cache lacks it and it may be.

    Raises:
        DataError: missing, unreadable, or another digest than the task file names.
        DownloadError: see `download`.
    """
    place = locate(spec, key, data_dir)
    if may_fetch and spec.downloadable and place.kind == "cache" and not place.present:
        fetch(spec, key, observe=observe)
    if not place.present:
        raise _missing(spec, place)
    digest = _digest(place.path)
    expected = spec.files[key].sha256
    if expected is not None and digest != expected:
        remedies: dict[Kind, str] = {
            "cache": f"xqr-bench data fetch --force {spec.name}",
            "data folder": f"take the file of upstream revision {spec.revision}: {spec.url(key)}"
            if spec.downloadable
            else to_bring(spec),
            "package": "reinstall xqr-bench",
            "beside the task file": "correct sha256 in the task file, or the file",
        }
        raise DataError(
            f"{place.path} is not the file the task {spec.name} names: its SHA-256 is another",
            found=f"{digest} ({place.path.stat().st_size} bytes), expected {expected}",
            remedy=remedies[place.kind],
        )
    return place.path, digest


def data_files(spec: TaskSpec, keys: Sequence[str], paths: Sequence[Path]) -> list[DataFile]:
    """The files of a section as its reader gets them: one for each part, with the others of the part.

    Args:
        spec: the task.
        keys: theirs, those of one part together.
        paths: where each is; none where they are no files.
    """
    if READERS.get(spec.format).of_library:
        return [DataFile(spec.files[key].path, b"") for key in keys]
    of_part: dict[str, list[DataFile]] = {}
    for key, path in zip(keys, paths, strict=True):
        file = DataFile(str(path), path, segmenter(spec.segmenter, key) if spec.segmenter else None)
        of_part.setdefault(section_and_part(key)[1] if "." in key else "", []).append(file)
    return [replace(first, more=tuple(others)) for first, *others in of_part.values()]


def _digest(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise DataError(
            f"cannot read {path}: {error.strerror or error}", remedy="put a file there that can be read"
        ) from error


def _missing(spec: TaskSpec, place: Place) -> DataError:
    """A file that is not there: what is, and what to do."""
    relative = spec.files[place.key].path
    folder = Path(str(place.path).removesuffix(str(Path(relative))))
    problem = f"{spec.name}: there is no file {place.path}"
    if place.kind == "package":
        return DataError(problem, remedy="reinstall xqr-bench")
    if spec.source:
        return DataError(problem, found=_listing(folder), remedy=to_bring(spec))
    if place.kind == "cache":
        return DataError(problem, remedy=f"xqr-bench data fetch {spec.name}")
    listing = _listing(folder)
    if place.kind == "beside the task file":
        return DataError(problem, found=listing, remedy="put it there, or correct its path in the task file")
    remedy = (
        f"put {relative} there (from {spec.url(place.key)}); or name another folder with --data-dir or "
        f"{DATA_DIR}; or name none, and it is downloaded to a cache"
    )
    if (folder / Path(relative).name).is_file():
        remedy = f"name the folder above: the files are looked for as <folder>/{relative}"
    return DataError(problem, found=listing, remedy=remedy)


def to_bring(spec: TaskSpec) -> str:
    """What to do for the files of a task that has no download."""
    if not spec.source:
        return "its files are read where they are"
    first = next(iter(spec.files.values())).path
    return f"unpack {spec.source} and name the folder that then has {first}: --data-dir or {DATA_DIR}"


def _listing(folder: Path, most: int = 8) -> str:
    if not folder.is_dir():
        return f"there is no folder {folder}"
    names = sorted(item.name + ("/" if item.is_dir() else "") for item in folder.iterdir())
    shown = ", ".join(names[:most]) or "nothing"
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"in {folder}: {shown}{more}"


@dataclass(frozen=True, slots=True)
class FileCheck:
    """What was found of one file: its fault, or its size; the counts of its section are with the last of its files."""

    place: Place
    fault: DataError | None
    size: int = 0
    questions: int = 0
    candidates: int = 0


@checked
def verify(spec: TaskSpec, data_dir: Path | str | None = None) -> Iterator[FileCheck]:
    """Check digest and content of each file, in the order of the task file; nothing is downloaded."""
    reader = READERS.get(spec.format)
    for keys in spec.sections().values():
        places = [locate(spec, key, data_dir) for key in keys]
        whole = True
        for place in () if reader.of_library else places:
            try:
                find_source(spec, place.key, data_dir, may_fetch=False)
            except DataError as error:
                whole = False
                yield FileCheck(place, error)
            else:
                if place is not places[-1]:
                    yield FileCheck(place, None, place.path.stat().st_size)
        if not whole:
            continue
        try:
            data = reader.read(*data_files(spec, keys, [place.path for place in places]))
        except DataError as error:
            yield FileCheck(places[-1], error)
        else:
            size = 0 if reader.of_library else places[-1].path.stat().st_size
            yield FileCheck(places[-1], None, size, len(data.questions), len(data.candidates))
