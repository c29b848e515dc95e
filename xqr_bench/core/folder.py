"""A folder of whole files that several machines share: on a file system, or in a store that fsspec reaches."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from xqr_bench.core.errors import UsageError, XqrBenchError
from xqr_bench.core.files import atomic_path, is_left_behind

_WHOLE = {"memory", "s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oci", "oss", "tos", "r2"}
"""Stores in which an object appears when all of it was sent, and cannot be renamed."""


def is_url(place: str | Path) -> bool:
    """Whether a place is named as fsspec names it, such as `s3://bucket/folder`."""
    return "://" in str(place)


class SharedFolder:
    """Files that are written whole or not at all, and seen by every process that names the same place.

    Args:
        place: a folder, or a URL that fsspec knows: `s3://bucket/folder`, `gs://…`, `memory://…`.

    Attributes:
        name: the place, for messages.

    Raises:
        UsageError: what reaches such a place is not installed, or fsspec does not know it.
    """

    def __init__(self, place: str | Path) -> None:
        self.name = str(place)
        self._files: Any = None
        if not is_url(place):
            self._root = str(Path(place).expanduser())
            return
        try:
            import fsspec

            files, self._root = fsspec.core.url_to_fs(self.name)
        except (ImportError, ValueError) as error:
            problem = str(error).strip().splitlines()[0]
            raise UsageError(
                f"{self.name} cannot be reached: {problem}",
                remedy="install what fsspec asks for (s3fs for s3://, gcsfs for gs://), or name a folder",
            ) from error
        self._whole = bool(_WHOLE & {files.protocol} if isinstance(files.protocol, str) else _WHOLE & {*files.protocol})
        local = files.protocol == "file" or "file" in files.protocol
        self._files = None if local else files

    def __repr__(self) -> str:
        return f"<SharedFolder {self.name}>"

    def place_of(self, name: str) -> str:
        """How a file is called in messages."""
        return f"{self.name.rstrip('/')}/{name}"

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}" if self._root else name

    def names(self) -> set[str]:
        """The files that are there, also below; not those that are being written."""
        return set(self.sizes())

    def sizes(self) -> dict[str, int | None]:
        """As `names`, each with its bytes; None: the store does not tell."""
        found: dict[str, int | None] = {}
        if self._files is None:
            root = Path(self._root)
            try:
                for path in root.rglob("*"):
                    with suppress(FileNotFoundError):  # removed meanwhile
                        if path.is_file():
                            found[path.relative_to(root).as_posix()] = path.stat().st_size
            except OSError as error:
                raise self._failed("cannot be listed", error) from error
        else:
            try:
                self._files.invalidate_cache()  # others write there
                below = self._files.find(self._root, detail=True)
            except FileNotFoundError:
                below = {}
            except Exception as error:
                raise self._failed("cannot be listed", error) from error
            start = len(self._path(""))
            found = {path[start:]: said.get("size") for path, said in below.items()}
        return {
            name: size
            for name, size in found.items()
            if not is_left_behind(Path(Path(name).name)) and not name.endswith(".part")
        }

    def read(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        """The bytes of a file, or some of them.

        Raises:
            XqrBenchError: it is not there, or cannot be read.
        """
        try:
            if self._files is not None:
                self._files.invalidate_cache()
                content: bytes = self._files.cat_file(self._path(name), start, stop)
                return content
            with Path(self._path(name)).open("rb") as file:
                file.seek(start)
                return file.read() if stop is None else file.read(stop - start)
        except Exception as error:
            raise self._failed("cannot be read", error, name) from error

    def write(self, name: str, pieces: Iterable[bytes | memoryview]) -> None:
        """Write a file, whole or not at all: to a temporary name and moved, or as one object of a store.

        Raises:
            XqrBenchError: it cannot be written.
        """
        if self._files is None:
            with atomic_path(Path(self._path(name))) as temporary, temporary.open("wb") as local:
                for piece in pieces:
                    local.write(piece)
            return
        path = self._path(name)
        if self._files.protocol == "memory":  # an open file is seen there before it is whole
            self._files.pipe_file(path, b"".join(pieces))
            return
        target = path if self._whole else f"{path}.{uuid4().hex}.part"
        try:
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            file = self._files.open(target, "wb")
            try:
                for piece in pieces:
                    file.write(piece)
            except BaseException:
                with suppress(Exception):
                    file.discard()  # what was sent is given up; closing would make it an object
                raise
            file.close()
            if target != path:
                self._files.mv(target, path)
        except Exception as error:
            raise self._failed("cannot be written", error, name) from error

    def remove(self, name: str) -> None:
        """Remove a file, where it is there."""
        try:
            if self._files is None:
                Path(self._path(name)).unlink(missing_ok=True)
            else:
                with suppress(FileNotFoundError):
                    self._files.rm_file(self._path(name))
        except Exception as error:
            raise self._failed("cannot be removed", error, name) from error

    def clear(self) -> None:
        """Remove the folder with all that is in it."""
        try:
            if self._files is None:
                shutil.rmtree(self._root, ignore_errors=True)
            else:
                with suppress(FileNotFoundError):
                    self._files.rm(self._root, recursive=True)
        except Exception as error:
            raise self._failed("cannot be removed", error) from error

    def _failed(self, what: str, error: Exception, name: str = "") -> XqrBenchError:
        place = self.place_of(name) if name else self.name
        why = getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
        return XqrBenchError(
            f"{place} {what}: {why.splitlines()[0]}", remedy="check the place and what may be done there"
        )
