"""Records -> comparisons: which differences between records are real, how large they are, and what could be found.

compare(paths, Choice(metrics=("recall@10",)))   one `TaskComparison` per task
pair_maps(paths, "map")                          a difference in every language pair, for the heat map
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from xqr_bench.analysis.choice import (
    ALL,
    CONFIRMATORY,
    Cells,
    Choice,
    Comparison,
    Detectable,
    Display,
    Figure,
    RecordLabel,
    TaskComparison,
    WorstLanguage,
    cells_of,
    check_names,
)
from xqr_bench.analysis.material import Material, Side, TaskRecords, gather, gather_values, name_of, reading_notes
from xqr_bench.core.errors import RecordError, UnknownNameError, UsageError
from xqr_bench.core.types import CROSS_LINGUAL, MONOLINGUAL, MULTILINGUAL, STRICT, FloatArray
from xqr_bench.measure.certainty import (
    GAP,
    MACRO,
    FigureName,
    figures_of,
    interval_figures,
    language_spreads,
    to_interval,
)
from xqr_bench.measure.differences import NOT_SIGNIFICANT, PairTest, compare_many, confirm, verdict
from xqr_bench.measure.linear import detectable_differences, joined, linearise
from xqr_bench.measure.metrics import parse_metric
from xqr_bench.measure.resampling import RESAMPLES, benjamini_hochberg
from xqr_bench.measure.tukey import Tukey, compact_letters
from xqr_bench.record import TaskInfo

# What is said beside the tests: letters, groups, worst languages, and what the benchmark can detect.


def display(material: Material, setting: str, test: Tukey, comparisons: Sequence[Comparison]) -> Display:
    """Compact letters of one setting, best record first.

    Two records differ where both levels say so: the adjusted p-values by question and by article.
    """
    labels = [side.label for side in material.sides]
    p = np.ones(test.p.shape)
    adjustment = ""
    for found in comparisons:
        if found.setting == setting:
            a, b = labels.index(found.a), labels.index(found.b)
            p[a, b] = p[b, a] = max(found.p_adjusted, found.p_article_adjusted)
            adjustment = found.adjustment
    letters = compact_letters(p, test.means)
    order = sorted(range(len(labels)), key=lambda index: -test.means[index])
    return Display(
        task=material.task,
        setting=setting,
        metric=CONFIRMATORY,
        adjustment=adjustment,
        records=tuple(labels[index] for index in order),
        values=tuple(float(test.means[index]) for index in order),
        letters=tuple(letters[index] for index in order),
    )


def group_figures(material: Material, cells: Cells) -> list[Figure]:
    """The chosen group means and gaps of each record, with intervals."""
    result = []
    for index, side in enumerate(material.sides):
        figures = list(material.figures(index, cells).values())
        found = interval_figures(figures, material.units, material.generator)
        for panel, contrasts in figures:
            for label, value in zip(contrasts.labels, contrasts.apply(panel.estimate), strict=True):
                name = name_of(label)
                if name.part not in ("by_group", GAP):
                    continue
                result.append(
                    Figure(
                        record=side.label,
                        setting=name.setting,
                        metric=name.metric,
                        scope=name.part,
                        key=name.key,
                        value=float(value),
                        interval=found[name].interval,
                        article_interval=found[name].article_interval,
                    )
                )
    return result


def worst_languages(material: Material, cells: Cells) -> list[WorstLanguage]:
    """Worst language and spread of each record."""
    result = []
    for side, values in zip(material.sides, material.values, strict=True):
        spreads = language_spreads(
            values, material.units, material.generator, metrics=cells.metrics, settings=cells.settings
        )
        result += [
            WorstLanguage(
                task=material.task,
                record=side.label,
                setting=setting,
                metric=metric,
                worst=found.worst,
                values=found.values,
                worst_share=found.worst_share,
                spread=found.spread,
                deviation=found.deviation,
            )
            for (setting, metric), found in spreads.items()
            if len(found.values) > 1
        ]
    return result


def power(material: Material, metrics: Sequence[str]) -> list[Detectable]:
    """Smallest detectable difference of each macro average, from the spread of each pair's differences."""
    names, sides = [], []
    for values in material.values:
        found = figures_of(values, material.units, parts=(MACRO,), metrics=metrics)
        if not found:
            return []
        names.append([name_of(contrasts.labels[0]) for _, contrasts in found])
        sides.append(joined([linearise(panel, contrasts, material.units) for panel, contrasts in found]))
    result = []
    for a, b in material.pairs:
        if names[a] != names[b]:  # a figure that only one of them has
            continue
        # what a question adds to a difference is the difference of what it adds to the two
        difference = replace(
            sides[a],
            estimate=sides[b].estimate - sides[a].estimate,
            deviations=sides[b].deviations - sides[a].deviations,
        )
        for name, least in zip(names[a], detectable_differences(difference), strict=True):
            result.append(
                Detectable(
                    task=material.task,
                    a=material.sides[a].label,
                    b=material.sides[b].label,
                    setting=name.setting,
                    metric=name.metric,
                    question=least.question,
                    article=least.article,
                    power=least.power,
                    alpha=least.alpha,
                )
            )
    return result


