"""Which records and papers cannot stand on one board: their names cannot be told apart, or their ranks are the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from xqr_bench.board.files import record_paths
from xqr_bench.core.errors import XqrBenchError
from xqr_bench.core.names import look_alike, looks
from xqr_bench.core.types import MAIN_METRIC
from xqr_bench.record import Record, folder_name, load_record


class Entry(NamedTuple):
    """A model's name, where it stands on the board, and its MAP by task and setting; a paper's has none."""

    path: str
    model: str
    figures: frozenset[tuple[str, str]] = frozenset()

    @classmethod
    def of(cls, record: Record, path: str) -> Entry:
        """The entry of a record."""
        figures = set()
        for setting, scores in record.scores.items():
            figure = scores.macro.get(MAIN_METRIC)
            if figure is not None and figure.value is not None:
                least = figure.value if figure.pessimistic is None else figure.pessimistic
                figures.add((f"{record.task.name} {setting}", f"{figure.value:.7g} {least:.7g}"))
        return cls(path, record.model.name, frozenset(figures))

    def has_ranks_of(self, other: Entry) -> bool:
        """Whether all figures that both have are the same, however their ranks are packed: they are never by chance."""
        mine, others = dict(self.figures), dict(other.figures)
        shared = mine.keys() & others.keys()
        return bool(shared) and all(mine[place] == others[place] for place in shared)


def entries_of(folder: Path) -> Iterator[Entry]:
    """What stands on the board; `verify` tells of records that cannot be read."""
    for path in record_paths(folder) if folder.is_dir() else []:
        try:
            yield Entry.of(load_record(path, whole=False), path.relative_to(folder).as_posix())
        except XqrBenchError:
            continue


def clash(entry: Entry, other: Entry) -> str | None:
    """Why an entry cannot stand beside another one; None where it can."""
    if entry.model == other.model:
        same = entry.path != other.path and entry.has_ranks_of(other)
        return f"its ranks are those of {other.path}: one model stands there once" if same else None
    if look_alike(entry.model, other.model):
        return f"the name {entry.model!r} cannot be told apart from {other.model!r} of {other.path}"
    same_folder = folder_name(entry.model).casefold() == folder_name(other.model).casefold()
    if entry.figures and other.figures and same_folder:
        return f"its folder belongs to another model, {other.model!r} of {other.path}"
    if entry.has_ranks_of(other):
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
    return (*looks(entry.model), folder_name(entry.model).casefold(), *map(str, entry.figures))
