"""A record in a program: saved where a command would save it, and completed with the ranks beside its file."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from xqr_bench.core.checked import checked
from xqr_bench.core.errors import RecordError
from xqr_bench.core.files import put_in_place, write_text
from xqr_bench.core.observe import Notice
from xqr_bench.record.beside import file_beside, naming_files, side_files
from xqr_bench.record.model import Record
from xqr_bench.record.store import (
    Result,
    load_record,
    record_files,
    record_path,
    save_record,
    to_json,
)

LOST = "its figures cannot be recomputed, compared or submitted from this file"


def record_with_ranks(record: Record) -> Result:
    """See `Record.with_ranks`."""
    if isinstance(record, Result):
        return record
    path = record.read_from.path
    if path is None:
        raise RecordError(
            f"the record of {record.model.name} on {record.task.name} comes without its ranks, and from no file",
            remedy="give its path, or what load_record(path, ranks=True) or evaluate returns",
        )
    loaded = load_record(path, ranks=True)
    if loaded.ranks_file.digest != record.ranks_file.digest:
        raise RecordError(f"{path} has changed since this record was read from it", remedy="load it again")
    return loaded if record.short else Result.of(record, loaded.ranks, path)


def keep_record(record: Record, path: Path, *, overwrite: bool) -> Path:
    """See `Record.save`."""
    if path.suffix != ".json":
        path = record_path(path, record.model.name, record.task.name)
    if path.exists() and not overwrite and _there_already(record, path):
        return path
    if isinstance(record, Result) or record.read_from.path is not None:
        return save_record(record_with_ranks(record), path)
    warnings.warn(
        f"{path} is saved without ranks, which this record does not have: {LOST}",
        Notice,
        stacklevel=3,
    )
    write_text(path, to_json(naming_files(record, path)))
    for place in side_files(path):  # those of the record that was there
        put_in_place(place, None)
    return path


def _there_already(record: Record, path: Path) -> bool:
    """Whether the file at a path holds this record, with its ranks, whenever and however fast they were made.

    Raises:
        RecordError: it holds something else.
    """
    remedy = "give another path, or overwrite=True to replace it"
    try:
        there = load_record(path, whole=False)
    except RecordError as error:
        raise RecordError(f"{path} exists, and is no record that can be read", found=error.fault, remedy=remedy) from (
            error
        )
    if (was := _measured(there)) != (now := _measured(record)):
        raise RecordError(
            f"{path} holds another record than the one to be saved",
            found=f"they differ in {', '.join(key for key in {**was, **now} if was.get(key) != now.get(key))}",
            remedy=remedy,
        )
    return file_beside(path, there.ranks_file).is_file()


def _measured(record: Record) -> dict[str, Any]:
    """What a record says, but when, where and how fast it was made, and the names of the files beside it."""
    facts = naming_files(record.stored(), Path("any.json")).model_dump(mode="json")
    made = facts.pop("provenance")
    return {**facts, "version of xqr-bench": made["code_version"]}


@checked
def load_records(*paths: Path | str) -> list[Record]:
    """Read records, without their ranks: `Record.with_ranks` reads these, and `compare` does where it needs them.

    Args:
        paths: files, and folders, which stand for all records below them, by name.

    Raises:
        RecordError: as `load_record`; there is no record below a folder.
    """
    return [load_record(path) for path in record_files(paths)]