# Differences of two records: which figures, their tests, and p-values adjusted over the family they stand in.

CONFIRMATORY_FAMILY = "confirmatory"
EXPLORATORY_FAMILY = "exploratory"
MAX_T = "max-t"
BH = "bh"
ADJUSTMENTS = (MAX_T, BH)
LEAST = sys.float_info.min  # what a p of the t test is where it underflows: a p is never 0
NOT_DISTINGUISHABLE = "not distinguishable"


def confirmatory(material: Material, settings: Sequence[str]) -> tuple[list[Comparison], dict[str, Tukey]]:
    """MAP in each setting: Holm over the settings; of more than two records max-T over pairs and settings.

    Returns:
        the comparisons, and with more than two records Tukey's p-values of each setting.
    """
    cells = Cells((CONFIRMATORY,), frozenset([CONFIRMATORY]), tuple(settings), frozenset(), frozenset(), ())
    many = len(material.sides) > 2
    of_setting: dict[str, Tukey] = {}
    if many:
        tests = compare_many(
            material.values, material.units, generator=material.generator, parts=(MACRO,), metrics=[CONFIRMATORY],
            settings=list(settings), resamples=material.resamples,
        )  # fmt: skip
        of_setting = {name_of(test.label).setting: test for test in tests}
    tested = confirm(material.compared(cells, together=many))
    n_settings = len({name_of(one.result.label).setting for one in tested})
    over = f"{n_settings} setting{'s' * (n_settings != 1)}"
    adjustment = f"step-down max-T over {len(material.pairs)} pairs in {over}" if many else f"Holm over {over}"
    found = []
    for one in tested:
        tukey = of_setting.get(name_of(one.result.label).setting)
        more = (
            {"p_tukey": float(tukey.p[one.a, one.b]), "p_article_tukey": float(tukey.p_article[one.a, one.b])}
            if tukey
            else {}
        )
        found.append(_comparison(material, one, CONFIRMATORY_FAMILY, adjustment, **more))
    return found, of_setting


def exploratory(material: Material, cells: Cells, adjust: str) -> list[Comparison]:
    """The chosen cells: max-T over those of two records, or Benjamini & Hochberg over those of all pairs."""
    found = material.compared(cells)
    if not found:
        return []
    cells_text = f"{len(found)} cell{'s' * (len(found) != 1)}"
    p: FloatArray
    if adjust == MAX_T:
        p = np.array([result.p_max_t for _, _, result in found])
        p_article = np.array([result.p_article_max_t for _, _, result in found])
        adjustment = f"max-T over {cells_text}"
    else:
        p = benjamini_hochberg([result.p for _, _, result in found])
        p_article = benjamini_hochberg([result.p_article for _, _, result in found])
        adjustment = f"Benjamini-Hochberg over {cells_text}"
    return [
        _comparison(material, PairTest(*one, float(p[i]), float(p_article[i])), EXPLORATORY_FAMILY, adjustment)
        for i, one in enumerate(found)
    ]


