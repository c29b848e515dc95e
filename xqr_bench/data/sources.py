"""Where a task's files are: a data folder, the cache, beside the task file, or in the package."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import platformdirs

from xqr_bench.data.download import Progress, download, source_url
from xqr_bench.data.spec import TaskSpec
from xqr_bench.errors import DataError

DATA_DIR = "XQR_BENCH_DATA"
Kind = Literal["package", "beside the task file", "data folder", "cache"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where one language's file is, or would be."""

    language: str
    path: Path
    kind: Kind

    @property
    def present(self) -> bool:
        """Whether the file is there."""
        return self.path.is_file()


def data_folder(data_dir: Path | str | None = None) -> Path | None:
    """The data folder: the argument, else XQR_BENCH_DATA, else None (the cache)."""
    named = data_dir if data_dir is not None else os.environ.get(DATA_DIR, "").strip() or None
    return None if named is None else Path(named).expanduser()


def cache_folder(spec: TaskSpec) -> Path:
    """The per-user cache of a task's revision."""
    return platformdirs.user_cache_path("xqr-bench") / "data" / spec.name / spec.revision


def locate(spec: TaskSpec, language: str, data_dir: Path | str | None = None) -> Place:
    """Where the file of `language` is looked for; it need not be there.

    Embedded files and those beside a task file have one place; a data folder is for what can be downloaded.
    """
    path = spec.files[language].path
    if spec.embedded is not None:
        return Place(language, Path(__file__).resolve().parent / spec.embedded / path, "package")
    if spec.base_url is None:
        beside = spec.origin.parent if spec.origin is not None else Path()
        return Place(language, beside / path, "beside the task file")
    folder = data_folder(data_dir)
    if folder is not None:
        return Place(language, folder / path, "data folder")
    return Place(language, cache_folder(spec) / path, "cache")


def pending_downloads(
    spec: TaskSpec, data_dir: Path | str | None = None, languages: Sequence[str] | None = None
) -> tuple[str, ...]:
    """The languages whose file loading would download now: ask first, to show the licence."""
    places = [locate(spec, code, data_dir) for code in languages or spec.languages]
    return tuple(place.language for place in places if place.kind == "cache" and not place.present)


def fetch(spec: TaskSpec, language: str, *, force: bool = False, progress: Progress | None = None) -> bool:
    """Bring a language's file into the cache.

    A file that is there with the right digest is kept unless `force`; a damaged one is replaced.

    Returns:
        Whether it was downloaded.

    Raises:
        DataError: the task has no download.
        DownloadError: see `download`.
    """
    file = spec.files[language]
    if spec.base_url is None or file.sha256 is None:
        raise DataError(f"the task {spec.name} has no download", remedy="its files are read where they are")
    target = cache_folder(spec) / file.path
    if not force and target.is_file() and hashlib.sha256(_bytes(target)).hexdigest() == file.sha256:
        return False
    download(source_url(spec.base_url, spec.revision, file.path), target, file.sha256, progress=progress)
    return True


def read_source(
    spec: TaskSpec, language: str, data_dir: Path | str | None = None, *, progress: Progress | None = None
) -> tuple[bytes, str, Path]:
    """Content, SHA-256 and path of a language's file, which is downloaded when the cache lacks it.

    Raises:
        DataError: missing, unreadable, or another digest than the task file names.
        DownloadError: see `download`.
    """
    place = locate(spec, language, data_dir)
    if place.kind == "cache" and not place.present:
        fetch(spec, language, progress=progress)
    return read_place(spec, place)


def read_place(spec: TaskSpec, place: Place) -> tuple[bytes, str, Path]:
    """As `read_source`, of a file that has to be there: nothing is downloaded."""
    if not place.present:
        raise _missing(spec, place)
    content = _bytes(place.path)
    digest = hashlib.sha256(content).hexdigest()
    expected = spec.files[place.language].sha256
    if expected is not None and digest != expected:
        remedies: dict[Kind, str] = {
            "cache": f"xqr-bench data fetch --force {spec.name}",
            "data folder": f"take the file of upstream revision {spec.revision}: {spec.url(place.language)}",
            "package": "reinstall xqr-bench",
            "beside the task file": "correct sha256 in the task file, or the file",
        }
        raise DataError(
            f"{place.path} is not the file the task {spec.name} names: its SHA-256 is another",
            found=f"{digest} ({len(content)} bytes), expected {expected}",
            remedy=remedies[place.kind],
        )
    return content, digest, place.path


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}", remedy="check its permissions") from error


def _missing(spec: TaskSpec, place: Place) -> DataError:
    """A file that is not there: what is, and what to do."""
    relative = spec.files[place.language].path
    folder = Path(str(place.path).removesuffix(str(Path(relative))))
    problem = f"{spec.name}: there is no file {place.path}"
    if place.kind == "package":
        return DataError(problem, remedy="reinstall xqr-bench")
    if place.kind == "cache":
        return DataError(problem, remedy=f"xqr-bench data fetch {spec.name}")
    found = _listing(folder)
    if place.kind == "beside the task file":
        return DataError(problem, found=found, remedy="put it there, or correct its path in the task file")
    remedy = (
        f"put {relative} there (from {spec.url(place.language)}); or name another folder with --data-dir or "
        f"{DATA_DIR}; or name none, and it is downloaded to a cache"
    )
    if (folder / Path(relative).name).is_file():
        remedy = f"name the folder above: the files are looked for as <folder>/{relative}"
    return DataError(problem, found=found, remedy=remedy)


def _listing(folder: Path, most: int = 8) -> str:
    if not folder.is_dir():
        return f"there is no folder {folder}"
    names = sorted(item.name + ("/" if item.is_dir() else "") for item in folder.iterdir())
    shown = ", ".join(names[:most]) or "nothing"
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"in {folder}: {shown}{more}"
