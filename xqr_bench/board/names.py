"""Which records and papers cannot stand on one board: their names cannot be told apart, or their ranks are the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from xqr_bench.board.files import record_paths
from xqr_bench.core.errors import XqrBenchError
from xqr_bench.core.names import look_alike, looks
from xqr_bench.record import Record, Result, folder_name, load_record, ranks_digest


class Entry(NamedTuple):
    """A model's name, where it stands on the board, and the digest of its ranks; a paper's has none."""

    path: str
    model: str
    ranks: str | None = None

    @classmethod
    def of(cls, record: Record, path: str) -> Entry:
        """The entry of a record, by the digest that its ranks have in a submission."""
        digest = record.ranks_file.digest
        if isinstance(record, Result) and not record.short:
            digest = ranks_digest(record.ranks.pooled())
        return cls(path, record.model.name, digest)


def entries_of(folder: Path, task: str) -> Iterator[Entry]:
    """What stands on the board; `verify` tells of records that cannot be read.

    Args:
        folder: the board.
        task: records of others have other ranks, which are not read.
    """
    for path in record_paths(folder) if folder.is_dir() else []:
        try:
            record = load_record(path, whole=False)
            if not record.short and record.task.name == task:
                record = load_record(path, ranks=True, whole=False)
            yield Entry.of(record, path.relative_to(folder).as_posix())
        except XqrBenchError:
            continue


def clash(entry: Entry, other: Entry) -> str | None:
    """Why an entry cannot stand beside another one; None where it can."""
    if entry.model == other.model:
        same = entry.ranks is not None and entry.ranks == other.ranks and entry.path != other.path
        return f"its ranks are those of {other.path}: one model stands there once" if same else None
    if look_alike(entry.model, other.model):
        return f"the name {entry.model!r} cannot be told apart from {other.model!r} of {other.path}"
    if (
        None not in (entry.ranks, other.ranks)
        and folder_name(entry.model).casefold() == folder_name(other.model).casefold()
    ):
        return f"its folder belongs to another model, {other.model!r} of {other.path}"
    if entry.ranks is not None and entry.ranks == other.ranks:
        return f"its ranks are those of {other.model!r}, {other.path}: one model has one name"
    return None


def clashes(records: Iterable[Entry], papers: Iterable[Entry] = ()) -> dict[str, str]:
    """Path -> why it cannot stand on the board: of two that clash both are named, papers too, whichever came first."""
    entries = [*records, *papers]
    alike: dict[str, list[Entry]] = defaultdict(list)  # what has no mark in common cannot clash
    for entry in entries:
        for mark in _marks(entry):
            alike[mark].append(entry)
    faults: dict[str, str] = {}
    for entry in entries:
        for other in (other for mark in _marks(entry) for other in alike[mark]):
            if (fault := clash(entry, other)) is not None:
                faults.setdefault(entry.path, fault)
    return faults


def _marks(entry: Entry) -> tuple[str, ...]:
    """What two entries that clash have at least one of in common."""
    return (*looks(entry.model), folder_name(entry.model).casefold(), *([entry.ranks] if entry.ranks else []))
