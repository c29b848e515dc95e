"""Scores -> ranks under every rule of relevance, in one pass over them.

Strict: a query's relevants, and nothing else. Lenient: an irrelevant sentence of a relevant's paragraph that contains
the answer leaves the ranking; the strict counts less those of the sentences that left are the ranks. Paragraph: every
sentence of a paragraph that holds a relevant is relevant; some fifty a query, so their counts are kept for the whole
pool and for their own language only. Judged: what nobody judged leaves the ranking; the judged candidates above and
beside a relevant are its ranks. Which metrics are scored under each rule stands here too (docs/relevance.md); strict
stays the headline.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core.collection import ids_of
from xqr_bench.core.errors import RanksError
from xqr_bench.core.types import (
    JUDGED,
    LENIENT,
    N_HITS,
    PARAGRAPH,
    STRICT,
    VARIANTS,
    Counts,
    Hits,
    IntArray,
    Ranks,
    TaskData,
    Texts,
    collapses,
)
from xqr_bench.rank.counting import Block

BPREF = "bpref"
_SCORES = ("map", "mrr", "recall@1", "recall@10", "success@1", "success@10", "ndcg@10", "language_ndcg@10")
_TOPS = ("top_right_own", "top_right_other", "top_wrong_own", "top_wrong_other")
_METRICS = {
    LENIENT: (*_SCORES, "rank_distance", "rank_variance", "own_language_first"),
    PARAGRAPH: (*_SCORES, "own_language_first", *_TOPS),
    JUDGED: ("map", "mrr", "recall", "success", "ndcg", "language_ndcg", BPREF),
}
"""What is scored under each rule; a name without its cutoff stands for every one. Paragraph relevance has several
relevants a language, so that distances between relevants are not distances between languages; the top of a lenient or
judged ranking is not counted."""


def variant_metrics(rule: str, metrics: Sequence[str]) -> list[str]:
    """Those of a task's metrics that are scored under a rule of relevance, in their order; under strict all of them.

    Of judged candidates bpref always is: it is the measure made for them.
    """
    if rule == STRICT:
        return list(metrics)
    wanted = dict.fromkeys([*metrics, BPREF] if rule == JUDGED else metrics)
    return [metric for metric in wanted if not {metric, metric.partition("@")[0]}.isdisjoint(_METRICS[rule])]


def too_shallow(variant: Ranks, metrics: Sequence[str]) -> str | None:
    """Why a ranking is cut too high for the metrics once candidates have left it, or None."""
    if variant.depth is None or variant.removed is None:
        return None
    most = int(variant.removed.sum(axis=1).max(initial=0))
    cutoff = max((int(name.partition("@")[2] or 0) for name in metrics), default=0)
    if variant.depth - most >= cutoff:
        return None
    leaving = "candidates" if variant.rule == JUDGED else "sentences"
    return f"the ranking is cut at {variant.depth:,}; up to {most} {leaving} leave it, and {cutoff} have to be left"


def ranks_of(data: TaskData, gt: NDArray[np.int32], eq: NDArray[np.int32], depth: int | None = None) -> Ranks:
    """Strict counts, int32 `[relevants, languages]`, with the task's ids; `depth`: where the ranking was cut."""
    return Ranks(
        task=data.name,
        columns=data.languages,
        column_sizes=data.column_sizes,
        question_ids=[query.question for query in data.queries],
        query_languages=[query.language for query in data.queries],
        articles=np.array(data.clusters, dtype=np.int64),
        offsets=data.offsets,
        relevant_ids=Texts(ids_of(data.candidates), data.positions),
        relevant_columns=data.candidate_columns[data.positions],
        gains=data.row_gains,
        relevant_from=data.relevant_from,
        gt=gt,
        eq=eq,
        depth=depth,
    )


