"""Text files line by line, with their digest, and the place of what is wrong."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from xqr_bench.errors import DataError


class Lines:
    """The lines of a UTF-8 file (also .gz), numbered from 1, without their ends; `digest` once all are read.

    The digest is of the file's own bytes, compressed or not.

    Raises:
        DataError: the file is missing, cannot be read, or is not UTF-8.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._state = hashlib.sha256()
        self.digest: str | None = None

    def __iter__(self) -> Iterator[tuple[int, str]]:
        """Give each line with its number."""
        number = 0
        try:
            with self.path.open("rb") as raw:
                stream: IO[bytes] = gzip.GzipFile(fileobj=raw) if self.path.suffix == ".gz" else raw  # type: ignore[assignment]
                for number, line in enumerate(stream, start=1):
                    if stream is raw:
                        self._state.update(line)
                    yield number, line.decode("utf-8").removesuffix("\n").removesuffix("\r")
                if stream is not raw:
                    raw.seek(0)
                    self._state = hashlib.file_digest(raw, "sha256")
        except UnicodeDecodeError as error:
            raise DataError(
                f"{self.path}, line {number}: not UTF-8 text", found=str(error), remedy="save the file as UTF-8"
            ) from error
        except FileNotFoundError as error:
            raise DataError(f"there is no file {self.path}", remedy="check the path") from error
        except (OSError, EOFError) as error:
            raise DataError(
                f"{self.path} cannot be read: {error}", remedy="take the file from its source again"
            ) from error
        self.digest = self._state.hexdigest()

    def fail(self, number: int, problem: str, *, found: str | None = None, remedy: str) -> DataError:
        """The error for a line."""
        return DataError(f"{self.path}, line {number}: {problem}", found=found, remedy=remedy)


def files_by_language(folder: Path, suffix: str) -> dict[str, Path]:
    """Files of a folder named `<language><suffix>`, by language, in order; others are left aside."""
    from xqr_bench.errors import UnknownNameError
    from xqr_bench.languages import check_code

    found: dict[str, Path] = {}
    for path in sorted(folder.glob(f"*{suffix}")) if folder.is_dir() else []:
        code = path.name.removesuffix(suffix)
        try:
            found[check_code(code)] = path
        except UnknownNameError:
            continue
    return found
