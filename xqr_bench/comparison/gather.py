"""Records read for a comparison: grouped by task, named, and refused where they cannot be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xqr_bench.certainty import Units, sampling_units, shared_units
from xqr_bench.errors import UsageError
from xqr_bench.record import Record, load_record


@dataclass(frozen=True)
class Side:
    """A record with the label that the output gives it."""

    label: str
    path: Path
    record: Record


@dataclass(frozen=True)
class TaskRecords:
    """The records of one task, in the order given, with their common questions and articles."""

    task: str
    sides: tuple[Side, ...]
    units: Units


def gather(paths: Sequence[Path | str]) -> list[TaskRecords]:
    """Read records with their ranks, grouped by task in the order of first appearance.

    Raises:
        UsageError: a record is alone on its task, named twice, or made from other data or by another protocol than
            the others of its task.
        RecordError: a record or its ranks cannot be read.
    """
    chosen = [Path(path) for path in paths]
    if not chosen:
        raise UsageError("no record is named", remedy="name the JSON files of at least two records of a task")
    places = [path.resolve() for path in chosen]
    for path, place in zip(chosen, places, strict=True):
        if places.count(place) > 1:
            raise UsageError(f"the record {path} is named twice", remedy="name each record once")
    by_task: dict[str, dict[Path, Record]] = {}
    for path in chosen:
        record = load_record(path)
        by_task.setdefault(record.task.name, {})[path] = record
    _refuse_single(by_task)
    for records in by_task.values():
        _refuse_unlike(records)
    # the ranks last: whatever cannot be compared is refused before they are read
    return [_with_ranks(task, records) for task, records in by_task.items()]


def _refuse_single(by_task: dict[str, dict[Path, Record]]) -> None:
    alone = {task: next(iter(records)) for task, records in by_task.items() if len(records) == 1}
    if not alone:
        return
    listing = ", ".join(f"{path} ({task})" for task, path in alone.items())
    if len(alone) == len(by_task) > 1:
        raise UsageError(
            "these records are of different tasks",
            found=listing,
            remedy="name at least two records of each task",
        )
    raise UsageError(
        f"one record of {next(iter(alone))} cannot be compared",
        found=listing,
        remedy="name at least two records of each task",
    )


def _refuse_unlike(records: dict[Path, Record]) -> None:
    (first_path, first), *others = records.items()
    for number, (path, record) in enumerate(others, start=1):
        for earlier, other in list(records.items())[:number]:
            if other.model_dump() == record.model_dump():  # wherever they lie
                raise UsageError(f"{earlier} and {path} are the same record", remedy="name each record once")
        differing = unlike(first, record)
        if differing:
            raise UsageError(
                f"{first_path} and {path} cannot be compared: they differ in {', '.join(differing)}",
                found="; ".join(f"{name}: {a} and {b}" for name, (a, b) in differing.items()),
                remedy="compare records of the same task data, pool and protocol; evaluate one of them again",
            )


def unlike(a: Record, b: Record) -> dict[str, tuple[str, str]]:
    """What keeps two records of one task from being compared: name -> how it stands in a and in b."""
    found: dict[str, tuple[str, str]] = {}
    if a.task.languages != b.task.languages:
        found["languages"] = (", ".join(a.task.languages), ", ".join(b.task.languages))
    elif a.task.files != b.task.files:
        changed = sorted(
            name for name in {*a.task.files, *b.task.files} if a.task.files.get(name) != b.task.files.get(name)
        )
        found["data files"] = tuple(  # type: ignore[assignment]
            ", ".join(f"{name} {_short(side.task.files.get(name))}" for name in changed[:3])
            + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")
            for side in (a, b)
        )
    pairs = {
        "parts left out": (_text(a.task.partial), _text(b.task.partial)),
        "being a demonstration": (_yes(a.task.demonstration), _yes(b.task.demonstration)),
        "questions": (f"{a.task.n_questions:,}", f"{b.task.n_questions:,}"),
        "articles": (f"{a.task.n_articles:,}", f"{b.task.n_articles:,}"),
        "settings": (", ".join(a.task.settings), ", ".join(b.task.settings)),
        "depth": (_depth(a), _depth(b)),
        "candidate context": (_context(a), _context(b)),
    }
    found |= {name: (first, second) for name, (first, second) in pairs.items() if first != second}
    if not found and a.task.counts != b.task.counts:
        language = next(code for code in a.task.counts if a.task.counts[code] != b.task.counts.get(code))
        sizes = [side.task.counts.get(language) for side in (a, b)]
        found["pool"] = tuple(  # type: ignore[assignment]
            f"{language} {size.queries:,} queries, {size.candidates:,} candidates" if size else f"no {language}"
            for size in sizes
        )
    return found


def _short(digest: str | None) -> str:
    return f"{digest[:12]}…" if digest else "is not among them"


def _text(partial: dict[str, object]) -> str:
    return ", ".join(f"{key} {value}" for key, value in partial.items()) or "nothing"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _depth(record: Record) -> str:
    depth = record.ranks_file.depth
    return "full" if depth is None else f"cut at {depth:,}"


def _context(record: Record) -> str:
    context = getattr(record.model.identity, "candidate_context", None)
    return "none" if context is None else repr(context)


def _with_ranks(task: str, records: dict[Path, Record]) -> TaskRecords:
    loaded = [load_record(path, ranks=True) for path in records]
    names = [record.model.name for record in loaded]
    sides = tuple(
        Side(name if names.count(name) == 1 else f"{name} #{names[: i + 1].count(name)}", path, record)
        for i, (name, path, record) in enumerate(zip(names, records, loaded, strict=True))
    )
    first = loaded[0].ranks
    for side in sides[1:]:
        ranks = side.record.ranks
        if ranks.columns != first.columns or list(ranks.column_sizes) != list(first.column_sizes):
            raise UsageError(
                f"{sides[0].path} and {side.path} cannot be compared: their ranks are of different pools",
                found=f"{int(first.column_sizes.sum()):,} and {int(ranks.column_sizes.sum()):,} candidates",
                remedy="compare records of the same task data",
            )
    return TaskRecords(task, sides, shared_units(sampling_units(record.ranks) for record in loaded))
