"""Files of others read through one door, own files written whole or not at all, and digests of both."""

from __future__ import annotations

import codecs
import errno
import gzip
import hashlib
import io
import os
import platform
import re
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from tokenize import TokenError
from typing import IO, TYPE_CHECKING, Any, cast

from xqr_bench.core.errors import UsageError, XqrBenchError

if TYPE_CHECKING:
    from numpy.typing import NDArray


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, moved onto it when the block ends well, removed otherwise.

    Raises:
        XqrBenchError: the folder cannot be made or written.
    """
    temporary = _temporary(path)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise _unwritable(path, error, "free space there, or name another folder") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _temporary(path: Path) -> Path:
    """An empty file beside `path`, whose folder is made; what killed processes left of such files there is removed."""
    try:
        if path.exists():
            stored(path)  # no renaming takes the place of /dev/null
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_left_behind(path.parent)
        before = f".{path.name}.{_HOST}-{os.getpid()}-"
        handle, name = tempfile.mkstemp(prefix=before, suffix=".tmp", dir=path.parent)
    except OSError as error:
        raise _unwritable(path, error, "name a folder that can be written") from error
    os.close(handle)
    return Path(name)


def _unwritable(path: Path, error: OSError, remedy: str) -> XqrBenchError:
    if error.errno == errno.ENAMETOOLONG:
        remedy = "give a shorter name"
    return XqrBenchError(f"cannot write {path}: {error.strerror or error}", remedy=remedy)


# Temporary files say which process writes them, so that those of a process that was killed are known.

_HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:6]
_LEFT_BEHIND = re.compile(r"\..+\.([0-9a-f]{6}-\d+-\w+\.tmp|[0-9a-f]{12}\.new)", re.ASCII | re.DOTALL)
_WRITTEN_BY = re.compile(rf"\..+\.{_HOST}-(\d+)-\w+\.tmp", re.ASCII | re.DOTALL)


def _remove_left_behind(folder: Path) -> None:
    for path in folder.glob(".*.tmp"):
        process = _WRITTEN_BY.fullmatch(path.name)
        if process is not None and not is_running(int(process[1])):
            path.unlink(missing_ok=True)


def is_running(process: int) -> bool:
    """Whether this machine has a process of this number, as far as can be told."""
    if os.name != "posix":  # elsewhere to ask is to end it
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


# Files that belong to another one, such as ranks to their record, are replaced with it by one renaming, of that one:
# until it is in its place they wait under names that hold a digest which it knows.


def waiting_place(path: Path, digest: str) -> Path:
    """Where a file waits for its place."""
    return path.with_name(f".{path.name}.{digest[:12]}.new")


def now_at(path: Path, digest: str) -> Path:
    """Where the file is that belongs to what knows this digest: where it waits, or in its place."""
    waiting = waiting_place(path, digest)
    return waiting if waiting.is_file() else path


def put_in_place(path: Path, digest: str | None) -> None:
    """Bring the file of this digest into its place, where it waits for that; None: none belongs there."""
    if digest is None:
        path.unlink(missing_ok=True)
    elif waiting_place(path, digest).is_file():
        waiting_place(path, digest).replace(path)
    # digests alone: the signature that waits has the name of the attestation in its own
    for left_behind in path.parent.glob(f".{escape(path.name)}.{'[0-9a-f]' * 12}.new"):
        left_behind.unlink(missing_ok=True)


def is_left_behind(path: Path) -> bool:
    """Whether a file is one of those that a run which was stopped may leave beside what it was writing."""
    return _LEFT_BEHIND.fullmatch(path.name) is not None


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def refuse_unwritable(path: Path, *, folder: bool = False) -> None:
    """Check that a file (or a folder) can be put at `path`, before the work whose result is to stand there.

    Raises:
        XqrBenchError: its folder cannot be made or written, the name is too long, or a folder stands in its place.
    """
    _temporary(path).unlink()
    if path.is_dir() and not folder:
        raise XqrBenchError(f"cannot write {path}: it is a folder", remedy="name another place, or remove it first")


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def stored(path: Path) -> Path:
    """The path of a file that somebody else wrote, unless it is a pipe, a socket or a device, which may never end.

    Raises:
        OSError: it is one of these, or not there.
    """
    kind = path.stat().st_mode
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):  # that it is a folder is told where it is opened
        raise OSError(errno.EINVAL, "it is no regular file but a pipe, a socket or a device", str(path))
    return path


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that somebody else wrote: unpacked where its name ends in `.gz`, without a byte order mark.

    Raises:
        OSError: it cannot be read, or is no whole gzip file; also while the block reads from it.
    """
    stored(path)
    try:
        with cast("Any", gzip.open(path) if path.suffix == ".gz" else path.open("rb")) as stream:
            if stream.peek(len(codecs.BOM_UTF8)).startswith(codecs.BOM_UTF8):
                stream.read(len(codecs.BOM_UTF8))
            yield stream
    except (EOFError, zlib.error) as error:
        raise OSError(f"it is not a whole gzip file ({error})") from error


