"""Ranks -> scores with their certainty: all at once, or of very many languages one query language after the other.

Values of single queries take some 200 bytes for each relevant and setting, and a panel eight for each question and
language pair: of Belebele's 14,884 pairs that would be 10 GB. Of one query language it is a hundredth, and what is left
of it then is small: means over cells, and sums of the cells that no figure tells apart.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core.observe import Clock
from xqr_bench.core.types import MOST_COLUMNS, FloatArray, IntArray, Ranks, collapses
from xqr_bench.measure.certainty import (
    SEED,
    FigureIntervals,
    FigureName,
    Figures,
    Updates,
    attach_certainty,
    figure_contrasts,
    interval_figures,
    order_tests,
    parts_with_intervals,
    updated,
)
from xqr_bench.measure.linear import Linearised, article_intervals, cell_deviations, presence, question_intervals
from xqr_bench.measure.metrics.lists import multilingual_lists
from xqr_bench.measure.metrics.per_query import Cell, PerQuery
from xqr_bench.measure.panel import Contrasts, Panel, Units, alike, panel, sampling_units
from xqr_bench.measure.scores import CellValues, Group, SettingScores, all_per_query, score
from xqr_bench.rank.rules import variant_metrics

PAIRS = f"pairs of query languages are not compared where there are more than {MOST_COLUMNS} languages"
Scored = tuple[dict[str, SettingScores], list[str]]


def scored(
    ranks: Ranks,
    metrics: Sequence[str],
    settings: Sequence[str],
    groups: Mapping[str, Group],
    *,
    details: bool = True,
    intervals: bool = True,
    to_the_bit: bool = True,
    clock: Clock | None = None,
) -> Scored:
    """Scores by setting, with their certainty, and warnings as of `score`.

    Of collapsed ranks there are no scores of single language pairs; pairs without a question are counted, not named.

    Args:
        ranks: counted under a rule of relevance.
        metrics, settings, groups: of the task.
        details: also what macro averages are made of.
        intervals: whether figures get intervals.
        to_the_bit: as of `attach_certainty`.
        clock: the seconds of scoring and of certainty are added to it.
    """
    clock = clock or Clock()
    if collapses(ranks.columns) and not ranks.separate:
        return _InTurn(ranks, groups, details=details).scored(metrics, settings, clock, intervals=intervals)
    with clock.phase("scoring"):
        values = all_per_query(ranks, metrics, settings)
        scores, warnings = score(values, groups, details=details)
    if intervals:
        with clock.phase("certainty"):
            scores = attach_certainty(scores, values, ranks, groups, details=details, to_the_bit=to_the_bit)
    return scores, warnings


def score_variant(
    name: str,
    ranks: Ranks,
    metrics: Sequence[str],
    settings: Sequence[str],
    groups: Mapping[str, Group],
    *,
    details: bool = True,
    to_the_bit: bool = True,
) -> dict[str, SettingScores]:
    """Scores under a rule, by setting: macro averages, query languages and groups, each with its intervals.

    Scores of single language pairs are left out, to keep records small; they follow from the ranks.

    Args:
        name: the rule.
        ranks: counted under it.
        metrics, settings, groups: of the task.
        details, to_the_bit: as of `scored`.
    """
    named = variant_metrics(name, metrics)
    scores, _ = scored(ranks, named, settings, groups, details=details, to_the_bit=to_the_bit)
    return {setting: figures.model_copy(update={"by_language_pair": {}}) for setting, figures in scores.items()}


class _Columns(NamedTuple):
    """Cells of one query language, those that are alike as one.

    Attributes:
        cells: one of those that are alike.
        times: how many these are, int64 `[columns]`.
        used: the figures each is in.
        sums: mean of their sums, float64 `[questions, columns]`; of a set statistic the linearised deviations.
        counts: float64 `[questions, columns]`.
        estimate: of a set statistic, float64 `[columns]`.
    """

    cells: tuple[Cell, ...]
    times: IntArray
    used: list[list[FigureName]]
    sums: FloatArray
    counts: FloatArray
    estimate: FloatArray


def _columns(laid_out: Panel, contrasts: Contrasts) -> _Columns:
    used: NDArray[np.bool_] = contrasts.weights != 0
    classes = alike(laid_out, used)
    firsts = [cells[0] for cells in classes]
    rows = laid_out.sums[..., 0] if laid_out.statistic is None else cell_deviations(laid_out)
    return _Columns(
        tuple(laid_out.cells[first] for first in firsts),
        np.array([len(cells) for cells in classes], dtype=np.int64),
        [[contrasts.labels[figure] for figure in np.flatnonzero(used[first]).tolist()] for first in firsts],
        np.column_stack([rows[:, cells].mean(axis=1) for cells in classes]),
        laid_out.counts[:, firsts],
        laid_out.estimate[firsts],
    )


def _joined(parts: Sequence[_Columns]) -> tuple[_Columns, Contrasts]:
    """The columns of all query languages, and the figures as weights over them."""
    used = [labels for part in parts for labels in part.used]
    place = {label: figure for figure, label in enumerate(dict.fromkeys(label for labels in used for label in labels))}
    times = np.concatenate([part.times for part in parts])
    weights = np.zeros((len(used), len(place)))
    for column, labels in enumerate(used):
        weights[column, [place[label] for label in labels]] = times[column]
    whole = _Columns(
        tuple(cell for part in parts for cell in part.cells),
        times,
        used,
        np.hstack([part.sums for part in parts]),
        np.hstack([part.counts for part in parts]),
        np.concatenate([part.estimate for part in parts]),
    )
    return whole, Contrasts(tuple(place), weights / weights.sum(axis=0))


Place = tuple[str, str]
"""Setting and metric."""


class _InTurn:
    """Scores one query language after the other."""

    def __init__(self, ranks: Ranks, groups: Mapping[str, Group], *, details: bool) -> None:
        self._ranks, self._groups, self._details = ranks, groups, details
        self._units = sampling_units(ranks)
        self._cells: defaultdict[Place, list[CellValues]] = defaultdict(list)
        self._columns: defaultdict[Place, list[_Columns]] = defaultdict(list)
        self._reasons: dict[Place, str] = {}
        self._tests: Updates = {}

    def scored(self, metrics: Sequence[str], settings: Sequence[str], clock: Clock, *, intervals: bool) -> Scored:
        """See `scored`."""
        asked_in = self._ranks.query_numbers
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for number, language in enumerate(np.unique(asked_in).tolist()):
                chosen = np.flatnonzero(asked_in == language)
                with clock.phase("scoring"):
                    values = all_per_query(self._ranks.take(chosen), metrics, settings)
                    units = replace(self._units, question=self._units.question[chosen])
                    self._take(values, units, intervals=intervals)
                if intervals and self._details:
                    with clock.phase("certainty"):
                        for name, p_values in order_tests(values, units, SEED, pool, number).items():
                            self._tests[name] = {key: p.result() for key, p in p_values.items()}
        with clock.phase("scoring"):
            self._settle_reasons()
            cells: dict[str, dict[str, CellValues]] = {setting: {} for setting, _ in self._cells}
            for (setting, metric), parts in self._cells.items():
                cells[setting][metric] = CellValues.joined(parts, self._reasons.get((setting, metric)))
            scores, warnings = score(cells, self._groups, details=self._details, pairs=False)
        if intervals:
            with clock.phase("certainty"):
                scores = updated(scores, self._updates())
        return scores, warnings

    def _take(self, values: Mapping[str, Mapping[str, PerQuery]], units: Units, *, intervals: bool) -> None:
        for setting, of_metric in values.items():
            parts = [
                part for part in parts_with_intervals(setting, details=self._details) if part != "by_language_pair"
            ]
            for name, of_queries in of_metric.items():
                place = setting, name
                if of_queries.metric.of_pairs is not None:
                    self._reasons[place] = PAIRS
                elif of_queries.undefined_reason is not None:
                    self._reasons.setdefault(place, of_queries.undefined_reason)
                elif intervals and (contrasts := figure_contrasts(of_queries, self._groups, parts)).labels:
                    self._columns[place].append(_columns(panel(of_queries, units), contrasts))
                self._cells[place].append(CellValues(of_queries).without_queries())

    def _settle_reasons(self) -> None:
        """What is undefined in one query language is so as a whole, and a set statistic where languages differ."""
        _, firsts = np.unique(self._ranks.query_numbers, return_index=True)
        ones = multilingual_lists(self._ranks.take(np.sort(firsts)))
        for place, parts in self._cells.items():
            statistic = parts[0].source.metric.set_statistic
            if statistic is not None and place not in self._reasons and (reason := statistic.why_undefined(ones)):
                self._reasons[place] = reason

    def _updates(self) -> Updates:
        """Intervals and p-values by figure."""
        figures: Figures = {}
        found: dict[FigureName, FigureIntervals] = {}
        for place, parts in self._columns.items():
            if place in self._reasons:
                continue
            statistic = self._cells[place][0].source.metric.set_statistic
            columns, contrasts = _joined(parts)
            laid_out = Panel(columns.cells, columns.sums[..., None], columns.counts, name=" ".join(place))
            if statistic is None:
                figures[place] = laid_out, contrasts
                continue
            linear = Linearised(
                contrasts.apply(columns.estimate),
                contrasts.apply(columns.sums),
                presence(laid_out, contrasts),
                np.ones(len(contrasts), dtype=np.bool_),
                self._units,
            )
            by_question = question_intervals(np.zeros((2, len(contrasts))), linear)  # of sets none are resampled
            both = map(FigureIntervals, by_question, article_intervals(linear))
            found |= dict(zip(contrasts.labels, both, strict=True))
        found |= interval_figures(figures, self._units, np.random.Generator(np.random.PCG64(SEED)))
        updates: dict[FigureName, dict[str, Any]] = {name: both._asdict() for name, both in found.items()}
        for name, p_values in self._tests.items():
            if (name.setting, name.metric) not in self._reasons:
                updates.setdefault(name, {}).update(p_values)
        return updates
