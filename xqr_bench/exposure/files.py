"""Training data on disk -> texts with their places."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from xqr_bench import strict_json
from xqr_bench.errors import DataError
from xqr_bench.exposure.find import Placed

FORMATS = (".txt", ".tsv", ".jsonl", ".json", ".parquet")


def read_texts(paths: Sequence[Path]) -> Iterator[Placed]:
    """Every text of the files, each with `file:line` (of Parquet: `file:row`).

    Lines of .txt, fields of .tsv, every string in the values of .jsonl and .json, every string of .parquet; all but
    Parquet also with .gz. A folder stands for all such files in it.

    Raises:
        DataError: a file is missing, cannot be read, or has another ending; a folder has none of them.
    """
    for path in paths:
        for file in _files(path):
            try:
                yield from _texts(file)
            except (OSError, ValueError, EOFError) as error:
                raise DataError(f"{file} cannot be read: {error}", remedy="correct it, or leave it out") from error


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.is_file() and _format(file) in FORMATS)
        if not found:
            raise DataError(f"{path} holds no text files", found="", remedy=f"they end in {', '.join(FORMATS)}")
        return found
    if not path.is_file():
        raise DataError(f"there is no file {path}", remedy="name the files of the training data")
    if _format(path) not in FORMATS:
        raise DataError(
            f"{path} is of no kind that can be searched", remedy=f"give files that end in {', '.join(FORMATS)} (or .gz)"
        )
    return [path]


def _format(path: Path) -> str:
    return path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix


def _texts(path: Path) -> Iterator[Placed]:
    kind = _format(path)
    if kind == ".parquet":
        yield from _parquet(path)
        return
    with _opened(path) as lines:
        if kind == ".json":
            yield from (Placed(text, path.name) for text in _strings(strict_json.parse(lines.read())))
            return
        for number, line in enumerate(lines, start=1):
            place = f"{path.name}:{number}"
            if kind == ".jsonl":
                yield from (Placed(text, place) for text in (_strings(strict_json.parse(line)) if line.strip() else ()))
            else:
                yield from (Placed(text, place) for text in line.rstrip("\n").split("\t" if kind == ".tsv" else "\n"))


def _opened(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8")
    return path.open(encoding="utf-8")


def _parquet(path: Path) -> Iterator[Placed]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = 0
    try:
        for batch in pq.ParquetFile(path).iter_batches(batch_size=10_000):
            for values in batch.to_pylist():
                row += 1
                yield from (Placed(text, f"{path.name}:{row}") for text in _strings(values))
    except pa.ArrowException as error:
        raise ValueError(str(error)) from error


def _strings(value: Any) -> Iterator[str]:
    """All strings in a JSON value, keys left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for child in value.values():
            yield from _strings(child)
    elif isinstance(value, list | tuple):
        for child in value:
            yield from _strings(child)
