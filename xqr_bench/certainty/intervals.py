"""Intervals of figures, and what else follows from resampled questions of one record."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from xqr_bench.certainty.figures import AllValues, FigureName, figures_of
from xqr_bench.scores import Interval
from xqr_bench.stats.bootstrap import RESAMPLES, bootstrap
from xqr_bench.stats.bounds import LEVEL, Bounds, article_bounds, question_bounds
from xqr_bench.stats.contrasts import Contrasts
from xqr_bench.stats.languages import LanguageSpread, language_spread
from xqr_bench.stats.linear import joined, linearise
from xqr_bench.stats.panel import Panel
from xqr_bench.stats.units import Units


class FigureIntervals(NamedTuple):
    """The intervals of one figure; None where it has fewer than two units or is undefined in a resample."""

    interval: Interval | None
    article_interval: Interval | None


def interval_figures(
    figures: Sequence[tuple[Panel, Contrasts]],
    units: Units,
    generator: np.random.Generator,
    *,
    resamples: int = RESAMPLES,
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
    resamples: int = RESAMPLES,
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