def own_and_others(top: NDArray[np.int32], columns: IntArray) -> NDArray[np.int32]:
    """What stands first in one language of each query, its own, and in all others, int32 `[queries, 2]`.

    Args:
        top: by language, int32 `[queries, languages]`.
        columns: the language of each query, -1: none, int64 `[queries]`.
    """
    own = np.where(columns >= 0, top[np.arange(len(top)), columns], np.int32(0))
    return np.column_stack([own, top.sum(axis=1, dtype=np.int32) - own])


def group_relevants(data: TaskData) -> list[tuple[int, ...]]:
    """For each query the ascending indices of all candidates of the groups (paragraphs) that hold a relevant of it."""
    members: defaultdict[str, list[int]] = defaultdict(list)
    for index, candidate in enumerate(data.candidates):
        members[candidate.unit].append(index)
    of_relevants: dict[tuple[int, ...], tuple[int, ...]] = {}  # translations share their relevants
    for relevants in data.relevants:
        if relevants not in of_relevants:
            units = dict.fromkeys(data.candidates[index].unit for index in relevants)
            of_relevants[relevants] = tuple(sorted(index for unit in units for index in members[unit]))
    return [of_relevants[relevants] for relevants in data.relevants]


def judged_candidates(data: TaskData) -> list[tuple[int, ...]] | None:
    """For each query the ascending indices of all candidates that were judged; None where the task does not ask."""
    if JUDGED not in data.relevance or data.irrelevant is None:
        return None
    both = zip(data.relevants, data.irrelevant, strict=True)
    return [tuple(sorted({*relevants, *others})) for relevants, others in both]


