"""Lines of a TREC run, read in chunks: six columns parted by blanks or tabs."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xqr_bench.errors import RunError
from xqr_bench.types import IntArray

CHUNK_BYTES = 16 * 2**20
_COLUMNS = ("query", "q0", "document", "rank", "score", "tag")
_FORMAT = "each line is `query-id Q0 document-id rank score tag`"
_UNTIDY = (b"\t", b"\r", b"\f", b"\v", b"  ", b"\n ", b" \n")


@dataclass(frozen=True)
class Chunk:
    """Some whole lines.

    Attributes:
        queries: distinct query ids.
        query: index into `queries` of each line, int64 `[lines]`.
        documents: distinct document ids.
        document: index into `documents` of each line, int64 `[lines]`.
        scores: finite, read as trec_eval reads them, float32 `[lines]`.
        exact: the same before they were rounded to 32 bits, float64 `[lines]`.
        first_line: number of the first line in the file, from 1.
        text: the lines themselves.
    """

    queries: list[str]
    query: IntArray
    documents: list[str]
    document: IntArray
    scores: NDArray[np.float32]
    exact: NDArray[np.float64]
    first_line: int
    text: bytes

    def line_of(self, row: int) -> int:
        """Number in the file of a line of this chunk; lines of only blanks count, as in an editor."""
        filled = [n for n, line in enumerate(self.text.split(b"\n")) if line.strip()]
        return self.first_line + filled[row]


def read_chunks(path: Path, *, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
    """Read a run, plain or gzip (`.gz`), some megabytes at a time.

    Raises:
        RunError: the file cannot be read, holds nothing, or has a line that is no line of a run.
    """
    first_line, nothing = 1, True
    for text in _whole_lines(path, chunk_bytes):
        if text.strip():
            nothing = False
            yield _parse(path, text, first_line)
        first_line += text.count(b"\n")
    if nothing:
        raise RunError(f"{path} is empty", remedy=f"write the ranking into it: {_FORMAT}")


def _whole_lines(path: Path, size: int) -> Iterator[bytes]:
    rest = b""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as handle:
            while block := handle.read(size):
                end = block.rfind(b"\n") + 1
                if end:
                    yield rest + block[:end]
                    rest = block[end:]
                else:
                    rest += block
    except (OSError, EOFError, zlib.error) as error:
        raise RunError(
            f"{path} cannot be read: {error}",
            remedy="write the file again; a name that ends in .gz must be a gzip file, whole",
        ) from error
    if rest:
        yield rest + b"\n"


def _parse(path: Path, text: bytes, first_line: int) -> Chunk:
    import pyarrow as pa
    from pyarrow import csv

    tidy = text
    if text.startswith(b" ") or any(blank in text for blank in _UNTIDY):
        tidy = re.sub(rb"[ \t\r\f\v]+", b" ", text)
        tidy = re.sub(rb"^ | $", b"", tidy, flags=re.MULTILINE)
    words = pa.dictionary(pa.int32(), pa.string())
    try:
        table = csv.read_csv(
            pa.BufferReader(tidy),
            read_options=csv.ReadOptions(column_names=list(_COLUMNS), block_size=4 * 2**20),
            parse_options=csv.ParseOptions(delimiter=" ", quote_char=False, double_quote=False),
            convert_options=csv.ConvertOptions(
                include_columns=["query", "document", "score"],
                column_types={"query": words, "document": words, "score": pa.float64()},
                null_values=[],
            ),
        )
    except pa.ArrowException as error:
        raise _first_fault(path, text, first_line, str(error)) from error
    exact = table.column("score").to_numpy()
    with np.errstate(over="ignore"):
        scores = exact.astype(np.float32)
    if not np.isfinite(scores).all():
        raise _first_fault(path, text, first_line, "a score is not finite")
    queries, query = _words(table.column("query"))
    documents, document = _words(table.column("document"))
    return Chunk(queries, query, documents, document, scores, exact, first_line, text)


def _words(column: Any) -> tuple[list[str], IntArray]:
    whole = column.unify_dictionaries()
    values: list[str] = whole.chunk(0).dictionary.to_pylist()
    codes = np.concatenate([part.indices.to_numpy() for part in whole.chunks])
    return values, codes.astype(np.int64)


def _first_fault(path: Path, text: bytes, first_line: int, otherwise: str) -> RunError:
    """The error of the first line that is no line of a run."""
    for number, line in enumerate(text.split(b"\n"), start=first_line):
        problem = _fault(line)
        if problem is not None:
            shown = line.decode("utf-8", errors="replace").strip()
            return RunError(
                f"{path}:{number}: {problem}",
                found=shown if len(shown) <= 100 else shown[:99] + "…",
                remedy=f"correct the line; {_FORMAT}",
            )
    return RunError(f"{path} cannot be read: {otherwise}", remedy=_FORMAT)


def _fault(line: bytes) -> str | None:
    try:
        fields = line.decode("utf-8").split()
    except UnicodeDecodeError:
        return "the line is not UTF-8"
    if fields and len(fields) != len(_COLUMNS):
        return f"the line has {len(fields)} columns instead of {len(_COLUMNS)}"
    if not fields:
        return None
    try:
        value = float(fields[4].replace("_", "?"))  # float() takes 1_000, a run does not
    except ValueError:
        return f"the score {fields[4]!r} is not a number"
    with np.errstate(over="ignore"):
        if not np.isfinite(np.float32(value)):
            return f"the score {fields[4]} is not a finite 32-bit number"
    return None
