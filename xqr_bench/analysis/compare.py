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

from xqr_bench.analysis.asked import Choice, check_seed
from xqr_bench.analysis.choice import (
    ALL,
    Cells,
    Comparison,
    Detectable,
    Display,
    GroupFigure,
    RecordLabel,
    TaskComparison,
    Without,
    WorstLanguage,
    cells_of,
    check_names,
)
from xqr_bench.analysis.compared import Compared, Side, gather, reading_notes, with_values
from xqr_bench.analysis.over_seeds import about_arms, over_seeds
from xqr_bench.core.checked import checked
from xqr_bench.core.errors import RecordError, UnknownNameError, UsageError
from xqr_bench.core.types import CROSS_LINGUAL, MAIN_METRIC, MONOLINGUAL, MULTILINGUAL, STRICT, FloatArray
from xqr_bench.measure.certainty import GAP, MACRO, FigureName, figures_of, interval_figures
from xqr_bench.measure.linear import ALPHA, POWER, detectable_differences, joined, linearise
from xqr_bench.measure.metrics import parse_metric
from xqr_bench.measure.paired import NOT_SIGNIFICANT, SIGNIFICANT, TOO_FEW, PairTest, confirm
from xqr_bench.measure.resampling import RESAMPLES, benjamini_hochberg, bootstrap
from xqr_bench.measure.tukey import Tukey, compact_letters, tukey_hsd
from xqr_bench.record import Record

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
        task=compared.info.name,
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
    for side, figures in zip(compared.sides, compared.figures(cells), strict=True):
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
        if not figures:
            continue
        of_articles = [(panel.by_article(compared.units), contrasts) for panel, contrasts in figures.values()]
        resampled = [bootstrap(units, compared.generator).values for units in (list(figures.values()), of_articles)]
        for ((setting, metric), (panel, contrasts)), drawn, by_article in zip(figures.items(), *resampled, strict=True):
            estimates = dict(zip((name.key for name in contrasts.labels), contrasts.apply(panel.estimate), strict=True))
            if len(estimates) > 1:
                names: dict[str, Any] = {"task": compared.info.name, "record": side.label}
                names |= {"setting": setting, "metric": metric}
                names |= language_spread(estimates, drawn)
                result.append(WorstLanguage(**names, worst_share_article=worst_shares(list(estimates), by_article)))
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
    return {
        "worst": list(estimates)[int(np.argmin(values))],
        "values": {name: float(value) for name, value in estimates.items()},
        "worst_share": worst_shares(list(estimates), replicates),
        "spread": float(values.max() - values.min()),
        "deviation": float(values.std()),
    }


def worst_shares(languages: Sequence[str], replicates: FloatArray) -> dict[str, float]:
    """Language -> share of the resamples in which it is the worst; 1/t each where t tie.

    Where a language of few questions has no value in a resample (NaN), the worst is one of those that have one; a
    resample in which none has is left out.
    """
    replicates = replicates[~np.isnan(replicates).all(axis=1)]
    lowest = replicates == np.nanmin(replicates, axis=1, keepdims=True)
    return dict(zip(languages, (lowest / lowest.sum(axis=1, keepdims=True)).mean(axis=0).tolist(), strict=True))


def power(compared: Compared, choice: Choice) -> list[Detectable]:
    """Smallest detectable difference of each macro average, from the spread of each pair's differences.

    Of all scores of the records, and of the bias measures that were asked for.
    """
    asked = {parse_metric(name).name for name in choice.metrics if name != ALL}
    metrics = [name for name in compared.info.metrics if parse_metric(name).kind == "score" or name in asked]
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
                    task=compared.info.name,
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


def confirmatory(compared: Compared) -> tuple[list[Comparison], dict[str, Tukey]]:
    """MAP in each setting: Holm over the settings; of more than two records max-T over pairs and settings.

    Returns:
        the comparisons, and with more than two records Tukey's p-values of each setting.
    """
    cells = Cells((MAIN_METRIC,), tuple(compared.info.settings))
    many = len(compared.sides) > 2
    tukey: dict[str, Tukey] = {}
    if many:
        sides, generator = compared.figures(cells), compared.generator
        for name, (_, contrasts) in sides[0].items():
            if all(name in side for side in sides):
                panels = [side[name][0] for side in sides]
                (tukey[name[0]],) = tukey_hsd(panels, contrasts, compared.units, generator, compared.resamples)
    tested = confirm(compared.test(cells, together=many))
    n_settings = len({one.result.label.setting for one in tested})
    over = f"{n_settings} setting{'s' * (n_settings != 1)}"
    n_pairs = math.comb(len(compared.sides), 2)
    adjustment = f"step-down max-T over {n_pairs} pairs in {over}" if many else f"Holm over {over}"
    comparisons = []
    for one in tested:
        more = {}
        if (test := tukey.get(one.result.label.setting)) is not None:
            more = {"p_tukey": float(test.p[one.a, one.b]), "p_article_tukey": float(test.p_article[one.a, one.b])}
        comparisons.append(_comparison(compared, one, len(tested), CONFIRMATORY_FAMILY, adjustment, **more))
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
        _comparison(compared, PairTest(*one, *p), len(results), EXPLORATORY_FAMILY, adjustment)
        for one, p in zip(results, adjusted, strict=True)
    ]


