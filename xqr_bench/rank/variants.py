"""What is counted beside the strict ranks, in the same pass over the scores: the top, and other rules of relevance.

Lenient: an irrelevant sentence of a relevant's paragraph that contains the answer leaves the ranking; the strict
counts less those of the sentences that left are the ranks. Paragraph: every sentence of a paragraph that holds a
relevant is relevant; some fifty a query, so their counts are kept for the whole pool and for their own language only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core.types import LENIENT, PARAGRAPH, IntArray, Ranks, TaskData
from xqr_bench.rank.counting import Columns, Counter, Panel
from xqr_bench.rank.product import Vectors


def group_relevants(data: TaskData) -> list[tuple[int, ...]]:
    """For each query the ascending indices of all candidates of the groups (paragraphs) that hold a relevant of it."""
    members: defaultdict[str, list[int]] = defaultdict(list)
    for index, candidate in enumerate(data.candidates):
        members[candidate.unit].append(index)
    known: dict[tuple[int, ...], tuple[int, ...]] = {}  # translations share their relevants
    found = []
    for relevant in data.relevants:
        if relevant not in known:
            groups = dict.fromkeys(data.candidates[index].unit for index in relevant)
            known[relevant] = tuple(sorted(index for group in groups for index in members[group]))
        found.append(known[relevant])
    return found


class _Taken:
    """Some candidates of each query, and their scores as they come by.

    Attributes:
        offsets: int64 `[queries + 1]`.
        positions: candidate index, ascending within a query, int64 `[rows]`.
        pooled, own: their scores in the whole pool and in their own language's ranking, float32 `[rows]`; the same
            array where that is a part of the pooled one.
    """

    def __init__(self, chosen: Sequence[Sequence[int]]) -> None:
        self.offsets = np.append(0, np.cumsum([len(found) for found in chosen], dtype=np.int64))
        self.positions = np.fromiter(chain.from_iterable(chosen), dtype=np.int64, count=int(self.offsets[-1]))
        self.pooled = self.own = np.empty(len(self.positions), dtype=np.float32)

    def rows(self, start: int, stop: int) -> tuple[slice, IntArray, IntArray]:
        """Rows of these queries, where each query's begin among them, and the query of each."""
        rows = slice(int(self.offsets[start]), int(self.offsets[stop]))
        offsets = self.offsets[start : stop + 1] - self.offsets[start]
        return rows, offsets, np.repeat(np.arange(stop - start), np.diff(offsets))


