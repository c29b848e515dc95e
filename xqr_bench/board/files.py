"""Files of a submission are anybody's: what is looked at before a byte of them is believed."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

from xqr_bench import strict_json
from xqr_bench.errors import RecordError

MAX_RECORD = 4 * 2**20
MAX_NOTE = 2**16
_MAX_RANKS = {"xquad-r": 3 * 2**20}
_MAX_RANKS_DEFAULT = 8 * 2**20


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
        RecordError: as `check_file`, or it is no strict JSON.
    """
    check_file(path, limit)
    try:
        return strict_json.read(path, limit)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise RecordError(f"{path} is not a record: {why}", remedy="submit what xqr-bench wrote, unchanged") from None