def verdict_of(p_adjusted: float, p_article: float) -> str:
    """The words for it: significant, question level only, or not distinguishable."""
    word = verdict(p_adjusted, p_article)
    return NOT_DISTINGUISHABLE if word == NOT_SIGNIFICANT else word


def _comparison(material: Material, test: PairTest, family: str, adjustment: str, **more: float) -> Comparison:
    result = test.result
    name = name_of(result.label)
    return Comparison(
        task=material.task,
        a=material.sides[test.a].label,
        b=material.sides[test.b].label,
        setting=name.setting,
        metric=name.metric,
        scope=name.part,
        key=name.key,
        family=family,
        value_a=result.a,
        value_b=result.b,
        difference=result.difference,
        interval=to_interval(result.interval),
        article_interval=to_interval(result.article_interval),
        effect_size=result.effect_size,
        p=result.p,
        p_t=max(result.p_t, LEAST),
        p_article=result.p_article,
        p_article_t=max(result.p_article_t, LEAST),
        p_adjusted=test.p_adjusted,
        p_article_adjusted=test.p_article_adjusted,
        adjustment=adjustment,
        verdict=verdict_of(test.p_adjusted, test.p_article_adjusted),
        n_questions=result.n_questions,
        n_articles=result.n_articles,
        seed=material.seed,
        resamples=result.resamples,
        **more,
    )


# compare(): records of one or more tasks -> everything that can be said about their differences.

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


# Every language pair of two records, adjusted over the map.


@dataclass(frozen=True)
class PairMap:
    """A difference for each query and candidate language.

    Attributes:
        task: title of the task.
        a, b: labels of the records.
        metric: its name.
        relevance: the rule of relevance of both.
        languages: in the order of the task.
        cells: (query language, candidate language) -> comparison, adjusted by max-T over all of them.
    """

    task: str
    a: str
    b: str
    metric: str
    relevance: str
    languages: tuple[str, ...]
    cells: dict[tuple[str, str], Comparison]


@dataclass(frozen=True)
class _PairCells(Cells):
    """Each language pair once: the monolingual setting is the diagonal."""

    @property
    def parts(self) -> tuple[str, ...]:
        return ("by_query_language", "by_language_pair")

    def holds(self, name: FigureName) -> bool:
        part = "by_query_language" if name.setting == MONOLINGUAL else "by_language_pair"
        return name.part == part and name.setting in self.settings


def pair_maps(
    paths: Sequence[Path | str],
    metric: str,
    *,
    relevance: str = STRICT,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> list[PairMap]:
    """Compare two records of each task in every language pair.

    Args:
        paths: two records of each task.
        metric: a score, or `language_position`.
        relevance: the rule of relevance (docs/relevance.md).
        seed, resamples: as for `compare`.

    Raises:
        UsageError: a task has not exactly two records, or the metric has no value per language pair.
    """
    check_numbers(seed, resamples)
    found = parse_metric(metric)
    tasks = gather(paths)
    choice = Choice(metrics=(metric,), relevance=relevance)
    check_names(choice, [side.record.task for task in tasks for side in task.sides])
    settings = (MULTILINGUAL,) if found.per_row else (MONOLINGUAL, CROSS_LINGUAL)
    result = []
    for records in tasks:
        if len(records.sides) != 2:
            raise UsageError(
                f"a map of differences needs two records of {records.task}",
                found=str(len(records.sides)),
                remedy="name two",
            )
        material = gather_values(records, seed, resamples, relevance)
        cells = _PairCells((found.name,), frozenset(), settings, frozenset(), frozenset(), ())
        comparisons = exploratory(material, cells, MAX_T)
        if not comparisons:
            raise UsageError(f"{found.name} has no value for a language pair", remedy="choose another metric, or kind")
        info = records.sides[0].record.task
        result.append(
            PairMap(
                info.title,
                material.sides[0].label,
                material.sides[1].label,
                found.name,
                relevance,
                tuple(info.languages),
                {_pair(one): one for one in comparisons},
            )
        )
    return result


def _pair(comparison: Comparison) -> tuple[str, str]:
    query, _, candidate = comparison.key.partition(">")
    return query, candidate or query