class Variants:
    """Counts the top of each ranking, and the rules of relevance that the task declares.

    Scores come as the blocks and panels of `exact_ranks` (`find` for all panels, then `count`), or whole
    (`count_block`); several threads may give blocks of different queries.

    Args:
        data: the task.
        separate: a language's ranking is not a part of the pooled one: `count_block` is given scores of both.
    """

    def __init__(self, data: TaskData, *, separate: bool = False) -> None:
        n_columns = len(data.languages)
        self._data = data
        self._edges = data.edges
        self._columns = data.candidate_columns
        self._best = np.full((len(data.queries), n_columns), -np.inf, dtype=np.float32)
        self._count = np.zeros((len(data.queries), n_columns), dtype=np.int32)
        self._strict = self._echoes = self._paragraph = None
        if LENIENT in data.relevance and data.echoes is not None:
            self._strict, self._echoes = _Taken(data.relevants), _Taken(data.echoes)
        if PARAGRAPH in data.relevance:
            self._paragraph = _Taken(group_relevants(data))
            self._counts = np.zeros((4, len(self._paragraph.positions)), dtype=np.int32)
        self._taken = [found for found in (self._strict, self._echoes, self._paragraph) if found is not None]
        if separate:
            for found in self._taken:
                found.own = np.empty_like(found.pooled)

    def find(self, counter: Counter, panel: Panel, start: int, stop: int) -> None:
        """Take the scores of the relevants, and of the sentences that may leave, that a scored panel holds.

        Args:
            counter: has scored the queries `start:stop` against the panel.
            panel: a panel of its columns.
            start, stop: the queries.
        """
        for taken in self._taken:
            rows, _, of_row = taken.rows(start, stop)
            here, places = counter.columns.local(counter.columns.of(taken.positions[rows]), panel)
            if len(places):
                taken.pooled[rows][here] = counter.at(of_row[here], places)

    def count(self, counter: Counter, panel: Panel, start: int, stop: int) -> None:
        """Count in a scored panel; arguments as for `find`."""
        counter.top(self._best[start:stop], self._count[start:stop])
        if self._paragraph is not None:
            scores, columns = counter.scores(), counter.columns
            self._count_paragraphs(self._paragraph, scores, columns.languages_in(panel), start, stop)
            if panel.group_stop > panel.group_start:
                self._count_groups(self._paragraph, scores, columns, panel, start, stop)

    def count_block(self, start: int, pooled: Vectors, own: Vectors) -> None:
        """Find and count in scores of the whole pool.

        Args:
            start: the first query.
            pooled, own: see `ScoreBlock`.
        """
        from xqr_bench.rank.kernels import count_top

        stop = start + len(pooled)
        for taken in self._taken:
            rows, _, of_row = taken.rows(start, stop)
            taken.pooled[rows] = pooled[of_row, taken.positions[rows]]
            taken.own[rows] = own[of_row, taken.positions[rows]]
        count_top(pooled, self._edges, self._best[start:stop], self._count[start:stop])
        if self._paragraph is not None:
            self._count_paragraphs(self._paragraph, pooled, self._edges, start, stop, own)

    def _count_paragraphs(
        self, taken: _Taken, pooled: Vectors, edges: IntArray, start: int, stop: int, own: Vectors | None = None
    ) -> None:
        from xqr_bench.rank.kernels import count_own, count_pool

        rows, offsets, _ = taken.rows(start, stop)
        gt, eq, own_gt, own_eq = self._counts[:, rows]
        count_pool(pooled, int(edges[-1]), offsets, taken.pooled[rows], gt, eq)
        columns = self._columns[taken.positions[rows]]
        count_own(pooled if own is None else own, edges, offsets, columns, taken.own[rows], own_gt, own_eq)

    def _count_groups(
        self, taken: _Taken, scores: Vectors, columns: Columns, panel: Panel, start: int, stop: int
    ) -> None:
        """Count candidates whose vector occurs more than once, by group."""
        from xqr_bench.rank.kernels import count_groups

        rows, offsets, _ = taken.rows(start, stop)
        gt, eq = np.zeros((2, rows.stop - rows.start, len(self._edges) - 1), dtype=np.int32)
        count_groups(scores, *columns.groups_in(panel), offsets, taken.pooled[rows], gt, eq)
        each, own = np.arange(len(gt)), self._columns[taken.positions[rows]]
        for kept, found in zip(
            self._counts[:, rows], (gt.sum(axis=1), eq.sum(axis=1), gt[each, own], eq[each, own]), strict=True
        ):
            kept += found.astype(np.int32)

    def attach(self, ranks: Ranks) -> Ranks:
        """The strict ranks with everything that was counted beside them."""
        best = self._best.max(axis=1, keepdims=True)
        return self.rules(replace(ranks, top=np.where(self._best == best, self._count, np.int32(0))))

    def take_counts(self, pooled: tuple[IntArray, IntArray], own: tuple[IntArray, IntArray]) -> None:
        """Take what was counted elsewhere instead of scores: fewer candidates above stand for a higher score.

        Args:
            pooled: candidates of the whole pool above and beside each sentence of `group_relevants`, int64
                `[rows]` in their order; -1 above where it has no rank.
            own: the same in its own language's ranking.
        """
        every = _Taken(group_relevants(self._data))
        keys = self._keys(every)
        for taken in self._taken:
            at = np.searchsorted(keys, self._keys(taken))
            for scores, (above, _) in ((taken.pooled, pooled), (taken.own, own)):
                scores[:] = np.where(above[at] < 0, -np.inf, -above[at])
        if self._paragraph is not None:
            self._counts[:] = np.stack([*pooled, *own])

    def _keys(self, taken: _Taken) -> IntArray:
        rows = np.repeat(np.arange(len(self._best)), np.diff(taken.offsets))
        return np.asarray(rows * max(1, len(self._columns)) + taken.positions)

    def rules(self, ranks: Ranks) -> Ranks:
        """The strict ranks with those under the other rules of relevance."""
        variants: dict[str, Ranks] = {}
        if self._strict is not None and self._echoes is not None:
            variants[LENIENT] = self._lenient(ranks, self._strict, self._echoes)
        if self._paragraph is not None:
            variants[PARAGRAPH] = self._of_paragraphs(ranks, self._paragraph)
        return replace(ranks, variants=variants)

    def _lenient(self, ranks: Ranks, strict: _Taken, echoes: _Taken) -> Ranks:
        n_echoes = np.diff(echoes.offsets)
        # every pair of a relevant and a sentence that leaves, of one query
        times = n_echoes[ranks.row_queries]
        rows = np.repeat(np.arange(ranks.n_relevants), times)
        within = np.arange(len(rows)) - np.repeat(np.cumsum(times) - times, times)
        which = echoes.offsets[ranks.row_queries[rows]] + within
        columns = self._columns[echoes.positions]
        gt, eq = ranks.gt.copy(), ranks.eq.copy()
        known = strict.pooled[rows] > -np.inf  # a relevant that was not retrieved has no counts to change
        pair, inside = which[known], rows[known]
        here = (inside, columns[pair])
        np.subtract.at(gt, here, (echoes.pooled[pair] > strict.pooled[inside]).astype(np.int32))
        np.subtract.at(eq, here, (echoes.pooled[pair] == strict.pooled[inside]).astype(np.int32))
        removed = np.zeros((ranks.n_queries, len(ranks.columns)), dtype=np.int32)
        np.add.at(removed, (np.repeat(np.arange(ranks.n_queries), n_echoes), columns), 1)
        lenient = replace(ranks, gt=gt, eq=eq, removed=removed, top=None)
        if ranks.own_gt is not None and ranks.own_eq is not None:
            same = (columns[which] == ranks.relevant_columns[rows]) & (strict.own[rows] > -np.inf)
            pair, inside = which[same], rows[same]
            own_gt, own_eq = ranks.own_gt.copy(), ranks.own_eq.copy()
            np.subtract.at(own_gt, inside, (echoes.own[pair] > strict.own[inside]).astype(np.int32))
            np.subtract.at(own_eq, inside, (echoes.own[pair] == strict.own[inside]).astype(np.int32))
            lenient = replace(lenient, own_gt=own_gt, own_eq=own_eq)
        return lenient

    def _of_paragraphs(self, ranks: Ranks, taken: _Taken) -> Ranks:
        n = max(1, len(self._columns))
        rows = np.repeat(np.arange(ranks.n_queries), np.diff(taken.offsets))
        others = ~np.isin(rows * n + taken.positions, ranks.row_queries * n + self._data.positions)
        gt, eq, own_gt, own_eq = self._counts[:, others]
        for scores, above, beside in ((taken.pooled, gt, eq), (taken.own, own_gt, own_eq)):
            missing = np.isneginf(scores[others])
            above[missing], beside[missing] = -1, 0
        return with_paragraphs(ranks, rows[others], self._columns[taken.positions[others]], gt, eq, own_gt, own_eq)