class _Chosen:
    """Some candidates of each query, and their scores as they come by.

    Attributes:
        offsets: int64 `[queries + 1]`.
        positions: candidate index, ascending within a query, int64 `[rows]`.
        pooled, own: their scores in the whole pool and in their own language's ranking, float32 `[rows]`; the same
            array where that is a part of the pooled one.
    """

    def __init__(self, data: TaskData, of_query: Sequence[Sequence[int]], own_lists: bool) -> None:
        same = of_query is data.relevants
        chosen = data if same else replace(data, relevants=tuple(map(tuple, of_query)), gains=None)
        self.offsets, self.positions = chosen.offsets, chosen.positions
        self._of_candidates = data.candidate_columns
        self.pooled = np.empty(len(self.positions), dtype=np.float32)
        self.own = np.empty_like(self.pooled) if own_lists else self.pooled

    def rows(self, start: int, stop: int) -> tuple[slice, IntArray]:
        """The rows of these queries, and where each query's begin among them."""
        offsets = self.offsets[start : stop + 1]
        return slice(int(offsets[0]), int(offsets[-1])), offsets - offsets[0]

    def columns_of(self, rows: slice) -> IntArray:
        """Language of each of some rows, int64; of millions of rows `columns` would stay in memory."""
        return self._of_candidates[self.positions[rows]]

    @cached_property
    def columns(self) -> IntArray:
        """Language of each row, int64 `[rows]`."""
        return self.columns_of(slice(None))

    @cached_property
    def queries(self) -> IntArray:
        """Query of each row, int64 `[rows]`."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))

    def keys(self, n_candidates: int) -> IntArray:
        """One number for each query and candidate, ascending, int64 `[rows]`."""
        return self.queries * max(1, n_candidates) + self.positions


class Tally:
    """Counts the strict ranks, the top of each ranking, its best candidates, and what the task's other rules ask for.

    Scores come in blocks: first `find` in every part of the columns, then `count` in every part. Several threads may
    give blocks of different queries. A score of -inf: the candidate was not retrieved, and has no rank.

    Of more than MOST_COLUMNS languages the strict ranks are collapsed (see `Ranks.own_parts`), as those of the
    paragraph rule always are; the counts of each language are never made.

    Args:
        data: the task.
        own_lists: a language's ranking is one of its own, and no part of the pooled one: blocks of both are given.
    """

    def __init__(self, data: TaskData, *, own_lists: bool = False) -> None:
        self._data, self._own_lists = data, own_lists
        self._strict = _Chosen(data, data.relevants, own_lists)
        self._echoes = self._paragraph = self._judged = None
        if LENIENT in data.relevance and data.echoes is not None:
            self._echoes = _Chosen(data, data.echoes, own_lists)
        if PARAGRAPH in data.relevance:
            self._paragraph = _Chosen(data, group_relevants(data), own_lists)
            self._of_paragraphs = Counts.zeros(len(self._paragraph.positions))
        if (judged := judged_candidates(data)) is not None:
            self._judged = _Chosen(data, judged, own_lists)
        named = zip((STRICT, *VARIANTS), (self._strict, self._echoes, self._paragraph, self._judged), strict=True)
        self._named = [(name, rows) for name, rows in named if rows is not None]
        self._chosen = [rows for _, rows in self._named]
        self._collapsed, rows = collapses(data.languages), len(self._strict.positions)
        width = 1 if self._collapsed else len(data.languages)
        self._gt, self._eq = np.zeros((2, rows, width), dtype=np.int32)
        self._own_counts = np.zeros((2, rows), dtype=np.int32) if own_lists or self._collapsed else None
        self._query_counts = np.zeros((2, rows), dtype=np.int32) if self._collapsed else None
        self._best = np.full((len(data.queries), len(data.languages)), -np.inf, dtype=np.float32)
        self._at_best = np.zeros(self._best.shape, dtype=np.int32)
        shape = (len(data.queries), N_HITS)
        self._hit_scores = np.full(shape, -np.inf, dtype=np.float32)
        self._hit_places = np.full(shape, -1, dtype=np.int32)
        self._beyond = np.zeros(self._best.shape, dtype=np.int32)

    # What several processes count, each in some of the columns, is put together: the scores of the candidates that are
    # counted for, each of which one of them has found, then integers, whose sums do not depend on their order.

    def begin_finding(self) -> None:
        """Tell from now on which scores were found, and which were not."""
        for chosen in self._chosen:
            chosen.pooled[:] = np.nan

    def found(self) -> dict[str, NDArray[Any]]:
        """The scores that were found: which rows of which rule, int64, and their scores, float32."""
        made: dict[str, NDArray[Any]] = {}
        for name, chosen in self._named:
            rows = np.flatnonzero(~np.isnan(chosen.pooled))
            made |= {f"{name}.rows": rows, f"{name}.scores": chosen.pooled[rows]}
        return made

    def take_found(self, found: Mapping[str, NDArray[Any]]) -> None:
        """Take the scores that another process has found.

        Raises:
            RanksError: one was found before, in other columns.
        """
        for name, chosen in self._named:
            rows = found[f"{name}.rows"]
            if not np.isnan(chosen.pooled[rows]).all():
                raise RanksError(f"the score of a relevant of {self._data.name} was found in two places")
            chosen.pooled[rows] = found[f"{name}.scores"]

    def refuse_unfound(self) -> None:
        """Check that every score was found.

        Raises:
            RanksError: one was not.
        """
        for _, chosen in self._named:
            if missing := int(np.isnan(chosen.pooled).sum()):
                raise RanksError(f"the scores of {missing:,} relevants of {self._data.name} were found nowhere")

    def counted(self) -> dict[str, NDArray[Any]]:
        """What was counted so far."""
        made = {"gt": self._gt, "eq": self._eq, "best": self._best, "at_best": self._at_best}
        made |= {"hit_scores": self._hit_scores, "hit_places": self._hit_places, "beyond": self._beyond}
        if self._own_counts is not None:
            made["own_counts"] = self._own_counts
        if self._query_counts is not None:
            made["query_counts"] = self._query_counts
        if self._paragraph is not None:
            made |= {f"paragraph.{name}": counts for name, counts in self._of_paragraphs._asdict().items()}
        return made

    def take_counted(self, other: Mapping[str, NDArray[Any]]) -> None:
        """Add what was counted in other columns, with the same scores of the candidates that are counted for.

        Raises:
            RanksError: it has not the form of what is counted here.
        """
        from xqr_bench.rank.kernels import Standings, keep_best_of

        own = self.counted()
        forms = [{name: (one.shape, one.dtype) for name, one in counts.items()} for counts in (own, other)]
        if forms[0] != forms[1]:
            raise RanksError(f"these are not counts of {self._data.name}", found=f"{forms[1]}, not {forms[0]}")
        best = np.maximum(self._best, other["best"])
        # where a language has the highest score of all, it has that of its columns too, and the number is meant
        counts = zip((self._best, other["best"]), (self._at_best, other["at_best"]), strict=True)
        self._at_best[:] = sum(np.where(score == best, number, np.int32(0)) for score, number in counts)
        self._best[:] = best
        rows, at = np.nonzero(other["hit_places"] >= 0)
        places, scores = other["hit_places"][rows, at].astype(np.int64), other["hit_scores"][rows, at]
        standings = Standings(self._hit_scores, self._hit_places, self._beyond)
        keep_best_of(rows, places, scores, self._data.candidate_columns, standings)
        # what tied with the last of theirs stands behind all of theirs: it counts where that score is still the last
        last = other["hit_scores"][:, -1] == self._hit_scores[:, -1]
        self._beyond[last] += other["beyond"][last]
        for name in own.keys() - {"best", "at_best", "hit_scores", "hit_places", "beyond"}:
            own[name] += other[name]

    def find(self, start: int, pooled: Block, own: Block | None = None) -> None:
        """Take the scores of the candidates that are counted for, as far as these columns hold them.

        Args:
            start: the first query of the blocks.
            pooled: scores that rank the whole pool.
            own: scores that rank each language by itself; None: the pooled ones.
        """
        for chosen in self._chosen:
            rows, offsets = chosen.rows(start, start + len(pooled))
            of_row, positions = np.repeat(np.arange(len(pooled)), np.diff(offsets)), chosen.positions[rows]
            for block, scores in ((pooled, chosen.pooled), (own, chosen.own)):
                if block is not None:
                    here, values = block.at(of_row, positions)
                    scores[rows][here] = values

    def count(self, start: int, pooled: Block, own: Block | None = None) -> None:
        """Count in these columns; arguments as for `find`, which has seen all columns."""
        from xqr_bench.rank.kernels import Standings

        stop = start + len(pooled)
        of_own = pooled if own is None else own
        pooled.top(self._best[start:stop], self._at_best[start:stop])
        part = slice(start, stop)
        pooled.best(Standings(self._hit_scores[part], self._hit_places[part], self._beyond[part]))
        rows, offsets = self._strict.rows(start, stop)
        columns, thresholds = self._strict.columns_of(rows), self._strict.pooled[rows]
        if self._collapsed:
            pooled.count_pool(offsets, thresholds, self._gt[rows, 0], self._eq[rows, 0])
        else:
            pooled.count(offsets, thresholds, self._gt[rows], self._eq[rows])
        if self._own_counts is not None:
            of_own.count_own(offsets, columns, self._strict.own[rows], *self._own_counts[:, rows])
        if self._query_counts is not None:
            asked_in = np.repeat(self._query_columns[start:stop], np.diff(offsets))
            pooled.count_own(offsets, asked_in, thresholds, *self._query_counts[:, rows])
        if self._paragraph is not None:
            rows, offsets = self._paragraph.rows(start, stop)
            counts = self._of_paragraphs.take(rows)
            pooled.count_pool(offsets, self._paragraph.pooled[rows], counts.gt, counts.eq)
            columns, thresholds = self._paragraph.columns_of(rows), self._paragraph.own[rows]
            of_own.count_own(offsets, columns, thresholds, counts.own_gt, counts.own_eq)

    @cached_property
    def _query_columns(self) -> IntArray:
        """The column of each query's own language, -1 where it has none, int64 `[queries]`."""
        column = {language: number for number, language in enumerate(self._data.languages)}
        return np.array([column.get(query.language, -1) for query in self._data.queries], dtype=np.int64)

    def ranks(self, depth: int | None = None) -> Ranks:
        """What was counted; `depth`: where the rankings were cut."""
        counts = [(self._gt, self._eq, self._strict.pooled)]
        made: dict[str, Any] = {}
        if self._own_counts is not None:
            made["own_gt"], made["own_eq"] = self._own_counts
            counts.append((*self._own_counts, self._strict.own))
        if self._query_counts is not None:
            made["query_gt"], made["query_eq"] = self._query_counts
            counts.append((*self._query_counts, self._strict.pooled))
        for gt, eq, scores in counts:
            missing = np.isneginf(scores)
            gt[missing], eq[missing] = -1, 0
        top = np.where(self._best == self._best.max(axis=1, keepdims=True), self._at_best, np.int32(0))
        if self._collapsed:
            made |= {"own_parts": not self._own_lists, "own_top": own_and_others(top, self._query_columns)}
        else:
            made["top"] = top
        strict = ranks_of(self._data, self._gt, self._eq, depth)
        if depth is None or depth >= N_HITS:  # a pool put together of lists that are cut is exact down to that depth
            made["hits"] = Hits.of(self._hit_places, self._hit_scores, self._beyond, self._data.candidate_columns)
        return self.with_rules(replace(strict, **made))

    def take_counts(self, counts: Counts) -> None:
        """Take what was counted elsewhere instead of scores: fewer candidates above stand for a higher score.

        Args:
            counts: of each sentence of `group_relevants`, in their order; -1 above where it has no rank.
        """
        every = _Chosen(self._data, group_relevants(self._data), own_lists=False)
        n_candidates = len(self._data.candidates)
        for chosen in self._chosen:
            at = np.searchsorted(every.keys(n_candidates), chosen.keys(n_candidates))
            for scores, above in ((chosen.pooled, counts.gt), (chosen.own, counts.own_gt)):
                scores[:] = np.where(above[at] < 0, -np.inf, -above[at].astype(np.float32))
        self._of_paragraphs = counts

    def with_rules(self, strict: Ranks) -> Ranks:
        """The strict ranks with those under the other rules of relevance."""
        variants: dict[str, Ranks] = {}
        for rule, chosen in ((LENIENT, self._echoes), (JUDGED, self._judged)):
            if chosen is not None:
                variants[rule] = self._without(strict, rule, chosen)
        if self._paragraph is not None:
            n_candidates = len(self._data.candidates)
            others = np.ones(len(self._paragraph.positions), dtype=np.bool_)
            others[np.searchsorted(self._paragraph.keys(n_candidates), self._strict.keys(n_candidates))] = False
            counts = self._of_paragraphs.take(others)
            for scores, above, same in (
                (self._paragraph.pooled, counts.gt, counts.eq),
                (self._paragraph.own, counts.own_gt, counts.own_eq),
            ):
                missing = np.isneginf(scores[others])
                above[missing], same[missing] = -1, 0
            variants[PARAGRAPH] = with_paragraphs(
                strict, self._paragraph.queries[others], self._paragraph.columns[others], counts
            )
        return replace(strict, variants=variants)

    def _without(self, ranks: Ranks, rule: str, others: _Chosen) -> Ranks:
        """Ranks of which some candidates left: the others (lenient), or all but the others (judged)."""
        # every pair of a relevant and one of the others, of one query
        times = np.diff(others.offsets)[ranks.row_queries]
        rows = np.repeat(np.arange(ranks.n_relevants), times)
        paired = np.arange(len(rows)) - np.repeat(np.cumsum(times) - times, times)
        paired += others.offsets[ranks.row_queries[rows]]
        columns = others.columns[paired]

        def counted(kind: str, pairs: NDArray[np.bool_], *, own: bool = False) -> NDArray[np.int32]:
            before: NDArray[np.int32] = getattr(ranks, kind)
            relevants, beside = (each.own if own else each.pooled for each in (self._strict, others))
            compare = np.greater if kind.endswith("gt") else np.equal
            place = rows[pairs] if own else (rows[pairs], columns[pairs] * (not self._collapsed))
            among = np.zeros_like(before)
            np.add.at(among, place, compare(beside[paired[pairs]], relevants[rows[pairs]]).astype(np.int32))
            # a relevant that was not retrieved has no counts to change
            return before - among if rule == LENIENT else np.where(before < 0, before, among)

        pairs = self._strict.pooled[rows] > -np.inf
        gt, eq = counted("gt", pairs), counted("eq", pairs)
        removed = np.zeros((ranks.n_queries, len(ranks.columns)), dtype=np.int32)
        np.add.at(removed, (others.queries, others.columns), 1)
        if rule == JUDGED:
            removed = (ranks.column_sizes - removed).astype(np.int32)
        left = what_is_left(ranks, rule, gt, eq, removed)
        if ranks.own_gt is None or ranks.own_eq is None:
            return left
        pairs = (columns == ranks.relevant_columns[rows]) & (self._strict.own[rows] > -np.inf)
        return replace(left, own_gt=counted("own_gt", pairs, own=True), own_eq=counted("own_eq", pairs, own=True))