def too_few(n_articles: int) -> str:
    """The verdict where no p by article could be small enough."""
    return f"{TOO_FEW} ({n_articles}) to judge by article"


def parts_as_wholes(main: Sequence[Comparison], parts: Sequence[Comparison]) -> list[Comparison]:
    """The exploratory cells; none is called different where there are too few articles to say so of the pair itself.

    The confirmatory family of a pair may need more articles than a smaller family of its parts.
    """
    unjudged = {(one.a, one.b) for one in main if one.verdict.startswith(TOO_FEW)}
    return [
        one.model_copy(update={"verdict": too_few(one.n_articles)})
        if one.verdict == SIGNIFICANT and (one.a, one.b) in unjudged
        else one
        for one in parts
    ]


_SAME = (
    "difference",
    "interval",
    "article_interval",
    "effect_size",
    "p",
    "p_article",
    "n_varying",
    "n_varying_articles",
    "n_questions",
    "n_articles",
)


def _comparison(compared: Compared, test: PairTest, size: int, family: str, adjustment: str, **more: Any) -> Comparison:
    """One figure of a family of this size."""
    result, word = test.result, test.verdict(size)
    return Comparison(
        task=compared.info.name,
        a=compared.sides[test.a].label,
        b=compared.sides[test.b].label,
        **_placed(result.label),
        family=family,
        value_a=result.a,
        value_b=result.b,
        p_t=None if math.isnan(result.p_t) else max(result.p_t, LEAST),
        p_article_t=None if math.isnan(result.p_article_t) else max(result.p_article_t, LEAST),
        p_adjusted=test.p_adjusted,
        p_article_adjusted=test.p_article_adjusted,
        adjustment=adjustment,
        verdict={NOT_SIGNIFICANT: NOT_DISTINGUISHABLE, TOO_FEW: too_few(result.n_articles)}.get(word, word),
        largest_article=None if result.largest is None else Without(**result.largest._asdict()),
        seed=compared.seed,
        resamples=result.resamples,
        **{name: getattr(result, name) for name in _SAME},
        **more,
    )


# compare(): records of one or more tasks -> everything that can be said about their differences.

LEAST_RESAMPLES = 100