def _order(groups: IntArray, own_gt: NDArray[np.int32], gt: NDArray[np.int32]) -> IntArray:
    """By group, then counts, stable; as one number a row where it fits: half a million rows sort five times as fast."""
    counts = [values.astype(np.int64) for values in (own_gt, gt)]
    widths = [int(values.max(initial=0)) + 1 for values in counts]
    lowest = min(int(values.min(initial=0)) for values in (groups, *counts))
    if lowest < 0 or (int(groups.max(initial=0)) + 1) * widths[0] * widths[1] >= 2**63:
        return np.lexsort((gt, own_gt, groups))
    return np.argsort((groups * widths[0] + counts[0]) * widths[1] + counts[1], kind="stable")


def with_paragraphs(
    ranks: Ranks,
    queries: IntArray,
    columns: IntArray,
    gt: NDArray[np.int32],
    eq: NDArray[np.int32],
    own_gt: NDArray[np.int32],
    own_eq: NDArray[np.int32],
) -> Ranks:
    """Ranks in which the other sentences of the paragraphs are relevants too.

    Their order: by query, then column, then the strict relevants before the others, then rank.

    Args:
        ranks: the strict ranks.
        queries, columns: query and column of each other sentence, int64 `[others]`.
        gt, eq: its counts in the whole pool, int32 `[others]`.
        own_gt, own_eq: its counts in its own language.
    """
    each = np.arange(ranks.n_relevants)
    own = ranks.relevant_columns
    strict = (
        np.where((ranks.gt < 0).any(axis=1), np.int32(-1), ranks.gt.sum(axis=1, dtype=np.int32)),
        ranks.eq.sum(axis=1, dtype=np.int32),
        ranks.gt[each, own] if ranks.own_gt is None else ranks.own_gt,
        ranks.eq[each, own] if ranks.own_eq is None else ranks.own_eq,
    )
    all_gt, all_eq, all_own_gt, all_own_eq = (
        np.concatenate(pair) for pair in zip(strict, (gt, eq, own_gt, own_eq), strict=True)
    )
    rows, in_columns = np.concatenate([ranks.row_queries, queries]), np.concatenate([own, columns])
    other = np.arange(len(rows)) >= ranks.n_relevants
    groups = 2 * (rows * len(ranks.columns) + in_columns) + other
    order = _order(groups, all_own_gt, all_gt)
    return Ranks(
        task=ranks.task,
        columns=ranks.columns,
        column_sizes=ranks.column_sizes,
        query_ids=ranks.query_ids,
        question_ids=ranks.question_ids,
        query_languages=ranks.query_languages,
        articles=ranks.articles,
        offsets=np.append(0, np.cumsum(np.bincount(rows, minlength=ranks.n_queries))),
        relevant_ids=(),
        relevant_columns=in_columns[order],
        gains=np.ones(len(order)),
        gt=all_gt[order, None],
        eq=all_eq[order, None],
        own_gt=all_own_gt[order],
        own_eq=all_own_eq[order],
        top=ranks.top,
        depth=ranks.depth,
    )
