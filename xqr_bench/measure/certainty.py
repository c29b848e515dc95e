"""How certain each figure of a record is: its intervals and tests, also under other rules of relevance."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from xqr_bench.core.types import CROSS_LINGUAL, LENIENT, PARAGRAPH, SETTINGS, STRICT, FloatArray, Ranks
from xqr_bench.measure.linear import LEVEL, Bounds, article_bounds, joined, linearise, question_bounds
from xqr_bench.measure.metrics.per_query import PerQuery
from xqr_bench.measure.panel import Contrasts, Panel, Units, sampling_units
from xqr_bench.measure.panel import panel as panel_of
from xqr_bench.measure.resampling import BOOTSTRAP_RESAMPLES, bootstrap
from xqr_bench.measure.scores import (
    Group,
    Interval,
    Score,
    SettingScores,
    all_per_query,
    pick_cells,
    pick_group_cells,
    score,
)
from xqr_bench.measure.tukey import order_test, sums_by_unit

# The figures of a record as contrasts: which cells each of them averages.

MACRO = "macro"
GAP = "gap"
PARTS = (MACRO, "by_query_language", "by_language_pair", "by_group", GAP)
AllValues = Mapping[str, Mapping[str, PerQuery]]


class FigureName(NamedTuple):
    """Where a figure stands: `scores[setting].part[key][metric]`; the macro average has the key "".

    The part "gap" is not stored in records: key `de - en` or `joshi-3 - en` is that language or group minus English
    (cross-lingual: `joshi-3:into - en:into`).
    """

    setting: str
    metric: str
    part: str
    key: str


def figure_contrasts(
    values: PerQuery,
    groups: Mapping[str, Group] | None = None,
    parts: Collection[str] = PARTS,
    reference: str = "en",
) -> Contrasts:
    """The figures that `scores.score` makes from these values, and gaps, as weights over cells.

    Figures without cells are left out.

    Args:
        values: one metric in one setting.
        groups: language groups.
        parts: which parts to give, of PARTS.
        reference: the language that gaps are measured from.
    """
    found = [(part, key, cells) for part, key, cells in pick_cells(values) if cells]
    of_groups = [
        ("by_group", key, cells)
        for name, group in (groups or {}).items()
        for key, cells in pick_group_cells(values, name, group.languages)
        if cells
    ]
    chosen = [item for item in [*found, *of_groups] if item[0] in parts]
    name = (values.setting, values.metric.name)
    contrasts = Contrasts.means(
        len(values.cells), [(FigureName(*name, part, key), cells) for part, key, cells in chosen]
    )
    if GAP not in parts:
        return contrasts
    sources = {key: cells for part, key, cells in [*found, *of_groups] if part in ("by_query_language", "by_group")}
    sources |= {key: cells for key, cells in pick_group_cells(values, reference, [reference]) if cells}
    gaps = []
    for key in sources:
        base, colon, direction = key.partition(":")
        against = reference + colon + direction
        if base != reference and against in sources:
            gaps.append((FigureName(*name, GAP, f"{key} - {against}"), key, against))
    return contrasts + Contrasts.means(len(values.cells), sources.items()).gaps(gaps)


def figures_of(
    values: AllValues,
    units: Units,
    groups: Mapping[str, Group] | None = None,
    *,
    parts: Collection[str] = PARTS,
    metrics: Collection[str] | None = None,
    settings: Collection[str] | None = None,
) -> list[tuple[Panel, Contrasts]]:
    """The panels and figures of all values; what is undefined as a whole is left out.

    Args:
        values: setting -> metric -> per-query values, as `all_per_query` gives them.
        units: questions and articles of the ranks behind them.
        groups: language groups.
        parts, metrics, settings: only these.
    """
    found = []
    for setting, of_metric in values.items():
        if settings is not None and setting not in settings:
            continue
        for metric, per_query in of_metric.items():
            if per_query.undefined_reason is not None or (metrics is not None and metric not in metrics):
                continue
            contrasts = figure_contrasts(per_query, groups, parts)
            if len(contrasts):
                found.append((panel_of(per_query, units), contrasts))
    return found


# Robustness over languages: which is the worst, and how far apart they are.


@dataclass(frozen=True)
class LanguageSpread:
    """The worst language and the spread of one metric in one setting.

    No p-value: the worst of eleven estimates is chosen by looking, and there is no null it should be tested against.
    The shares say how firm the choice is.

    Attributes:
        values: language -> estimate.
        worst: the language with the lowest estimate.
        worst_share: language -> share of bootstrap resamples in which it is the lowest (1/t where t tie).
        spread: highest minus lowest estimate. Noise adds to it: it is at least what chance makes of equal languages.
        deviation: standard deviation of the estimates over languages (population).
    """

    values: dict[str, float]
    worst: str
    worst_share: dict[str, float]
    spread: float
    deviation: float


def language_spread(languages: Sequence[str], estimate: FloatArray, replicates: FloatArray) -> LanguageSpread:
    """Worst language and spread.

    Args:
        languages: names, `[languages]`.
        estimate: of each language, higher is better, `[languages]`.
        replicates: the same under resampled questions, `[resamples, languages]`.
    """
    lowest = replicates == replicates.min(axis=1, keepdims=True)
    share = (lowest / lowest.sum(axis=1, keepdims=True)).mean(axis=0)
    return LanguageSpread(
        values={name: float(value) for name, value in zip(languages, estimate, strict=True)},
        worst=languages[int(np.argmin(estimate))],
        worst_share={name: float(value) for name, value in zip(languages, share, strict=True)},
        spread=float(estimate.max() - estimate.min()),
        deviation=float(estimate.std()),
    )


# Intervals of figures, and what else follows from resampled questions of one record.


class FigureIntervals(NamedTuple):
    """The intervals of one figure; None where it has fewer than two units or is undefined in a resample."""

    interval: Interval | None
    article_interval: Interval | None


def interval_figures(
    figures: Sequence[tuple[Panel, Contrasts]],
    units: Units,
    generator: np.random.Generator,
    *,
    resamples: int = BOOTSTRAP_RESAMPLES,
    level: float = LEVEL,
) -> dict[FigureName, FigureIntervals]:
    """Intervals of any figures of one record, all from the same resampled questions.

    Args:
        figures: as `figures_of` gives them (`parts=("by_language_pair",)` for those that records leave out).
        units: questions and articles.
        generator: source of resamples.
        resamples: B.
        level: confidence level.
    """
    if not figures:
        return {}
    drawn = bootstrap(figures, generator, resamples)
    linear = joined([linearise(panel, contrasts, units) for panel, contrasts in figures])
    questions = question_bounds(np.hstack(drawn.values), linear, level, drawn.redrawn)
    articles = article_bounds(linear, level)
    labels = [label for _, contrasts in figures for label in contrasts.labels]
    return {
        FigureName(*label): FigureIntervals(to_interval(question), to_interval(article))  # type: ignore[misc]
        for label, question, article in zip(labels, questions, articles, strict=True)
    }


def to_interval(bounds: Bounds | None) -> Interval | None:
    """The form that records hold."""
    if bounds is None:
        return None
    return Interval(
        low=bounds.low,
        high=bounds.high,
        level=bounds.level,
        unit=bounds.unit,
        method=bounds.method,
        n_units=bounds.n_units,
        redrawn=bounds.redrawn or None,
    )


def language_spreads(
    values: AllValues,
    units: Units,
    generator: np.random.Generator,
    *,
    metrics: Collection[str] | None = None,
    settings: Collection[str] | None = None,
    resamples: int = BOOTSTRAP_RESAMPLES,
) -> dict[tuple[str, str], LanguageSpread]:
    """Worst query language and spread over query languages: (setting, metric) -> spread, for scores.

    Args:
        values: setting -> metric -> per-query values.
        units: questions and articles.
        generator: source of resamples.
        metrics, settings: only these.
        resamples: B.
    """
    scores = {
        setting: {name: found for name, found in of_metric.items() if found.metric.kind == "score"}
        for setting, of_metric in values.items()
    }
    figures = figures_of(scores, units, parts=["by_query_language"], metrics=metrics, settings=settings)
    if not figures:
        return {}
    drawn = bootstrap(figures, generator, resamples)
    result = {}
    for (panel, contrasts), replicates in zip(figures, drawn.values, strict=True):
        names = [FigureName(*label) for label in contrasts.labels]  # type: ignore[misc]
        result[names[0].setting, names[0].metric] = language_spread(
            [name.key for name in names], contrasts.apply(panel.estimate), replicates
        )
    return result


# Attach to each score how certain it is: intervals, and the test of language order.

SEED = 0
Found = dict[FigureName, dict[str, Any]]


def attach_certainty(
    scores: dict[str, SettingScores],
    values: AllValues,
    ranks: Ranks,
    groups: Mapping[str, Group],
    *,
    seed: int = SEED,
) -> dict[str, SettingScores]:
    """Return the scores with their intervals, and W with its order tests.

    Every macro score, query language, group and bias measure gets its interval from questions and the one from
    articles. Cross-lingual language pairs do not: 880 of them would double the size of a record of XQuAD-R;
    `interval_figures` gives them to whoever asks.

    Args:
        scores: as `xqr_bench.measure.scores.score` makes them.
        values: the per-query values behind them.
        ranks: the ranks behind those.
        groups: the language groups of the scores.
        seed: of the generators; the same seed gives the same intervals and p-values on any number of threads.
    """
    units = sampling_units(ranks)
    stored = [part for part in PARTS if part != GAP]
    chosen = []
    for setting, of_metric in values.items():
        here = [part for part in stored if (setting, part) != (CROSS_LINGUAL, "by_language_pair")]
        chosen += figures_of({setting: of_metric}, units, groups, parts=here)
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # the compiled tests let go of the interpreter's lock
        tests = _order_tests(values, units, seed, pool)
        found = interval_figures(chosen, units, np.random.Generator(np.random.PCG64(seed)))
        updates: Found = {name: intervals._asdict() for name, intervals in found.items()}
        for name, p_values in tests.items():
            updates.setdefault(name, {}).update({key: p.result() for key, p in p_values.items()})
    return {setting: _updated(setting, old, updates) for setting, old in scores.items()}


def _order_tests(
    values: AllValues, units: Units, seed: int, pool: ThreadPoolExecutor
) -> dict[FigureName, dict[str, Future[float]]]:
    """p-values of W, by question and by article, per query language; each test a task of the pool."""
    found: dict[FigureName, dict[str, Future[float]]] = {}
    done: dict[tuple[int, bytes], dict[str, Future[float]]] = {}  # W and its corrected form have the same test
    for setting, of_metric in values.items():
        for name, per_query in of_metric.items():
            if per_query.features is None:
                continue
            for cell, language in enumerate(per_query.cells):
                rows = np.flatnonzero(per_query.cell == cell)
                places = per_query.features[rows, :-2]
                # a column of zeros is the query's own language, left out
                places = places[:, places.any(axis=0)]
                key = (cell, places.tobytes())
                if key not in done:
                    question = units.question[per_query.queries[rows]]
                    generators = np.random.default_rng([seed, cell]).spawn(2)
                    done[key] = {
                        "p": pool.submit(order_test, sums_by_unit(places, question), generators[0]),
                        "p_article": pool.submit(
                            order_test, sums_by_unit(places, units.article[question]), generators[1]
                        ),
                    }
                found[FigureName(setting, name, "by_query_language", language.query)] = done[key]
    return found


def _updated(setting: str, scores: SettingScores, updates: Found) -> SettingScores:
    """The scores of one setting with the updates of those that have a value."""
    parts: dict[str, dict[str, dict[str, Score]]] = {part: {} for part in PARTS if part not in ("macro", GAP)}
    macro: dict[str, Score] = {}
    for part, key, metric, old in scores.items():
        update = updates.get(FigureName(setting, metric, part, key), {}) if old.value is not None else {}
        new = old.model_copy(update=update)
        if part == "macro":
            macro[metric] = new
        else:
            parts[part].setdefault(key, {})[metric] = new
    return SettingScores(**parts, **macro)  # type: ignore[arg-type]


# Scores under other rules of relevance than the strict one (docs/relevance.md); strict stays the headline.

_SCORES = ("map", "mrr", "recall@1", "recall@10", "success@1", "success@10", "ndcg@10", "language_ndcg@10")
_METRICS = {
    LENIENT: (*_SCORES, "rank_distance", "rank_variance", "own_language_first"),
    PARAGRAPH: (
        *_SCORES,
        "own_language_first",
        "top_right_own",
        "top_right_other",
        "top_wrong_own",
        "top_wrong_other",
    ),
}
"""What is scored under each rule. Paragraph relevance has several relevants a language, so that distances between
relevants are not distances between languages; the top of a lenient ranking is not counted."""


def variant_metrics(name: str, metrics: Sequence[str]) -> list[str]:
    """Those of the metrics that are scored under a rule of relevance, in their order.

    Args:
        name: strict (all of them), lenient or paragraph.
        metrics: of the task.
    """
    return list(metrics) if name == STRICT else [metric for metric in metrics if metric in _METRICS[name]]


def variant_values(
    name: str, ranks: Ranks, metrics: Sequence[str], settings: Sequence[str] = SETTINGS
) -> dict[str, dict[str, PerQuery]]:
    """Per-query values under a rule: setting -> metric -> values.

    Args:
        name: the rule.
        ranks: counted under it.
        metrics, settings: of the task.
    """
    return all_per_query(ranks, variant_metrics(name, metrics), settings)


def score_variant(
    name: str, ranks: Ranks, metrics: Sequence[str], settings: Sequence[str], groups: Mapping[str, Group]
) -> dict[str, SettingScores]:
    """Scores under a rule, by setting: macro averages, query languages and groups, each with its intervals.

    Scores of single language pairs are left out, to keep records small; they follow from the ranks.

    Args:
        name, ranks, metrics, settings: as for `variant_values`.
        groups: the task's language groups.
    """
    values = variant_values(name, ranks, metrics, settings)
    scores, _ = score(values, groups)
    scores = attach_certainty(scores, values, ranks, groups)
    return {setting: found.model_copy(update={"by_language_pair": {}}) for setting, found in scores.items()}
