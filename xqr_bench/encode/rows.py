"""Rows of vectors that are read where they stand, when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core.errors import EncoderError, XqrBenchError
from xqr_bench.core.types import IntArray
from xqr_bench.encode.checks import Vectors
from xqr_bench.encode.texts import BoolArray

ROWS_AT_ONCE = 8192
NEAR = 64
"""Rows that are so near in a file are read in one piece."""


class Rows(Protocol):
    """Rows of vectors that are read when they are asked for."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any) -> Vectors:
        """The rows of a slice, or of indices in any order, float32 `[n, d]`."""


class TaskRows:
    """The rows of one task and role, read from where the vectors of its texts are.

    Args:
        text_of_row: the text of each row, int64 `[rows]`.
        columns: of the vectors.
        take: texts of the group, int64 `[n]`, each once and ascending -> their vectors, float32 `[n, columns]`.
    """

    def __init__(self, text_of_row: IntArray, columns: int, take: Callable[[IntArray], Vectors]) -> None:
        self._text_of_row, self._take = text_of_row, take
        self.shape = (len(text_of_row), columns)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> Vectors:
        texts, places = np.unique(self._text_of_row[rows], return_inverse=True)
        vectors = self._take(texts)
        return vectors if np.array_equal(places, np.arange(len(texts))) else vectors[places]


class Chosen:
    """Some rows of others: those of a part of a task that is ranked by itself."""

    def __init__(self, whole: Rows, chosen: IntArray) -> None:
        self._whole, self._chosen = whole, chosen
        self.shape = (len(chosen), whole.shape[1])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> Vectors:
        return self._whole[self._chosen[rows]]


class Segments:
    """The vectors of a group in one file of each process, of float32 numbers, row by row.

    Args:
        texts: of each file, the text of each of its rows, int64 `[n]`.
        size: texts of the group.
        columns: of the vectors.
        read: (file, first byte, last byte + 1) -> those bytes.
        sums: of each file, the checksums of its rows (see `row_sums`), uint32 `[n]`.
        damaged: file -> the error that is raised where it does not hold what was written.

    Raises:
        EncoderError: a text is in no file, or in two.
    """

    def __init__(
        self,
        texts: Sequence[IntArray],
        size: int,
        columns: int,
        read: Callable[[int, int, int], bytes],
        sums: Sequence[NDArray[np.uint32]],
        damaged: Callable[[int], XqrBenchError],
    ) -> None:
        self._columns, self._read, self._sums, self._damaged = columns, read, sums, damaged
        self._file = np.full(size, -1, dtype=np.int32)
        self._row = np.zeros(size, dtype=np.int32)
        for file, of_file in enumerate(texts):
            if (self._file[of_file] >= 0).any():
                raise EncoderError("some texts have two vectors: two shards have encoded them")
            self._file[of_file], self._row[of_file] = file, np.arange(len(of_file))
        if missing := int((self._file < 0).sum()):
            raise EncoderError(f"{missing:,} of {size:,} texts have no vector")

    def take(self, texts: IntArray) -> Vectors:
        """The vectors of these texts, float32 `[n, columns]`.

        Raises:
            XqrBenchError: a file cannot be read, or does not hold what was written.
        """
        vectors = np.empty((len(texts), self._columns), dtype=np.float32)
        files, rows = self._file[texts], self._row[texts]
        for file in np.unique(files).tolist():
            wanted = np.flatnonzero(files == file)
            wanted = wanted[np.argsort(rows[wanted])]
            # what stands near one another is read in one piece, of bounded size
            cuts = np.flatnonzero(np.diff(rows[wanted]) > NEAR) + 1
            for run in np.split(wanted, cuts):
                for start in range(0, len(run), ROWS_AT_ONCE):
                    some = run[start : start + ROWS_AT_ONCE]
                    first, last = int(rows[some[0]]), int(rows[some[-1]]) + 1
                    content = self._read(file, 4 * self._columns * first, 4 * self._columns * last)
                    piece = np.frombuffer(content, dtype="<f4")
                    if len(piece) != (last - first) * self._columns:
                        raise self._damaged(file)
                    vectors[some] = piece.reshape(-1, self._columns)[rows[some] - first]
                    if not np.array_equal(row_sums(vectors[some]), self._sums[file][rows[some]]):
                        raise self._damaged(file)
        return vectors


def row_sums(vectors: Vectors) -> NDArray[np.uint32]:
    """A checksum of the bytes of each row (CRC-32, as zlib has it), uint32 `[n]`."""
    rows = np.ascontiguousarray(vectors, dtype="<f4")
    return np.fromiter(map(crc32, rows), dtype=np.uint32, count=len(rows))


def zero_rows(vectors: Vectors) -> BoolArray:
    """Which vectors are only zeros, bool `[n]`."""
    return np.logical_not(vectors.any(axis=1))
