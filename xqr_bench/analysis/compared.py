"""Records read for a comparison: grouped by task, refused where they cannot be compared, and what to know of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xqr_bench.analysis.choice import Cells
from xqr_bench.core.errors import UsageError
from xqr_bench.core.types import STRICT
from xqr_bench.measure.certainty import AllValues, Figures, figures_of
from xqr_bench.measure.paired import PairedResult, compare_pairs
from xqr_bench.measure.panel import Units, sampling_units, shared_units
from xqr_bench.measure.scores import Group, all_per_query
from xqr_bench.rank.rules import variant_metrics
from xqr_bench.record import Record, Result, TaskInfo, load_record, record_files, unrepresented_languages
from xqr_bench.record.describe import coverage, seen_groups

# Records read for a comparison: grouped by task, named, and refused where they cannot be compared.


@dataclass(frozen=True)
class Side:
    """A record with the label that the output gives it."""

    label: str
    path: Path
    record: Result


def gather(paths: Sequence[Path | str | Record]) -> list[tuple[Side, ...]]:
    """Read records with their ranks: those of each task, in the order of first appearance.

    Args:
        paths: files of records, folders of them, or records with their ranks (what `evaluate` returns).

    Raises:
        UsageError: a record is alone on its task, named twice, or made from other data or by another protocol than
            the others of its task.
        RecordError: a record or its ranks cannot be read.
    """
    chosen: list[tuple[Path, Record | None]] = []
    for number, one in enumerate(paths, start=1):
        if isinstance(one, Record):
            chosen.append((_place(one, number), one))
        else:
            chosen += [(path, None) for path in record_files([one])]
    if not chosen:
        raise UsageError("no record is named", remedy="name the JSON files of at least two records of a task")
    places = [path.resolve() for path, _ in chosen]
    for (path, _), place in zip(chosen, places, strict=True):
        if places.count(place) > 1:
            raise UsageError(f"the record {path} is named twice", remedy="name each record once")
    by_task: dict[str, dict[Path, Record]] = {}
    for path, given in chosen:
        record = given or load_record(path)
        by_task.setdefault(record.task.name, {})[path] = record
    alone = {task: next(iter(records)) for task, records in by_task.items() if len(records) == 1}
    if alone:
        raise UsageError(
            "these records are of different tasks"
            if len(alone) == len(by_task) > 1
            else f"one record of {next(iter(alone))} cannot be compared",
            found=", ".join(f"{path} ({task})" for task, path in alone.items()),
            remedy="name at least two records of each task",
        )
    for records in by_task.values():
        _refuse_unlike(records)
    # the ranks last: whatever cannot be compared is refused before they are read
    return [_with_ranks(records) for records in by_task.values()]


def _place(record: Record, number: int) -> Path:
    """The file of a record that is given itself, or what messages call it.

    Raises:
        RecordError: it comes without ranks, and from no file that has some beside it.
    """
    there = record.place if isinstance(record, Result) else record.read_from.path
    return there or record.with_ranks().place or Path(f"record {number}")


def _refuse_unlike(records: dict[Path, Record]) -> None:
    (first_path, first), *others = records.items()
    for number, (path, record) in enumerate(others, start=1):
        for earlier, other in list(records.items())[:number]:
            if other.model_dump() == record.model_dump():  # wherever they lie
                for place in (earlier, path):  # damaged ranks are the worse fault, and told first
                    if place.is_file():
                        load_record(place, ranks=True)
                raise UsageError(f"{earlier} and {path} are the same record", remedy="name each record once")
        differing = unlike(first, record)
        if differing:
            raise UsageError(
                f"{first_path} and {path} cannot be compared: they differ in {', '.join(differing)}",
                found="; ".join(f"{name}: {a} and {b}" for name, (a, b) in differing.items()),
                remedy="compare records of the same task data, pool and protocol; evaluate one of them again",
            )


def unlike(a: Record, b: Record) -> dict[str, tuple[str, ...]]:
    """What keeps two records of one task from being compared: name -> how it stands in a and in b."""
    differing: dict[str, tuple[str, ...]] = {}
    if a.task.languages != b.task.languages:
        differing["languages"] = (", ".join(a.task.languages), ", ".join(b.task.languages))
    elif a.task.files != b.task.files:
        names = {*a.task.files, *b.task.files}
        changed = sorted(name for name in names if a.task.files.get(name) != b.task.files.get(name))
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        differing["data files"] = tuple(
            ", ".join(
                f"{name} {side.task.files[name][:12]}…" if name in side.task.files else f"{name} is not among them"
                for name in changed[:3]
            )
            + more
            for side in (a, b)
        )
    first, second = _protocol(a), _protocol(b)
    differing |= {name: (first[name], second[name]) for name in first if first[name] != second[name]}
    if not differing and a.task.counts != b.task.counts:
        language = next(code for code in a.task.counts if a.task.counts[code] != b.task.counts.get(code))
        differing["pool"] = tuple(
            f"{language} {size.queries:,} queries, {size.candidates:,} candidates" if size else f"no {language}"
            for size in (side.task.counts.get(language) for side in (a, b))
        )
    return differing


def _protocol(record: Record) -> dict[str, str]:
    """What must be the same in records that are compared, in words."""
    task, depth = record.task, record.ranks_file.depth
    context = record.model.identity.candidate_context
    return {
        "segmenter": task.segmenter or "none",
        "parts left out": ", ".join(f"{key} {value}" for key, value in task.partial.items()) or "nothing",
        "being a demonstration": "yes" if task.demonstration else "no",
        "questions": f"{task.n_questions:,}",
        "articles": f"{task.n_articles:,}",
        "settings": ", ".join(task.settings),
        "depth": "full" if depth is None else f"cut at {depth:,}",
        "candidate context": "none" if context is None else repr(context),
    }


def _with_ranks(records: Mapping[Path, Record]) -> tuple[Side, ...]:
    paths = list(records)
    loaded = [one.with_ranks() for one in records.values()]
    names = [record.model.name for record in loaded]
    first = loaded[0].ranks
    for path, record in zip(paths, loaded, strict=True):
        ranks = record.ranks
        if ranks.columns != first.columns or list(ranks.column_sizes) != list(first.column_sizes):
            raise UsageError(
                f"{paths[0]} and {path} cannot be compared: their ranks are of different pools",
                found=f"{int(first.column_sizes.sum()):,} and {int(ranks.column_sizes.sum()):,} candidates",
                remedy="compare records of the same task data",
            )
    return tuple(
        Side(name if names.count(name) == 1 else f"{name} #{names[: i + 1].count(name)}", path, record)
        for i, (name, path, record) in enumerate(zip(names, paths, loaded, strict=True))
    )


# What the comparisons of one task are made from.


@dataclass(frozen=True)
class Compared:
    """The records of one task with what their comparison is made from.

    Attributes:
        info: the task, as the first record has it, with the metrics that all records hold.
        sides: the records.
        values: of each record, setting -> metric -> per-query values.
        units: questions and articles.
        groups: the language groups that all records define alike, and that no model belies.
        left_out: why another group is not among them.
        seed: every test draws anew from it, so that no figure depends on what else is asked for.
        resamples: B of the tests.
        relevance: the rule of relevance of the values.
    """

    info: TaskInfo
    sides: tuple[Side, ...]
    values: tuple[AllValues, ...]
    units: Units
    groups: Mapping[str, Group]
    left_out: Mapping[str, str]
    seed: int
    resamples: int
    relevance: str = STRICT

    @property
    def generator(self) -> np.random.Generator:
        """A fresh generator at the seed."""
        return np.random.Generator(np.random.PCG64(self.seed))

    def test(self, cells: Cells, *, together: bool = False) -> list[tuple[int, int, PairedResult]]:
        """The chosen figures of every pair of records (a, b); the figures of a pair are tested together.

        With `together`, max-T adjusts over those of all pairs.
        """
        return compare_pairs(self.figures(cells), self.units, self.seed, self.resamples, together=together)

    def figures(self, cells: Cells) -> list[Figures]:
        """The chosen figures of each record that are defined."""
        sides = []
        limits: dict[str, Any] = {"parts": cells.parts, "metrics": cells.metrics, "settings": cells.settings}
        for values in self.values:
            chosen: Figures = {}
            for name, (panel, contrasts) in figures_of(values, self.units, self.groups, **limits).items():
                # an undefined figure would spoil the joint tests of all others
                defined = np.isfinite(contrasts.apply(panel.estimate))
                rows = [i for i, label in enumerate(contrasts.labels) if cells.holds(label) and defined[i]]
                if rows:
                    chosen[name] = (panel, contrasts.select(rows))
            sides.append(chosen)
        return sides


MOST_RELEVANTS = 2**22
"""Of records that are compared: their values take some kilobyte a relevant."""


def with_values(sides: tuple[Side, ...], seed: int, resamples: int, relevance: str = STRICT) -> Compared:
    """Compute the per-query values of all metrics that the records of a task have under a rule of relevance."""
    infos = [side.record.task for side in sides]
    first = infos[0]
    common = [name for name in first.metrics if all(name in info.metrics for info in infos)]
    left_out = {
        name: "the records do not define it alike"
        for name, group in first.groups.items()
        if any(info.groups.get(name) != group for info in infos)
    }
    for side in sides:
        for name, trained in seen_groups(side.record).items():
            left_out[name] = f"the record of {side.label} says that it was trained on {', '.join(trained)}"
    groups = {name: group for name, group in first.groups.items() if name not in left_out}
    metrics = variant_metrics(relevance, common)
    ranks = [side.record.ranks_under(relevance) for side in sides]
    if any(side.record.short for side in sides):  # its ranks may be of a sample of the questions
        fewest = set(min(ranks, key=lambda of_side: of_side.n_queries).question_ids)
        ranks = [of_side.of_questions(fewest) for of_side in ranks]
    if (most := max(of_side.n_relevants for of_side in ranks)) > MOST_RELEVANTS:
        raise UsageError(
            f"a comparison holds the values of all relevants at once, and records of {first.name} have too many",
            found=f"{most:,} relevants, more than {MOST_RELEVANTS:,}",
            remedy="evaluate and compare fewer languages (--languages)",
        )
    values = tuple(all_per_query(of_side, metrics, first.settings) for of_side in ranks)
    units = shared_units(map(sampling_units, ranks))
    info = first.model_copy(update={"metrics": list(metrics)})
    return Compared(info, sides, values, units, groups, left_out, seed, resamples, relevance)


# What a reader must know of the records before their differences: what was done to vectors, which languages count.


def reading_notes(sides: Sequence[Side]) -> list[str]:
    """Notes on records of one task: transforms, languages not represented, means over less than all, the same ranks."""
    notes = []
    if any(side.record.transform is not None for side in sides):
        notes.append(f"transforms of the vectors: {'; '.join(_transform(side) for side in sides)}")
    if any(side.record.quantization is not None for side in sides):
        kinds = (f"{one.label} {q.label if (q := one.record.quantization) is not None else 'float32'}" for one in sides)
        notes.append(f"quantised vectors: {'; '.join(kinds)}")
    for side in sides:
        flagged = unrepresented_languages(side.record)
        if flagged:
            notes.append(
                f"{side.label}: fewer than 95% distinct query vectors in {', '.join(flagged)}: the figures of "
                f"{'this language' if len(flagged) == 1 else 'these languages'} say little about it"
            )
    of_all = [line for line in coverage(sides[0].record) if all(line in coverage(side.record) for side in sides)]
    notes += of_all
    for side in sides:
        notes += [f"{side.label}: {line}" for line in coverage(side.record) if line not in of_all]
    first: dict[str, str] = {}
    for side in sides:
        same = first.setdefault(side.record.ranks_file.digest, side.label)
        if same != side.label:
            notes.append(f"{same} and {side.label} have the same ranks: nothing can differ")
    return notes


def _transform(side: Side) -> str:
    transform = side.record.transform
    if transform is None:
        return f"{side.label} none"
    return f"{side.label} {transform.label}" + (" (transductive)" if transform.transductive else "")
