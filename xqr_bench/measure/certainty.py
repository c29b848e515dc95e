"""How certain each figure of a record is: its intervals and tests, also under other rules of relevance."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from xqr_bench.core.types import CROSS_LINGUAL, Ranks
from xqr_bench.measure.linear import article_intervals, joined, linearise, question_intervals
from xqr_bench.measure.metrics.per_query import PerQuery
from xqr_bench.measure.panel import Contrasts, Panel, Units, merged, panel, sampling_units
from xqr_bench.measure.resampling import BOOTSTRAP_RESAMPLES, bootstrap
from xqr_bench.measure.scores import (
    DETAILS,
    Figure,
    Group,
    Interval,
    SettingScores,
    pick_cells,
    pick_group_cells,
)
from xqr_bench.measure.tukey import order_test, sums_by_unit

# The figures of a record as contrasts: which cells each of them averages.

MACRO = "macro"
GAP = "gap"
PARTS = (MACRO, *DETAILS, GAP)
ENGLISH = "en"
AllValues = Mapping[str, Mapping[str, PerQuery]]
Figures = dict[tuple[str, str], tuple[Panel, Contrasts]]


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
    values: PerQuery, groups: Mapping[str, Group] | None = None, parts: Collection[str] = PARTS
) -> Contrasts:
    """The figures that `scores.score` makes from these values, and gaps, as weights over cells.

    Figures without cells are left out. The labels are `FigureName`s.

    Args:
        values: one metric in one setting.
        groups: language groups.
        parts: which parts to give, of PARTS.
    """
    n_cells, name = len(values.cells), (values.setting, values.metric.name)
    figures = pick_cells(values)
    for group, members in (groups or {}).items():
        figures += [("by_group", key, cells) for key, cells in pick_group_cells(values, group, members.languages)]
    figures = [figure for figure in figures if figure[2]]
    contrasts = Contrasts.means(
        n_cells, [(FigureName(*name, part, key), cells) for part, key, cells in figures if part in parts]
    )
    if GAP not in parts:
        return contrasts
    sources = {key: cells for part, key, cells in figures if part in ("by_query_language", "by_group")}
    sources |= {key: cells for key, cells in pick_group_cells(values, ENGLISH, [ENGLISH]) if cells}
    gaps = []
    for key in sources:
        base, colon, direction = key.partition(":")
        english = ENGLISH + colon + direction
        if base != ENGLISH and english in sources:
            gaps.append((FigureName(*name, GAP, f"{key} - {english}"), key, english))
    return contrasts + Contrasts.means(n_cells, sources.items()).gaps(gaps)


def figures_of(
    values: AllValues,
    units: Units,
    groups: Mapping[str, Group] | None = None,
    *,
    parts: Collection[str] = PARTS,
    metrics: Collection[str] | None = None,
    settings: Collection[str] | None = None,
) -> Figures:
    """The figures of all values: (setting, metric) -> panel and contrasts; what is undefined as a whole is left out.

    Args:
        values: setting -> metric -> per-query values, as `all_per_query` gives them.
        units: questions and articles of the ranks behind them.
        groups: language groups.
        parts, metrics, settings: only these.
    """
    figures: Figures = {}
    for setting, of_metric in values.items():
        for metric, per_query in of_metric.items():
            asked = (settings is None or setting in settings) and (metrics is None or metric in metrics)
            if not asked or per_query.undefined_reason is not None:
                continue
            contrasts = figure_contrasts(per_query, groups, parts)
            if len(contrasts):
                figures[setting, metric] = (panel(per_query, units), contrasts)
    return figures


# Intervals of the figures of one record, from resampled questions.


class FigureIntervals(NamedTuple):
    """The intervals of one figure; None where it has fewer than two units or is undefined in a resample."""

    interval: Interval | None
    article_interval: Interval | None


def interval_figures(
    figures: Figures, units: Units, generator: np.random.Generator, resamples: int = BOOTSTRAP_RESAMPLES
) -> dict[FigureName, FigureIntervals]:
    """Intervals of any figures of one record, all from the same resampled questions.

    Args:
        figures: as `figures_of` gives them (`parts=("by_language_pair",)` for those that records leave out).
        units: questions and articles.
        generator: source of resamples.
        resamples: B.
    """
    if not figures:
        return {}
    drawn = bootstrap(list(figures.values()), generator, resamples)
    linear = joined([linearise(panel, contrasts, units) for panel, contrasts in figures.values()])
    by_question = question_intervals(np.hstack(drawn.values), linear, drawn.redrawn)
    both = map(FigureIntervals, by_question, article_intervals(linear))
    return dict(zip((label for _, contrasts in figures.values() for label in contrasts.labels), both, strict=True))


# Attach to each score how certain it is: intervals, and the test of language order.

SEED = 0
Updates = dict[FigureName, dict[str, Any]]


def attach_certainty(
    scores: dict[str, SettingScores],
    values: AllValues,
    ranks: Ranks,
    groups: Mapping[str, Group],
    *,
    seed: int = SEED,
    details: bool = True,
    to_the_bit: bool = True,
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
        details: also those of what macro averages are made of.
        to_the_bit: as records hold them; else macro averages may be rounded elsewhere (1e-13), in a third of the time.
    """
    units = sampling_units(ranks)
    figures: Figures = {}
    for setting, of_metric in values.items():
        figures |= figures_of({setting: of_metric}, units, groups, parts=parts_with_intervals(setting, details=details))
    if not (details or to_the_bit):
        figures = {name: merged(*figure) for name, figure in figures.items()}
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # the compiled tests let go of the interpreter's lock
        tests = order_tests(values, units, seed, pool) if details else {}
        intervals = interval_figures(figures, units, np.random.Generator(np.random.PCG64(seed)))
        updates: Updates = {name: both._asdict() for name, both in intervals.items()}
        for name, p_values in tests.items():
            updates.setdefault(name, {}).update({key: p.result() for key, p in p_values.items()})
    return updated(scores, updates)


