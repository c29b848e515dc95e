"""Files of a submission are anybody's: what is looked at before a byte of them is believed."""

from __future__ import annotations

import json
import math
import stat
from pathlib import Path
from typing import Any

from xqr_bench.errors import RecordError

MAX_RECORD = 4 * 2**20
MAX_NOTE = 2**16
MAX_NESTING = 32
MAX_UNPACKED = 256 * 2**20
_MAX_RANKS = {"xquad-r": 3 * 2**20}
_MAX_RANKS_DEFAULT = 8 * 2**20


def visible(text: str) -> str:
    """Somebody else's text in one line, without characters that steer a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


def max_ranks(task: str) -> int:
    """The greatest size of a ranks file of this task, in bytes."""
    return _MAX_RANKS.get(task, _MAX_RANKS_DEFAULT)


def check_file(path: Path, limit: int) -> None:
    """Check that `path` is a regular file of at most `limit` bytes, without opening it.

    Raises:
        RecordError: it is missing, a symbolic link, no regular file, or larger.
    """
    try:
        facts = path.lstat()
    except (OSError, ValueError) as error:
        raise RecordError(
            f"there is no file {path}", remedy="a submission is a record and the ranks file beside it"
        ) from error
    if stat.S_ISLNK(facts.st_mode):
        raise RecordError(f"{path} is a symbolic link", remedy="put the file itself there")
    if not stat.S_ISREG(facts.st_mode):
        raise RecordError(f"{path} is no regular file", remedy="put a file there")
    if facts.st_size > limit:
        raise RecordError(
            f"{path} is too large for a submission",
            found=f"{facts.st_size:,} bytes; at most {limit:,}",
            remedy="submit what xqr-bench wrote, unchanged",
        )


def read_json(path: Path, limit: int = MAX_RECORD) -> Any:
    """Read JSON that somebody else wrote.

    Raises:
        RecordError: as `check_file`; it is not JSON, holds NaN or an infinite number, or is nested too deeply.
    """
    check_file(path, limit)
    try:
        data = json.loads(path.read_bytes(), parse_constant=_refuse_constant, parse_float=_finite)
        nested = _nesting(data)
    except RecursionError:
        nested = MAX_NESTING + 1
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise RecordError(f"{path} is not a record: {why}", remedy="submit what xqr-bench wrote, unchanged") from None
    if nested > MAX_NESTING:
        raise RecordError(
            f"{path} is nested more than {MAX_NESTING} levels deep", remedy="submit what xqr-bench wrote, unchanged"
        )
    return data


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no figure")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no finite figure")
    return value


def _nesting(data: Any) -> int:
    """How deeply lists and objects are nested, without recursion."""
    depth, level = 0, [data]
    while level:
        inner = [child for found in level if isinstance(found, dict) for child in found.values()]
        inner += [child for found in level if isinstance(found, list) for child in found]
        depth += any(isinstance(found, dict | list) for found in level)
        if depth > MAX_NESTING:
            break
        level = [child for child in inner if isinstance(child, dict | list)]
    return depth


def check_parquet(path: Path, limit: int, rows: int) -> None:
    """Check a ranks file by its footer: its size, and what it would unpack to.

    Args:
        path: the file.
        limit: bytes.
        rows: the number of rows it must have.

    Raises:
        RecordError: as `check_file`; it is no Parquet file, or unpacks to something else than ranks of this task.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    check_file(path, limit)
    try:
        facts = pq.read_metadata(path)
        unpacked = sum(facts.row_group(i).total_byte_size for i in range(facts.num_row_groups))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise RecordError(f"{path} cannot be read as Parquet: {error}", remedy="submit the file as written") from None
    if facts.num_rows != rows:
        raise RecordError(
            f"{path} does not hold the ranks of its task",
            found=f"{facts.num_rows:,} rows instead of {rows:,}",
            remedy="evaluate on the whole task",
        )
    if unpacked > MAX_UNPACKED:
        raise RecordError(
            f"{path} unpacks to too much", found=f"{unpacked:,} bytes", remedy="submit the file as written"
        )
