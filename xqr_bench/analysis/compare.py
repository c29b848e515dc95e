"""Records -> comparisons: which differences between records are real, how large they are, and what could be found.

compare(paths, Choice(metrics=("recall@10",)))   one `TaskComparison` per task
pair_maps(paths, "map")                          a difference in every language pair, for the heat map
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from xqr_bench.analysis.asked import Choice
from xqr_bench.analysis.choice import (
    ALL,
    Cells,
    Comparison,
    Detectable,
    Display,
    GroupFigure,
    RecordLabel,
    TaskComparison,
    WorstLanguage,
    cells_of,
    check_names,
)
from xqr_bench.analysis.compared import Compared, Side, TaskRecords, gather, reading_notes, with_values
from xqr_bench.core.errors import RecordError, UnknownNameError, UsageError
from xqr_bench.core.types import CROSS_LINGUAL, MAIN_METRIC, MONOLINGUAL, MULTILINGUAL, STRICT, FloatArray
from xqr_bench.measure.certainty import GAP, MACRO, FigureName, figures_of, interval_figures
from xqr_bench.measure.linear import ALPHA, POWER, detectable_differences, joined, linearise
from xqr_bench.measure.metrics import parse_metric
from xqr_bench.measure.paired import NOT_SIGNIFICANT, PairTest, confirm, verdict
from xqr_bench.measure.resampling import RESAMPLES, benjamini_hochberg, bootstrap
from xqr_bench.measure.tukey import Tukey, compact_letters, tukey_hsd
from xqr_bench.record import TaskInfo

# What is said beside the tests: letters, groups, worst languages, and what the benchmark can detect.


def display(compared: Compared, setting: str, test: Tukey, comparisons: Sequence[Comparison]) -> Display:
    """Compact letters of one setting, best record first.

    Two records differ where both levels say so: the adjusted p-values by question and by article.
    """
    labels = [side.label for side in compared.sides]
    p = np.ones(test.p.shape)
    here = [one for one in comparisons if one.setting == setting]
    for one in here:
        a, b = labels.index(one.a), labels.index(one.b)
        p[a, b] = p[b, a] = max(one.p_adjusted, one.p_article_adjusted)
    letters = compact_letters(p, test.means)
    order = sorted(range(len(labels)), key=lambda index: -test.means[index])
    return Display(
        task=compared.task,
        setting=setting,
        metric=MAIN_METRIC,
        adjustment=here[-1].adjustment if here else "",
        records=tuple(labels[index] for index in order),
        values=tuple(float(test.means[index]) for index in order),
        letters=tuple(letters[index] for index in order),
    )


def group_figures(compared: Compared, cells: Cells) -> list[GroupFigure]:
    """The chosen group means and gaps of each record, with intervals."""
    result = []
    for index, side in enumerate(compared.sides):
        figures = compared.figures(index, cells)
        intervals = interval_figures(figures, compared.units, compared.generator)
        for panel, contrasts in figures.values():
            for name, value in zip(contrasts.labels, contrasts.apply(panel.estimate).tolist(), strict=True):
                if name.part in ("by_group", GAP):
                    both = intervals[name]._asdict()
                    result.append(GroupFigure(record=side.label, **_placed(name), value=value, **both))
    return result


def _placed(name: FigureName) -> dict[str, Any]:
    return {"setting": name.setting, "metric": name.metric, "scope": name.part, "key": name.key}


def worst_languages(compared: Compared, cells: Cells) -> list[WorstLanguage]:
    """Worst query language and spread over query languages of each record, for the chosen scores."""
    metrics = [name for name in cells.metrics if parse_metric(name).kind == "score"]
    result = []
    for side, values in zip(compared.sides, compared.values, strict=True):
        figures = figures_of(
            values, compared.units, parts=["by_query_language"], metrics=metrics, settings=cells.settings
        )
        resampled = bootstrap(list(figures.values()), compared.generator).values if figures else ()
        for ((setting, metric), (panel, contrasts)), replicates in zip(figures.items(), resampled, strict=True):
            estimates = dict(zip((name.key for name in contrasts.labels), contrasts.apply(panel.estimate), strict=True))
            if len(estimates) > 1:
                spread = language_spread(estimates, replicates)
                result.append(
                    WorstLanguage(task=compared.task, record=side.label, setting=setting, metric=metric, **spread)
                )
    return result


def language_spread(estimates: Mapping[str, float], replicates: FloatArray) -> dict[str, Any]:
    """The fields of `WorstLanguage` that tell how a metric spreads over languages.

    No p-value: the worst of eleven estimates is chosen by looking, and there is no null it should be tested against.
    The shares say how firm the choice is. Noise adds to the spread: it is at least what chance makes of equal
    languages.

    Args:
        estimates: language -> value, higher is better.
        replicates: the same under resampled questions, `[resamples, languages]`.
    """
    values = np.array(list(estimates.values()))
    lowest = replicates == replicates.min(axis=1, keepdims=True)
    shares = (lowest / lowest.sum(axis=1, keepdims=True)).mean(axis=0)  # 1/t each where t languages tie
    return {
        "worst": list(estimates)[int(np.argmin(values))],
        "values": {name: float(value) for name, value in estimates.items()},
        "worst_share": dict(zip(estimates, shares.tolist(), strict=True)),
        "spread": float(values.max() - values.min()),
        "deviation": float(values.std()),
    }


def power(compared: Compared, metrics: Sequence[str]) -> list[Detectable]:
    """Smallest detectable difference of each macro average, from the spread of each pair's differences."""
    names, sides = [], []
    for values in compared.values:
        figures = figures_of(values, compared.units, parts=(MACRO,), metrics=metrics)
        if not figures:
            return []
        names.append(list(figures))
        sides.append(joined([linearise(panel, contrasts, compared.units) for panel, contrasts in figures.values()]))
    result = []
    for a, b in combinations(range(len(sides)), 2):
        if names[a] != names[b]:  # a figure that only one of them has
            continue
        # what a question adds to a difference is the difference of what it adds to the two
        difference = replace(
            sides[a],
            estimate=sides[b].estimate - sides[a].estimate,
            deviations=sides[b].deviations - sides[a].deviations,
        )
        for (setting, metric), (question, article) in zip(names[a], detectable_differences(difference), strict=True):
            result.append(
                Detectable(
                    task=compared.task,
                    a=compared.sides[a].label,
                    b=compared.sides[b].label,
                    setting=setting,
                    metric=metric,
                    question=question,
                    article=article,
                    power=POWER,
                    alpha=ALPHA,
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


def confirmatory(compared: Compared, settings: Sequence[str]) -> tuple[list[Comparison], dict[str, Tukey]]:
    """MAP in each setting: Holm over the settings; of more than two records max-T over pairs and settings.

    Returns:
        the comparisons, and with more than two records Tukey's p-values of each setting.
    """
    cells = Cells((MAIN_METRIC,), frozenset([MAIN_METRIC]), tuple(settings), frozenset(), frozenset(), ())
    many = len(compared.sides) > 2
    tukey: dict[str, Tukey] = {}
    if many:
        sides, generator = [compared.figures(index, cells) for index in range(len(compared.sides))], compared.generator
        for name, (_, contrasts) in sides[0].items():
            if all(name in side for side in sides):
                panels = [side[name][0] for side in sides]
                (tukey[name[0]],) = tukey_hsd(panels, contrasts, compared.units, generator, compared.resamples)
    tested = confirm(compared.test(cells, together=many))
    n_settings = len({one.result.label.setting for one in tested})
    over = f"{n_settings} setting{'s' * (n_settings != 1)}"
    adjustment = f"step-down max-T over {compared.n_pairs} pairs in {over}" if many else f"Holm over {over}"
    comparisons = []
    for one in tested:
        more = {}
        if (test := tukey.get(one.result.label.setting)) is not None:
            more = {"p_tukey": float(test.p[one.a, one.b]), "p_article_tukey": float(test.p_article[one.a, one.b])}
        comparisons.append(_comparison(compared, one, CONFIRMATORY_FAMILY, adjustment, **more))
    return comparisons, tukey


def exploratory(compared: Compared, cells: Cells, adjust: str) -> list[Comparison]:
    """The chosen cells: max-T over those of two records, or Benjamini & Hochberg over those of all pairs."""
    results = compared.test(cells)
    if not results:
        return []
    over = f"over {len(results)} cell{'s' * (len(results) != 1)}"
    if adjust == MAX_T:
        adjusted = [(one.p_max_t, one.p_article_max_t) for _, _, one in results]
        adjustment = f"max-T {over}"
    else:
        levels = ([getattr(one, name) for _, _, one in results] for name in ("p", "p_article"))
        adjusted = list(zip(*(benjamini_hochberg(level).tolist() for level in levels), strict=True))
        adjustment = f"Benjamini-Hochberg {over}"
    return [
        _comparison(compared, PairTest(*one, *p), EXPLORATORY_FAMILY, adjustment)
        for one, p in zip(results, adjusted, strict=True)
    ]


_SAME = ("difference", "interval", "article_interval", "effect_size", "p", "p_article", "n_questions", "n_articles")


def _comparison(compared: Compared, test: PairTest, family: str, adjustment: str, **more: Any) -> Comparison:
    result, word = test.result, verdict(test.p_adjusted, test.p_article_adjusted)
    return Comparison(
        task=compared.task,
        a=compared.sides[test.a].label,
        b=compared.sides[test.b].label,
        **_placed(result.label),
        family=family,
        value_a=result.a,
        value_b=result.b,
        p_t=max(result.p_t, LEAST),
        p_article_t=max(result.p_article_t, LEAST),
        p_adjusted=test.p_adjusted,
        p_article_adjusted=test.p_article_adjusted,
        adjustment=adjustment,
        verdict=NOT_DISTINGUISHABLE if word == NOT_SIGNIFICANT else word,
        seed=compared.seed,
        resamples=result.resamples,
        **{name: getattr(result, name) for name in _SAME},
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
    compared = with_values(records, seed, resamples, choice.relevance)
    info = first.model_copy(update={"metrics": list(compared.metrics)})
    cells = cells_of(choice, info, compared.groups)
    notes = list(cells.notes)

    main: list[Comparison] = []
    tukey: dict[str, Tukey] = {}
    if MAIN_METRIC in compared.metrics:
        main, tukey = confirmatory(compared, info.settings)
    else:
        notes.append(f"no confirmatory family: not every record holds {MAIN_METRIC}")
    # with more than two records the groups are shown for each record, and tested only when asked for
    tested = choice.explicit or not many
    more = exploratory(compared, cells, adjust or (BH if many else MAX_T)) if tested else []
    if not main and not more:
        raise UsageError(f"{info.name}: nothing is left to compare", found="; ".join(notes) or None)
    if choice.explicit and not more:
        notes.append("no cell beside the confirmatory ones fits what was asked for")
    notes += _undefined(compared, cells.metrics, cells.settings)
    _check_stored(compared, [*main, *more])
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
        displays=tuple(display(compared, setting, test, main) for setting, test in tukey.items()),
        groups=() if tested else tuple(group_figures(compared, cells)),
        languages=tuple(worst_languages(compared, cells)),
        power=tuple(power(compared, _power_metrics(choice, info))),
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


def _undefined(compared: Compared, metrics: Sequence[str], settings: Sequence[str]) -> list[str]:
    """Why a chosen metric is not among the cells."""
    reasons = {
        f"{metric} is left out: {found.undefined_reason}"
        for values in compared.values
        for setting in settings
        for metric in metrics
        if (found := values[setting].get(metric)) is not None and found.undefined_reason
    }
    return sorted(reasons)


def _check_stored(compared: Compared, comparisons: Sequence[Comparison]) -> None:
    """Raise RecordError where a compared figure is not the one that the record holds."""
    sides = {side.label: side for side in compared.sides}
    for found in comparisons:
        for label, value in ((found.a, found.value_a), (found.b, found.value_b)):
            scores = sides[label].record.scores_under(compared.relevance).get(found.setting)
            left_out = compared.relevance != STRICT and found.scope == "by_language_pair"
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
        compared = with_values(records, seed, resamples, relevance)
        cells = _PairCells((found.name,), frozenset(), settings, frozenset(), frozenset(), ())
        comparisons = exploratory(compared, cells, MAX_T)
        if not comparisons:
            raise UsageError(f"{found.name} has no value for a language pair", remedy="choose another metric, or kind")
        info = records.sides[0].record.task
        result.append(
            PairMap(
                info.title,
                compared.sides[0].label,
                compared.sides[1].label,
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
