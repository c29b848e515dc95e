"""Ranks -> PerQuery: the values a score is made of, with the cells (language pairs) they belong to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from xqr_bench.core.types import CROSS_LINGUAL, MONOLINGUAL, MULTILINGUAL, FloatArray, IntArray, Ranks
from xqr_bench.measure.metrics import ListFunction, Metric, PairFunction
from xqr_bench.measure.metrics.lists import RankedLists, bilingual_lists, multilingual_lists
from xqr_bench.rank.parts import joined_languages

ROWS_AT_ONCE = 2**15
CENSORED = "the ranking is cut at a depth, and the measure needs the rank of every relevant"
NO_JUDGED = "it is defined for judged candidates alone: judged relevance (docs/relevance.md)"
SEPARATE = "each group of languages was ranked by itself, and there is no pool of all"
NO_TOPS = "these ranks do not tell the language of the top result, as those of older versions"
NO_HITS = "these ranks do not tell the best candidates of a query, as those of older versions and of short lists"
NO_PLACES = "these ranks do not tell which candidates the best ones are, as those of a submission"
NO_PAIRS = "no question is asked in two languages"


@dataclass(frozen=True)
class Cell:
    """One setting proper: a query language and the candidate language, None for the whole pool."""

    query: str
    candidate: str | None

    @property
    def pair(self) -> str:
        """`en>de`, or `en` for the whole pool."""
        return self.query if self.candidate is None else f"{self.query}>{self.candidate}"


class SettingView:
    """The lists of one family of settings, cut into cells; what all its metrics share is computed once.

    Attributes:
        lists: those with a relevant, and what is relevant in them (`Ranks.relevant_from`).
    """

    def __init__(self, ranks: Ranks, setting: str, lists: RankedLists) -> None:
        self.ranks = ranks
        self.setting = setting
        self.lists = lists
        self._every: SettingView | None = None
        relevant = lists.gains >= ranks.relevant_from
        if not relevant.all():
            self.lists, every = lists.of_relevant(relevant)
            self._every = SettingView(replace(ranks, relevant_from=0.0), setting, every)
        self._query_languages = ranks.query_numbers[self.lists.queries]

    @property
    def graded(self) -> SettingView:
        """The same lists with relevants of every gain, for the metrics that read gains."""
        return self if self._every is None else self._every  # no attribute: a cycle would keep the arrays

    @cached_property
    def _parts(self) -> list[RankedLists]:
        """The lists, some thousand relevants at a time: what is computed of them stays in the processor's cache."""
        ends = np.searchsorted(self.lists.offsets, np.arange(0, self.lists.offsets[-1], ROWS_AT_ONCE))
        edges = np.unique(np.append(ends, len(self.lists))).tolist()
        return [self.lists.part(*both) for both in pairwise(edges)] or [self.lists]

    def apply(self, function: ListFunction) -> FloatArray:
        """What a function gives of each list (or relevant), float64."""
        return np.concatenate([function(part) for part in self._parts])

    def _cells(self, columns: IntArray, query_languages: IntArray) -> tuple[tuple[Cell, ...], IntArray]:
        """Cells and the cell of each value, for values with these pool columns; ordered by language."""
        candidates = (None, *self.ranks.columns)
        languages, width = self.ranks.all_languages, len(self.ranks.all_languages) + 1
        present, cells = np.unique(query_languages * width + columns + 1, return_inverse=True)
        return tuple(Cell(languages[key // width], candidates[key % width]) for key in present.tolist()), cells

    @cached_property
    def list_cells(self) -> tuple[tuple[Cell, ...], IntArray]:
        """Cells of the lists themselves."""
        return self._cells(self.lists.pools, self._query_languages)

    @cached_property
    def row_cells(self) -> tuple[tuple[Cell, ...], IntArray]:
        """Cells of the rows: query language and the relevant's own language."""
        return self._cells(self.lists.columns, self._query_languages[self.lists.rows])

    @cached_property
    def column_cells(self) -> tuple[tuple[Cell, ...], IntArray]:
        """Cells of each list and each language of candidates, list by list."""
        n = len(self.ranks.columns)
        return self._cells(np.tile(np.arange(n), len(self.lists)), np.repeat(self._query_languages, n))

    def absent(self, cells: tuple[Cell, ...], *, per_row: bool) -> tuple[Cell, ...]:
        """The cells of this family, among all languages of queries and columns, that no question has a value in."""
        present, group = set(cells), self._groups
        pairs = [
            Cell(query, candidate)
            for query in self.ranks.all_languages
            if query in self._with_queries
            for candidate in (self.ranks.columns if per_row or self.setting != MULTILINGUAL else (None,))
            if self.setting == MULTILINGUAL or (query == candidate) == (self.setting == MONOLINGUAL)
            if candidate is None or group.get(query) == group.get(candidate)
        ]
        return tuple(cell for cell in pairs if cell not in present)

    @cached_property
    def _groups(self) -> dict[str, int]:
        """The group of each language of separate ranks: what lies between two groups is no part of the task."""
        if not self.ranks.separate:
            return {}
        columns = [self.ranks.columns[column] for column in self.ranks.relevant_columns.tolist()]
        asked = [self.ranks.query_languages[query] for query in self.ranks.row_queries.tolist()]
        return joined_languages(zip(asked, columns, strict=True))

    @cached_property
    def _with_queries(self) -> frozenset[str]:
        return frozenset(self.ranks.query_languages)

    @cached_property
    def tied(self) -> FloatArray:
        """Share of each list's relevants that tie with another candidate of the pool, float64 `[lists]`."""
        return self.lists.sum_rows((self.lists.tied > 1).astype(np.float64)) / self.lists.n_relevants

    @cached_property
    def tied_lists(self) -> IntArray:
        """Indices of the lists with a tied relevant."""
        return np.flatnonzero(self.lists.has_ties)

    @cached_property
    def worst(self) -> RankedLists:
        """The lists with ties, ties broken against the relevants."""
        return self.lists.take(self.tied_lists).pessimistic()

    @cached_property
    def best(self) -> RankedLists:
        """The lists with ties, ties broken in favour of the relevants."""
        return self.lists.take(self.tied_lists).optimistic()


@dataclass(frozen=True)
class PerQuery:
    """What a score is made of: for each value its query, its cell and the number itself.

    Attributes:
        metric: the metric.
        setting: the family of settings.
        cells: the settings proper.
        cell: cell of each value, int64 `[values]`.
        queries: query index of each value, int64 `[values]`.
        values: float64 `[values]`, NaN where undefined; for a set statistic empty.
        features: of a set statistic, float64 `[values, f]`, else None.
        pessimistic, optimistic: values under the worst and the best order of tied candidates, or None.
        tied: share of tied relevants behind each value, float64 `[values]`.
        random_reference, floor, ceiling: per value, or None.
        undefined_reason: why no value is defined at all, or None.
        absent: settings proper of the same languages that have no value, because no question is in both languages.
    """

    metric: Metric
    setting: str
    cells: tuple[Cell, ...]
    cell: IntArray
    queries: IntArray
    values: FloatArray
    tied: FloatArray
    features: FloatArray | None = None
    pessimistic: FloatArray | None = None
    optimistic: FloatArray | None = None
    random_reference: FloatArray | None = None
    floor: FloatArray | None = None
    ceiling: FloatArray | None = None
    undefined_reason: str | None = None
    absent: tuple[Cell, ...] = ()


def setting_views(ranks: Ranks, settings: tuple[str, ...]) -> dict[str, SettingView]:
    """The lists of each family of settings, from one set of ranks."""
    views: dict[str, SettingView] = {}
    if MONOLINGUAL in settings or CROSS_LINGUAL in settings:
        lists = bilingual_lists(ranks)
        own = lists.pools == lists.query_columns
        for setting, chosen in ((MONOLINGUAL, own), (CROSS_LINGUAL, ~own)):
            if setting in settings:
                views[setting] = SettingView(ranks, setting, lists.take(np.flatnonzero(chosen)))
    if MULTILINGUAL in settings:
        views[MULTILINGUAL] = SettingView(ranks, MULTILINGUAL, multilingual_lists(ranks))
    return views


def per_query(metric: Metric, view: SettingView) -> PerQuery:
    """Compute `metric` for every query of the view.

    Undefined as a whole, with a reason, where the ranking is cut and the measure needs full depth, or where a set
    statistic does not fit the task.
    """
    if metric.of_pairs is not None:
        return _per_pair(metric, metric.of_pairs, view)
    lists, cells, cell, of_value = view.lists, *view.list_cells, None
    if metric.per_row:
        cells, cell, of_value = *view.row_cells, view.lists.rows
    elif metric.per_column:
        cells, cell = view.column_cells
        of_value = np.repeat(np.arange(len(lists)), len(view.ranks.columns))
    nothing = PerQuery(
        metric,
        view.setting,
        cells=cells,
        cell=cell,
        queries=lists.queries if of_value is None else lists.queries[of_value],
        values=np.full(len(cell), np.nan),
        tied=view.tied if of_value is None else view.tied[of_value],
        absent=view.absent(cells, per_row=metric.of_cells),
    )
    statistic = metric.set_statistic
    reason = None
    if metric.full_depth and view.ranks.depth is not None:
        reason = CENSORED
    elif view.setting == MULTILINGUAL and view.ranks.separate:
        reason = SEPARATE
    elif metric.needs_tops and lists.tops is None:
        reason = NO_TOPS
    elif metric.needs_hits and lists.hits is None:
        reason = NO_HITS
    elif metric.rule not in ("", view.ranks.rule):
        reason = NO_JUDGED
    elif statistic is not None:
        reason = statistic.why_undefined(lists)
    if reason is not None:
        return replace(nothing, undefined_reason=reason)
    if statistic is not None:
        return replace(nothing, features=statistic.features(lists))
    kernel = metric.kernel
    if kernel is None:
        raise TypeError(f"the metric {metric.name!r} has neither kernel nor set statistic")

    if metric.graded:
        view = view.graded
    values = view.apply(kernel).ravel()
    optional: dict[str, Any] = {
        name: view.apply(function).ravel()
        for name in ("random_reference", "floor", "ceiling")
        if (function := getattr(metric, name)) is not None
    }
    if metric.kind == "score":
        optional |= {"pessimistic": values, "optimistic": values}
        if len(view.tied_lists):
            for name, order in (("pessimistic", view.worst), ("optimistic", view.best)):
                optional[name] = values.copy()
                optional[name][view.tied_lists] = kernel(order)
    return replace(nothing, values=values, **optional)


def _per_pair(metric: Metric, function: PairFunction, view: SettingView) -> PerQuery:
    """The values of a measure of two queries of one question; the cells are pairs of their languages."""
    ranks, hits = view.ranks, view.lists.hits
    none = np.zeros(0, dtype=np.int64)
    nothing = PerQuery(metric, view.setting, (), none, none, np.zeros(0), np.zeros(0))
    if hits is None or hits.places is None:
        return replace(nothing, undefined_reason=NO_HITS if hits is None else NO_PLACES)
    first, second, values, by_chance = function(ranks, view.lists.queries)
    if not len(first):
        return replace(nothing, undefined_reason=NO_PAIRS)
    languages, number = ranks.all_languages, ranks.query_numbers
    keys, cell = np.unique(number[first] * len(languages) + number[second], return_inverse=True)
    cells = tuple(Cell(languages[key // len(languages)], languages[key % len(languages)]) for key in keys.tolist())
    tied = np.zeros(ranks.n_queries)
    tied[view.lists.queries] = view.tied
    return replace(
        nothing, cells=cells, cell=cell, queries=first, values=values, tied=tied[first], random_reference=by_chance
    )