def what_is_left(
    strict: Ranks, rule: str, gt: NDArray[np.int32], eq: NDArray[np.int32], removed: NDArray[np.int32]
) -> Ranks:
    """Ranks under a rule of LEAVING, with the strict counts of the own language where there are any.

    What stands first, and what is best, is not counted among those that are left; nor is the query's own language.
    """
    uncounted: dict[str, Any] = dict.fromkeys(("top", "own_top", "query_gt", "query_eq", "hits"))
    return replace(strict, gt=gt, eq=eq, removed=removed, rule=rule, variants={}, **uncounted)


def _order(groups: IntArray, counts: Counts) -> IntArray:
    """By group, then counts, stable; as one number a row where it fits: half a million rows sort five times as fast."""
    own_gt, gt = counts.own_gt.astype(np.int64), counts.gt.astype(np.int64)
    widths = [int(values.max(initial=0)) + 1 for values in (own_gt, gt)]
    lowest = min(int(values.min(initial=0)) for values in (groups, own_gt, gt))
    if lowest < 0 or (int(groups.max(initial=0)) + 1) * widths[0] * widths[1] >= 2**63:
        return np.lexsort((gt, own_gt, groups))
    return np.argsort((groups * widths[0] + own_gt) * widths[1] + gt, kind="stable")