def read_text(path: Path) -> str:
    """The text of a file that somebody else wrote, opened by `opened`.

    Raises:
        OSError: it cannot be read.
        UnicodeDecodeError: it is not UTF-8.
    """
    with opened(path) as stream:
        return stream.read().decode("utf-8")


@contextmanager
def _parsing_header() -> Iterator[None]:
    """Whatever numpy's parser of a header meets is a ValueError; so is a header that asks for more than there is."""
    try:
        yield
    except (TokenError, TypeError, ArithmeticError, RecursionError, MemoryError) as error:
        raise ValueError(f"its header cannot be read ({type(error).__name__})") from error


def read_array(path: Path) -> NDArray[Any]:
    """The array of a `.npy` file that somebody else wrote, mapped, not loaded; never pickled objects.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no such file, or its header does not describe what it holds.
    """
    import numpy as np

    with _parsing_header():
        return np.lib.format.open_memmap(stored(path), mode="r")


def read_arrays(path: Path, limit: int = 2**28) -> dict[str, NDArray[Any]]:
    """The arrays of a `.npz` file that somebody else wrote; never pickled objects.

    Args:
        path: the file.
        limit: the greatest size unpacked, in bytes.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no such file, or unpacks to more than that.
    """
    import numpy as np

    try:
        with zipfile.ZipFile(stored(path)) as file:
            if sum(part.file_size for part in file.infolist()) > limit:
                raise ValueError(f"it unpacks to more than {limit:,} bytes")
            packed = {name.removesuffix(".npy"): file.read(name) for name in file.namelist()}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, struct.error) as error:
        raise ValueError(f"it is no whole .npz file ({error})") from error
    with _parsing_header():
        return {name: np.lib.format.read_array(io.BytesIO(part), allow_pickle=False) for name, part in packed.items()}


def sha256_of(path: Path) -> str:
    """The file's SHA-256 as lower-case hex digits."""
    with stored(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def named_folder(text: str) -> Path:
    """The folder of a text `kind:FOLDER`.

    Raises:
        UsageError: no folder is named.
    """
    kind, _, folder = text.partition(":")
    if not folder.strip():
        raise UsageError(f"{text} names no folder", remedy=f"write {kind}:FOLDER; {kind}:. is the current one")
    return Path(folder).expanduser()


_COMMON_NAME = re.compile(
    r"(best|checkpoints?|ckpt|encoder|epoch|export|final|last|latest|models?|out|output|saved?|step|weights)([-_.]?\d+)*",
    re.IGNORECASE | re.ASCII,
)


def followed(path: Path) -> Path:
    """The absolute path that links lead to; where they lead in a circle, as far as they can be followed."""
    return Path(os.path.realpath(path))  # Path.resolve raises a RuntimeError there, before Python 3.13


def name_of_folder(folder: Path) -> str:
    """What a model or run in a folder is called: the folder's name; after its parent's where many have that name.

    So `runs/r0/final` is `r0/final`, and `runs/r1/checkpoint-150` is `r1/checkpoint-150`.
    """
    place = followed(folder)
    name = "/".join(place.parts[1:][-2 if _COMMON_NAME.fullmatch(place.name) else -1 :])
    return name.encode("utf-8", "backslashreplace").decode()  # names of files need not be text


TRAINING_FILE = "xqr_bench_training.json"
"""Name of the training record in a model's folder."""


def digest_of_files(files: Iterable[tuple[str, Path]]) -> str:
    """SHA-256 over the lines `<sha256 of the file>  <name>`, sorted by name; the order given does not matter.

    Raises:
        XqrBenchError: one cannot be read.
    """
    try:
        rows = sorted((name, sha256_of(path)) for name, path in files)
    except OSError as error:
        problem = f"{error.filename} cannot be read: {error.strerror}"
        raise XqrBenchError(problem, remedy="put a file there that can be read") from error
    return hashlib.sha256(
        "".join(f"{digest}  {name}\n" for name, digest in rows).encode("utf-8", "backslashreplace")
    ).hexdigest()
