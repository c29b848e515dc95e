"""Records read for a comparison: grouped by task, refused where they cannot be compared, and what to know of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from pathlib import Path

import numpy as np

from xqr_bench.analysis.choice import Cells
from xqr_bench.core.errors import UsageError
from xqr_bench.core.types import STRICT
from xqr_bench.measure.certainty import FigureName, figures_of, variant_metrics, variant_values
from xqr_bench.measure.differences import compare_pairs
from xqr_bench.measure.linear import LEVEL, joined, linearised_difference, question_bounds
from xqr_bench.measure.metrics.per_query import PerQuery
from xqr_bench.measure.paired import Pair, PairedResult, paired
from xqr_bench.measure.panel import Contrasts, Panel, Units, sampling_units, shared_units
from xqr_bench.measure.resampling import bootstrap
from xqr_bench.measure.scores import Group
from xqr_bench.record import Record, load_record, relevance_ranks, unrepresented_languages

# Records read for a comparison: grouped by task, named, and refused where they cannot be compared.


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


# What the comparisons of one task are made from.


def names_of(contrasts: Contrasts) -> list[FigureName]:
    """The labels of figures made by `figures_of`."""
    return [name_of(label) for label in contrasts.labels]


def name_of(label: object) -> FigureName:
    """A label made by `figures_of`."""
    if not isinstance(label, FigureName):
        raise TypeError(f"{label!r} is no FigureName")
    return label


@dataclass(frozen=True)
class Material:
    """What the comparisons of one task are made from.

    Attributes:
        task: its name.
        metrics: those that all records hold.
        sides: the records.
        values: of each record, setting -> metric -> per-query values.
        units: questions and articles.
        groups: the language groups that all records define alike.
        seed: every test draws anew from it, so that no figure depends on what else is asked for.
        resamples: B of the tests.
        relevance: the rule of relevance of the values.
    """

    task: str
    metrics: tuple[str, ...]
    sides: tuple[Side, ...]
    values: tuple[Mapping[str, Mapping[str, PerQuery]], ...]
    units: Units
    groups: Mapping[str, Group]
    seed: int
    resamples: int
    relevance: str = STRICT

    @property
    def generator(self) -> np.random.Generator:
        """A fresh generator at the seed."""
        return np.random.Generator(np.random.PCG64(self.seed))

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """Indices of the records of each pair: every later one against every earlier one."""
        return list(combinations(range(len(self.sides)), 2))

    def compared(self, cells: Cells, *, together: bool = False) -> list[tuple[int, int, PairedResult]]:
        """The chosen figures of every pair of records (a, b); the figures of a pair are tested together.

        With `together`, max-T adjusts over those of all pairs.

        Questions are resampled once for all records: the resampled difference of two is that of their resampled
        figures.
        """
        sides = [self.figures(index, cells) for index in range(len(self.sides))]
        every = [figure for side in sides for figure in side.values()]
        if not every:
            return []
        # the stream that `paired` takes for its intervals
        drawn = bootstrap(every, self.generator.spawn(3)[2])
        values = iter(drawn.values)
        replicates = [{name: next(values) for name in side} for side in sides]
        joint = compare_pairs(sides, self.units, self.generator, self.resamples) if together else []
        result = []
        for a, b in self.pairs:
            names = [name for name in sides[a] if name in sides[b]]
            if not names:
                continue
            pairs = [Pair(sides[a][name][0], sides[b][name][0], sides[a][name][1]) for name in names]
            resampled = np.hstack([replicates[b][name] - replicates[a][name] for name in names])
            if together:
                found = [one for first, second, one in joint if (first, second) == (a, b)]
                linearised = joined([linearised_difference(one.a, one.b, one.contrasts, self.units) for one in pairs])
            else:
                tested = paired(pairs, self.units, self.generator, resamples=self.resamples, bootstrap_resamples=0)
                found, linearised = list(tested), tested.linearised
            intervals = question_bounds(resampled, linearised, LEVEL, drawn.redrawn)
            result += [(a, b, replace(one, interval=bounds)) for one, bounds in zip(found, intervals, strict=True)]
        return result

    def figures(self, side: int, cells: Cells) -> dict[tuple[str, str], tuple[Panel, Contrasts]]:
        """(setting, metric) -> the chosen figures of one record that are defined."""
        found = {}
        for panel, contrasts in figures_of(
            self.values[side],
            self.units,
            self.groups,
            parts=cells.parts,
            metrics=cells.metrics,
            settings=cells.settings,
        ):
            names = names_of(contrasts)
            # an undefined figure would spoil the joint tests of all others
            defined = np.isfinite(contrasts.apply(panel.estimate))
            chosen = [index for index, name in enumerate(names) if cells.holds(name) and defined[index]]
            if chosen:
                found[names[0].setting, names[0].metric] = (panel, contrasts.select(chosen))
        return found


def gather_values(records: TaskRecords, seed: int, resamples: int, relevance: str = STRICT) -> Material:
    """Compute the per-query values of all metrics that the records share under a rule of relevance."""
    first = records.sides[0].record.task
    metrics = tuple(name for name in first.metrics if all(name in side.record.task.metrics for side in records.sides))
    groups = {
        name: group
        for name, group in first.groups.items()
        if all(side.record.task.groups.get(name) == group for side in records.sides)
    }
    metrics = tuple(variant_metrics(relevance, metrics))
    values = tuple(
        variant_values(relevance, relevance_ranks(side.record, relevance), metrics, first.settings)
        for side in records.sides
    )
    return Material(records.task, metrics, records.sides, values, records.units, groups, seed, resamples, relevance)


# What a reader must know of the records before their differences: what was done to vectors, which languages count.


def reading_notes(sides: Sequence[Side]) -> list[str]:
    """Notes on records of one task: transforms, where any has one, and languages that an encoder does not represent."""
    notes = []
    if any(side.record.transform is not None for side in sides):
        notes.append(f"transforms of the vectors: {'; '.join(_transform(side) for side in sides)}")
    for side in sides:
        flagged = unrepresented_languages(side.record)
        if flagged:
            notes.append(
                f"{side.label}: fewer than 95% distinct query vectors in {', '.join(flagged)}: the figures of "
                f"{'this language' if len(flagged) == 1 else 'these languages'} say little about it"
            )
    return notes


def _transform(side: Side) -> str:
    found = side.record.transform
    if found is None:
        return f"{side.label} none"
    return f"{side.label} {found.label}" + (" (transductive)" if found.transductive else "")