def parts_with_intervals(setting: str, *, details: bool) -> list[str]:
    """The parts of a setting whose figures get intervals; `details`: not the macro averages alone."""
    left_out = (GAP, "by_language_pair") if setting == CROSS_LINGUAL else (GAP,)
    return [part for part in PARTS if part not in left_out] if details else [MACRO]


def order_tests(
    values: AllValues, units: Units, seed: int, pool: ThreadPoolExecutor, first: int = 0
) -> dict[FigureName, dict[str, Future[float]]]:
    """p-values of W, by question and by article, per query language; each test a task of the pool.

    Args:
        values, units, seed: as of `attach_certainty`.
        pool: what computes them.
        first: the number of the first query language among all.
    """
    tests: dict[FigureName, dict[str, Future[float]]] = {}
    done: dict[tuple[int, bytes], dict[str, Future[float]]] = {}  # W and its corrected form have the same test
    for setting, of_metric in values.items():
        for name, per_query in of_metric.items():
            statistic = per_query.metric.set_statistic
            if per_query.features is None or statistic is None or not statistic.of_orders:
                continue
            for cell, language in enumerate(per_query.cells):
                rows = np.flatnonzero(per_query.cell == cell)
                places = per_query.features[rows, :-2]
                # a column of zeros is the query's own language, left out
                places = places[:, places.any(axis=0)]
                key = (cell, places.tobytes())
                if key not in done:
                    question = units.question[per_query.queries[rows]]
                    unit_of = {"p": question, "p_article": units.article[question]}
                    generators = np.random.default_rng([seed, first + cell]).spawn(2)
                    done[key] = {
                        p: pool.submit(order_test, sums_by_unit(places, unit), generator)
                        for (p, unit), generator in zip(unit_of.items(), generators, strict=True)
                    }
                tests[FigureName(setting, name, "by_query_language", language.query)] = done[key]
    return tests


def updated(scores: Mapping[str, SettingScores], updates: Updates) -> dict[str, SettingScores]:
    """The scores with the updates of those that have a value."""
    return {setting: _updated(setting, old, updates) for setting, old in scores.items()}


def _updated(setting: str, scores: SettingScores, updates: Updates) -> SettingScores:
    """The scores of one setting with the updates of those that have a value."""
    parts: dict[str, dict[str, dict[str, Figure]]] = {part: {} for part in (MACRO, *DETAILS)}
    for part, key, metric, old in scores.items():
        update = updates.get(FigureName(setting, metric, part, key), {}) if old.value is not None else {}
        parts[part].setdefault(key, {})[metric] = old.model_copy(update=update)
    macro = parts.pop(MACRO).get("", {})
    return SettingScores(**parts, **macro)  # type: ignore[arg-type]