@checked
def compare(
    paths: Sequence[Path | str | Record],
    choice: Choice | None = None,
    *,
    adjust: str | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> list[TaskComparison]:
    """Compare the records in these files, task by task.

    Args:
        paths: records with their ranks beside them, folders of such, or what `evaluate` returns; two or more a task.
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
    check_names(choice, [side.record.task for sides in tasks for side in sides])
    return [_compare_task(sides, choice, adjust, seed, resamples) for sides in tasks]


def check_numbers(seed: int, resamples: int) -> None:
    """Raise UsageError for a seed or a number of resamples that cannot be meant."""
    check_seed(seed)
    if resamples < LEAST_RESAMPLES:
        raise UsageError(
            f"{resamples} resamples are too few to tell a small p", remedy=f"give at least {LEAST_RESAMPLES}"
        )


def _compare_task(
    sides: tuple[Side, ...], choice: Choice, adjust: str | None, seed: int, resamples: int
) -> TaskComparison:
    many = len(sides) > 2
    if adjust == MAX_T and many:
        raise UsageError(
            f"max-T adjusts over the cells of two records, and {len(sides)} of {sides[0].record.task.name} are named",
            remedy="use --adjust bh, or name two records",
        )
    compared = with_values(sides, seed, resamples, choice.relevance)
    info = compared.info
    trained = any(side.record.exposure is not None and side.record.exposure.languages for side in sides)
    cells, notes = cells_of(choice, info, compared.groups, compared.left_out, usual_groups=trained)
    if choice.relevance != STRICT and compared.units.n_questions < info.n_questions:
        notes.append(f"on the {compared.units.n_questions} questions that a submission has {choice.relevance} ranks of")
    main: list[Comparison] = []
    tukey: dict[str, Tukey] = {}
    if MAIN_METRIC in info.metrics:
        main, tukey = confirmatory(compared)
    else:
        notes.append(f"no confirmatory family: not every record holds {MAIN_METRIC}")
    # with more than two records the groups are shown for each record, and tested only when asked for
    tested = choice.explicit or not many
    more = parts_as_wholes(main, exploratory(compared, cells, adjust or (BH if many else MAX_T))) if tested else []
    if not main and not more:
        raise UsageError(f"{info.name}: nothing is left to compare", found="; ".join(notes) or None)
    if choice.explicit and not more:
        notes.append("no cell beside the confirmatory ones fits what was asked for")
    notes += sorted(
        {
            f"{metric} is left out: {values[setting][metric].undefined_reason}"
            for values in compared.values
            for setting in cells.settings
            for metric in cells.metrics
            if metric in values[setting] and values[setting][metric].undefined_reason
        }
    )
    _check_stored(compared, [*main, *more])
    return TaskComparison(
        task=info.name,
        title=info.title,
        records=tuple(
            RecordLabel(
                label=side.label,
                model=side.record.model.name,
                path=str(side.path),
                ranks_digest=side.record.ranks_file.digest,
            )
            for side in sides
        ),
        n_questions=compared.units.n_questions,
        n_articles=compared.units.n_articles,
        relevance=choice.relevance,
        demonstration=info.demonstration,
        partial=dict(info.partial),
        comparisons=(*main, *more),
        displays=tuple(display(compared, setting, test, main) for setting, test in tukey.items()),
        groups=() if tested else tuple(group_figures(compared, replace(cells, metrics=(MAIN_METRIC,)))),
        over_seeds=tuple(over_seeds(compared)),
        languages=tuple(worst_languages(compared, cells)),
        power=tuple(power(compared, choice)),
        notes=(
            *([info.demonstration_note] if info.demonstration else []),
            *notes,
            *reading_notes(sides),
            *about_arms(sides),
        ),
        seed=seed,
        resamples=resamples,
        asked=choice.explicit,
    )


def _check_stored(compared: Compared, comparisons: Sequence[Comparison]) -> None:
    """Raise RecordError where a compared figure is not the one that the record holds."""
    # a whole record that is compared on the questions of a submission holds other figures
    sides = {
        side.label: side
        for side in compared.sides
        if len(set(side.record.ranks_under(compared.relevance).question_ids)) == compared.units.n_questions
    }
    for one in comparisons:
        if one.scope == GAP or (compared.relevance != STRICT and one.scope == "by_language_pair"):
            continue  # not stored
        for label, value in ((one.a, one.value_a), (one.b, one.value_b)):
            if label not in sides:
                continue
            scores = sides[label].record.scores_under(compared.relevance).get(one.setting)
            if scores is None:
                continue
            figures = scores.macro if one.scope == MACRO else getattr(scores, one.scope).get(one.key, {})
            stored = figures[one.metric].value if one.metric in figures else None
            if stored is None or not math.isclose(stored, value, rel_tol=1e-9):
                figure = f"{one.setting} {one.metric} {one.key}".rstrip()
                raise RecordError(
                    f"{sides[label].path}: {figure} does not follow from its ranks",
                    found=f"stored {stored}, recomputed {value}",
                    remedy="see xqr-bench recompute",
                )


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


@checked
def pair_maps(
    paths: Sequence[Path | str | Record],
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
    parsed = parse_metric(metric)
    tasks = gather(paths)
    choice = Choice(metrics=(metric,), relevance=relevance)
    check_names(choice, [side.record.task for sides in tasks for side in sides])
    cells = Cells(
        (parsed.name,),
        (MULTILINGUAL,) if parsed.of_cells else (MONOLINGUAL, CROSS_LINGUAL),
        ("by_query_language", "by_language_pair"),
        # each pair once: the monolingual setting is the diagonal
        lambda name: name.part == ("by_query_language" if name.setting == MONOLINGUAL else "by_language_pair"),
    )
    maps = []
    for sides in tasks:
        info = sides[0].record.task
        if len(sides) != 2:
            raise UsageError(
                f"a map of differences needs two records of {info.name}", found=str(len(sides)), remedy="name two"
            )
        compared = with_values(sides, seed, resamples, relevance)
        main = confirmatory(compared)[0] if MAIN_METRIC in compared.info.metrics else []
        comparisons = parts_as_wholes(main, exploratory(compared, cells, MAX_T))
        if not comparisons:
            raise UsageError(f"{parsed.name} has no value for a language pair", remedy="choose another metric, or kind")
        by_pair = {}
        for one in comparisons:
            query, _, candidate = one.key.partition(">")
            by_pair[query, candidate or query] = one
        a, b = (side.label for side in sides)
        maps.append(PairMap(info.title, a, b, parsed.name, relevance, tuple(info.all_languages), by_pair))
    return maps