def with_paragraphs(strict: Ranks, queries: IntArray, columns: IntArray, others: Counts) -> Ranks:
    """Ranks in which the other sentences of the paragraphs are relevants too.

    Their order: by query, then column, then the strict relevants before the others, then rank.

    Args:
        strict: the strict ranks.
        queries, columns: query and column of each other sentence, int64 `[others]`.
        others: their counts.
    """
    counts = Counts(*(np.concatenate(pair) for pair in zip(strict.counts, others, strict=True)))
    rows = np.concatenate([strict.row_queries, queries])
    in_columns = np.concatenate([strict.relevant_columns, columns])
    other = np.arange(len(rows)) >= strict.n_relevants
    order = _order(2 * (rows * len(strict.columns) + in_columns) + other, counts)
    return replace(
        strict,
        offsets=np.append(0, np.cumsum(np.bincount(rows, minlength=strict.n_queries))),
        relevant_ids=(),
        relevant_columns=in_columns[order],
        gains=np.ones(len(order)),
        relevant_from=0.0,
        rule=PARAGRAPH,
        gt=counts.gt[order, None],
        eq=counts.eq[order, None],
        own_gt=counts.own_gt[order],
        own_eq=counts.own_eq[order],
        query_gt=None,
        query_eq=None,
        variants={},
    )
