"""compare(): records of one or more tasks -> everything that can be said about their differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from xqr_bench.certainty import GAP, MACRO
from xqr_bench.comparison.choice import ALL, CONFIRMATORY, Choice, cells_of, check_names
from xqr_bench.comparison.describe import display, group_figures, power, worst_languages
from xqr_bench.comparison.differences import (
    ADJUSTMENTS,
    BH,
    MAX_T,
    confirmatory,
    exploratory,
)
from xqr_bench.comparison.gather import Side, TaskRecords, gather
from xqr_bench.comparison.material import Material, gather_values
from xqr_bench.comparison.model import Comparison, RecordLabel, TaskComparison
from xqr_bench.comparison.reading import reading_notes
from xqr_bench.errors import RecordError, UnknownNameError, UsageError
from xqr_bench.metrics import parse_metric
from xqr_bench.record import TaskInfo
from xqr_bench.stats.signs import RESAMPLES
from xqr_bench.stats.tukey import Tukey
from xqr_bench.types import STRICT

LEAST_RESAMPLES = 100


def compare(
    paths: Sequence[Path | str],
    choice: Choice | None = None,
    *,
    adjust: str | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> list[TaskComparison]:
    """Compare the records in these files, task by task.

    Args:
        paths: records with their ranks beside them; at least two of each task.
        choice: exploratory cells.
        adjust: "max-t" or "bh" for the exploratory cells; default max-T for two records, BH for more.
        seed: of every draw; the same seed gives the same figures.
        resamples: B of the randomisation tests.

    Returns:
        one comparison per task, in the order of the records.

    Raises:
        UsageError: the records cannot be compared, or a name is not known.
        RecordError: a record or its ranks cannot be read, or its scores do not follow from its ranks.
    """
    choice = choice or Choice()
    if adjust is not None and adjust not in ADJUSTMENTS:
        raise UnknownNameError("adjustment", adjust, ADJUSTMENTS)
    check_numbers(seed, resamples)
    tasks = gather(paths)
    check_names(choice, [side.record.task for task in tasks for side in task.sides])
    return [_compare_task(task, choice, adjust, seed, resamples) for task in tasks]


def check_numbers(seed: int, resamples: int) -> None:
    """Raise UsageError for a seed or a number of resamples that cannot be meant."""
    if seed < 0:
        raise UsageError(f"the seed is {seed}", remedy="give a whole number of at least 0")
    if resamples < LEAST_RESAMPLES:
        raise UsageError(
            f"{resamples} resamples are too few to tell a small p", remedy=f"give at least {LEAST_RESAMPLES}"
        )


def _compare_task(
    records: TaskRecords, choice: Choice, adjust: str | None, seed: int, resamples: int
) -> TaskComparison:
    first = records.sides[0].record.task
    many = len(records.sides) > 2
    if adjust == MAX_T and many:
        raise UsageError(
            f"max-T adjusts over the cells of two records, and {len(records.sides)} of {first.name} are named",
            remedy="use --adjust bh, or name two records",
        )
    material = gather_values(records, seed, resamples, choice.relevance)
    info = first.model_copy(update={"metrics": list(material.metrics)})
    cells = cells_of(choice, info, material.groups)
    notes = list(cells.notes)

    main: list[Comparison] = []
    tukey: dict[str, Tukey] = {}
    if CONFIRMATORY in material.metrics:
        main, tukey = confirmatory(material, info.settings)
    else:
        notes.append(f"no confirmatory family: not every record holds {CONFIRMATORY}")
    # with more than two records the groups are shown for each record, and tested only when asked for
    tested = choice.explicit or not many
    more = exploratory(material, cells, adjust or (BH if many else MAX_T)) if tested else []
    if not main and not more:
        raise UsageError(f"{info.name}: nothing is left to compare", found="; ".join(notes) or None)
    if choice.explicit and not more:
        notes.append("no cell beside the confirmatory ones fits what was asked for")
    notes += _undefined(material, cells.metrics, cells.settings)
    _check_stored(material, [*main, *more])
    return TaskComparison(
        task=info.name,
        title=info.title,
        records=tuple(_label(side) for side in records.sides),
        n_questions=records.units.n_questions,
        n_articles=records.units.n_articles,
        relevance=choice.relevance,
        demonstration=info.demonstration,
        partial=dict(info.partial),
        comparisons=(*main, *more),
        displays=tuple(display(material, setting, test, main) for setting, test in tukey.items()),
        groups=() if tested else tuple(group_figures(material, cells)),
        languages=tuple(worst_languages(material, cells)),
        power=tuple(power(material, _power_metrics(choice, info))),
        notes=(*notes, *reading_notes(records.sides), *_same_ranks(records.sides)),
        seed=seed,
        resamples=resamples,
    )


def _label(side: Side) -> RecordLabel:
    return RecordLabel(
        label=side.label,
        model=side.record.model.name,
        path=str(side.path),
        ranks_digest=side.record.ranks_file.digest,
    )


def _same_ranks(sides: Sequence[Side]) -> list[str]:
    """A word where two records have the very same ranks."""
    first: dict[str, str] = {}
    notes = []
    for side in sides:
        digest = side.record.ranks_file.digest
        if digest in first:
            notes.append(f"{first[digest]} and {side.label} have the same ranks: nothing can differ")
        first.setdefault(digest, side.label)
    return notes


def _undefined(material: Material, metrics: Sequence[str], settings: Sequence[str]) -> list[str]:
    """Why a chosen metric is not among the cells."""
    reasons = {
        f"{metric} is left out: {found.undefined_reason}"
        for values in material.values
        for setting in settings
        for metric in metrics
        if (found := values[setting].get(metric)) is not None and found.undefined_reason
    }
    return sorted(reasons)


def _check_stored(material: Material, comparisons: Sequence[Comparison]) -> None:
    """Raise RecordError where a compared figure is not the one that the record holds."""
    sides = {side.label: side for side in material.sides}
    for found in comparisons:
        for label, value in ((found.a, found.value_a), (found.b, found.value_b)):
            scores = sides[label].record.scores_under(material.relevance).get(found.setting)
            left_out = material.relevance != STRICT and found.scope == "by_language_pair"
            if scores is None or found.scope == GAP or left_out:
                continue
            part = scores.macro if found.scope == MACRO else getattr(scores, found.scope).get(found.key, {})
            stored = part.get(found.metric)
            if stored is None or stored.value is None or not math.isclose(stored.value, value, rel_tol=1e-9):
                raise RecordError(
                    f"{sides[label].path}: {found.setting} {found.metric} {found.key}".rstrip()
                    + " does not follow from its ranks",
                    found=f"stored {stored.value if stored else None}, recomputed {value}",
                    remedy="see xqr-bench recompute",
                )


def _power_metrics(choice: Choice, info: TaskInfo) -> list[str]:
    """All scores of the records, and bias measures that were asked for."""
    asked = {parse_metric(name).name for name in choice.metrics if name != ALL}
    return [name for name in info.metrics if parse_metric(name).kind == "score" or name in asked]
