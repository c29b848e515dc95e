"""Ranks as ranked lists, and sums over them that are exact over random orders of ties."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma

from xqr_bench.core.types import FloatArray, Hits, IntArray, Ranks

# Ranks seen as ragged lists: the relevants of one query in one pool, with what stands above and beside them.

WHOLE_POOL = -1


class Tops(NamedTuple):
    """What stands first in each list: the candidates with the highest score, one or, where they tie, several.

    Attributes:
        size: how many they are, int64 `[lists]`.
        own: how many of them are in the query's own language, int64 `[lists]`.
        own_pool: candidates of the query's own language in the pool, int64 `[lists]`.
    """

    size: IntArray
    own: IntArray
    own_pool: IntArray


@dataclass(frozen=True)
class RankedLists:
    """One list of relevants for each (query, pool); the only thing a metric sees.

    Rows `offsets[i]:offsets[i + 1]` are the relevants of list i, ordered by `above`; those with equal `above` are
    in one block of tied candidates. A relevant that was not retrieved has no rank: `above` is -1 and it stands last.

    Attributes:
        offsets: int64 `[lists + 1]`.
        above: candidates of the pool that score above the relevant (G), int64 `[rows]`.
        tied: candidates of the pool that score the same, itself included (e), int64 `[rows]`.
        gains: gain of the relevant, float64 `[rows]`.
        columns: pool column (language) of the relevant, int64 `[rows]`.
        queries: query index of each list, int64 `[lists]`.
        pools: pool column of each list, WHOLE_POOL for all columns, int64 `[lists]`.
        pool_sizes: candidates in the pool of each list (N), int64 `[lists]`.
        query_columns: pool column of the query's own language, -1 when it has none, int64 `[lists]`.
        tops: what stands first; None where it was not counted, or the pool is a single language.
        hits: the best candidates of each list; None where they are not known, or the pool is a single language.
        column_sizes: candidates of each language in the pool, int64 `[columns]`; None where the hits are.
    """

    offsets: IntArray
    above: IntArray
    tied: IntArray
    gains: FloatArray
    columns: IntArray
    queries: IntArray
    pools: IntArray
    pool_sizes: IntArray
    query_columns: IntArray
    tops: Tops | None = None
    hits: Hits | None = None
    column_sizes: IntArray | None = None

    def __len__(self) -> int:
        return len(self.queries)

    @cached_property
    def n_relevants(self) -> IntArray:
        """Relevants of each list (n), int64 `[lists]`."""
        return np.diff(self.offsets)

    @cached_property
    def rows(self) -> IntArray:
        """List index of each row, int64 `[rows]`."""
        return np.repeat(np.arange(len(self)), self.n_relevants)

    @cached_property
    def ranked(self) -> NDArray[np.bool_]:
        """Whether the row has a rank (False: not retrieved), bool `[rows]`."""
        return self.above >= 0

    @cached_property
    def block_starts(self) -> IntArray:
        """First row of each block of tied relevants, int64 `[blocks]`."""
        new = np.ones(len(self.above), dtype=bool)
        new[1:] = (self.above[1:] != self.above[:-1]) | (self.rows[1:] != self.rows[:-1])
        # relevants without a rank share nothing: each is a block of its own
        new |= ~self.ranked
        return np.flatnonzero(new)

    @cached_property
    def blocks(self) -> IntArray:
        """Block index of each row, int64 `[rows]`."""
        return np.repeat(np.arange(len(self.block_starts)), self._block_lengths)

    @cached_property
    def _block_lengths(self) -> IntArray:
        return np.diff(np.append(self.block_starts, len(self.above)))

    @cached_property
    def block_relevants(self) -> IntArray:
        """Relevants in the row's own block (r), int64 `[rows]`."""
        return self._block_lengths[self.blocks]

    @cached_property
    def relevants_above(self) -> IntArray:
        """Relevants of the list in blocks above the row's own (R), int64 `[rows]`."""
        starts: IntArray = self.block_starts[self.blocks] - self.offsets[:-1][self.rows]
        return starts

    @cached_property
    def by_column(self) -> IntArray:
        """Order of the rows by list, then by language, int64 `[rows]`."""
        return self.order_within(self.columns)

    def order_within(self, key: IntArray) -> IntArray:
        """Stable order of the rows by list, then by a key per row, int64 `[rows]`."""
        low = int(key.min(initial=0))
        width = int(key.max(initial=0)) - low + 1
        if len(self) * width >= 2**63:
            return np.lexsort((key, self.rows))
        return np.argsort(self.rows * width + (key - low), kind="stable")

    @cached_property
    def memo(self) -> dict[str, FloatArray]:
        """Arrays that several metrics need of these lists, by name, each made once."""
        return {}

    @cached_property
    def first_rows(self) -> IntArray:
        """First row of each list: its best-ranked relevant, int64 `[lists]`."""
        return self.offsets[:-1]

    @cached_property
    def last_rows(self) -> IntArray:
        """Last row of each list, int64 `[lists]`."""
        return self.offsets[1:] - 1

    @cached_property
    def in_own_language(self) -> NDArray[np.bool_]:
        """Whether the row is in the query's own language, bool `[rows]`."""
        return np.asarray(self.columns == self.query_columns[self.rows])

    def sum_rows(self, values: FloatArray) -> FloatArray:
        """Sum per list of a value per row, float64 `[lists]`."""
        if len(values) == len(self):  # one row a list
            return values.astype(np.float64)
        return np.add.reduceat(values, self.first_rows)

    @cached_property
    def has_ties(self) -> NDArray[np.bool_]:
        """Whether a relevant of the list shares its score with another candidate, bool `[lists]`."""
        tied = np.zeros(len(self), dtype=bool)
        tied[self.rows[self.tied > 1]] = True
        return tied

    def take(self, chosen: IntArray) -> RankedLists:
        """The lists with these indices, in this order."""
        lengths = self.n_relevants[chosen]
        offsets = np.append(0, np.cumsum(lengths))
        rows = np.repeat(self.offsets[chosen] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return RankedLists(
            offsets=offsets,
            above=self.above[rows],
            tied=self.tied[rows],
            gains=self.gains[rows],
            columns=self.columns[rows],
            queries=self.queries[chosen],
            pools=self.pools[chosen],
            pool_sizes=self.pool_sizes[chosen],
            query_columns=self.query_columns[chosen],
            tops=None if self.tops is None else Tops(*(values[chosen] for values in self.tops)),
            hits=None if self.hits is None else self.hits.take(chosen),
            column_sizes=self.column_sizes,
        )

    def of_relevant(self, relevant: NDArray[np.bool_]) -> tuple[RankedLists, RankedLists]:
        """The lists that have a row of these, with these rows alone and with all their rows.

        Args:
            relevant: bool `[rows]`.
        """
        counts = np.bincount(self.rows[relevant], minlength=len(self))
        some = counts > 0
        whole = self.take(np.flatnonzero(some))
        rows = relevant[some[self.rows]]
        return replace(
            whole,
            offsets=np.append(0, np.cumsum(counts[some])),
            above=whole.above[rows],
            tied=whole.tied[rows],
            gains=whole.gains[rows],
            columns=whole.columns[rows],
        ), whole

    def part(self, start: int, stop: int) -> RankedLists:
        """Consecutive lists; their arrays are parts of these."""
        offsets, lists = self.offsets[start : stop + 1], slice(start, stop)
        rows = slice(int(offsets[0]), int(offsets[-1]))
        return RankedLists(
            offsets=offsets - offsets[0],
            above=self.above[rows],
            tied=self.tied[rows],
            gains=self.gains[rows],
            columns=self.columns[rows],
            queries=self.queries[lists],
            pools=self.pools[lists],
            pool_sizes=self.pool_sizes[lists],
            query_columns=self.query_columns[lists],
            tops=None if self.tops is None else Tops(*(values[lists] for values in self.tops)),
            hits=None if self.hits is None else self.hits.take(lists),
            column_sizes=self.column_sizes,
        )

    def pessimistic(self) -> RankedLists:
        """The same lists with ties broken against the relevants: each stands last in its block, lower gains first.

        Among equal gains those in the query's own language stand last, for the one score that looks at it.

        Returns:
            Lists without ties; any metric of them is its value under the worst order.
        """
        first = self.above + self.tied - self.block_relevants
        return self._with_places(first, self.gains, self.in_own_language)

    def optimistic(self) -> RankedLists:
        """The same lists with ties broken in favour of the relevants, higher gains first."""
        return self._with_places(self.above, -self.gains, ~self.in_own_language)

    def _with_places(self, first: IntArray, order_by: FloatArray, then_by: NDArray[np.bool_]) -> RankedLists:
        """Give the relevants of each block the places from `first` on, in the order of `order_by`, then `then_by`."""
        order = np.lexsort((then_by, order_by, self.blocks))
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order)) - self.block_starts[self.blocks[order]]
        above = np.where(self.ranked, first + place, -1)
        return in_rank_order(replace(self, above=above, tied=np.ones_like(self.tied)))


def in_rank_order(lists: RankedLists) -> RankedLists:
    """Sort the rows of each list by `above`, rows without a rank last; stable."""
    key = np.where(lists.above >= 0, lists.above, lists.above.max(initial=0) + 1)
    if ((key[1:] >= key[:-1]) | (lists.rows[1:] != lists.rows[:-1])).all():
        return lists
    order = lists.order_within(key)
    return replace(
        lists,
        above=lists.above[order],
        tied=lists.tied[order],
        gains=lists.gains[order],
        columns=lists.columns[order],
    )


def _lists(
    ranks: Ranks, rows: IntArray, list_of_row: IntArray, above: IntArray, tied: IntArray, pools: IntArray
) -> RankedLists:
    """Build lists from relevant rows that are grouped by `list_of_row` (ascending, without gaps)."""
    starts = np.flatnonzero(np.r_[True, list_of_row[1:] != list_of_row[:-1]]) if len(rows) else rows
    queries = ranks.row_queries[rows[starts]]
    own = np.where(ranks.query_numbers < len(ranks.columns), ranks.query_numbers, -1)
    pools = pools[starts]
    sizes = np.append(ranks.column_sizes, ranks.column_sizes.sum())[pools]
    if ranks.removed is not None:
        sizes = sizes - np.column_stack([ranks.removed, ranks.removed.sum(axis=1)])[queries, pools]
    return in_rank_order(
        RankedLists(
            offsets=np.append(starts, len(rows)),
            above=above,
            tied=tied,
            gains=ranks.gains[rows],
            columns=ranks.relevant_columns[rows],
            queries=queries,
            pools=pools,
            pool_sizes=sizes,
            query_columns=own[queries],
        )
    )


def bilingual_lists(ranks: Ranks) -> RankedLists:
    """One list per (query, candidate language that has a relevant), ranked within that language alone.

    Those whose pool is the query's own language make the monolingual setting, the others the cross-lingual one.
    """
    keys = ranks.row_queries * len(ranks.columns) + ranks.relevant_columns
    order = np.arange(len(keys))
    if (keys[1:] < keys[:-1]).any():
        order = np.argsort(keys, kind="stable")
    keys, columns = keys[order], ranks.relevant_columns[order]
    above, tied = (counts[order].astype(np.int64) for counts in (ranks.counts.own_gt, ranks.counts.own_eq))
    return _lists(ranks, order, keys, above, tied, columns)


def pooled_counts(ranks: Ranks) -> tuple[IntArray, IntArray]:
    """Candidates of the whole pool above each relevant, and those that score the same, both int64 `[relevants]`.

    Above is -1 where the relevant has no rank: it was not retrieved, or stands below what a cut ranking tells exactly.
    """
    above, tied = ranks.counts.gt.astype(np.int64), ranks.counts.eq.astype(np.int64)
    if ranks.depth is not None:
        # columns cut at the depth are exact for the pool down to that depth, less what leaves
        left = 0 if ranks.removed is None else ranks.removed.sum(axis=1)[ranks.row_queries]
        above[above >= ranks.depth - left] = -1
    return above, tied


def multilingual_lists(ranks: Ranks) -> RankedLists:
    """One list per query, ranked within the whole pool."""
    rows = np.arange(ranks.n_relevants)
    above, tied = pooled_counts(ranks)
    lists = _lists(ranks, rows, ranks.row_queries, above, tied, np.full(len(rows), WHOLE_POOL))
    if ranks.hits is not None:
        lists = replace(lists, hits=ranks.hits.take(lists.queries), column_sizes=ranks.column_sizes)
    own, counted = lists.query_columns, ranks.top if ranks.own_top is None else ranks.own_top
    if counted is None:
        return lists
    top = counted[lists.queries].astype(np.int64)
    # 0 of a language without candidates
    in_own = top[:, 0] if ranks.own_top is not None else np.where(own >= 0, top[np.arange(len(top)), own], 0)
    return replace(lists, tops=Tops(top.sum(axis=1), in_own, np.where(own >= 0, ranks.column_sizes[own], 0)))


# Sums over the places of a block of tied candidates, shared by the closed forms.

MCSHERRY_NAJORK = (
    "McSherry & Najork 2008, Computing information retrieval performance measures efficiently in the "
    "presence of tied scores"
)


def harmonic_difference(above: IntArray, tied: IntArray) -> FloatArray:
    """Sum of 1/r for r = above + 1 .. above + tied, float64; exact 1/(above + 1) where nothing is tied."""
    low = above.astype(np.float64)
    result = 1.0 / (low + 1.0)
    many = tied > 1
    result[many] = digamma(low[many] + tied[many] + 1.0) - digamma(low[many] + 1.0)
    return result


def share_within(lists: RankedLists, k: int) -> FloatArray:
    """P(rank <= k) of each row over a random order of its block: clip((k - G) / e, 0, 1); 0 without a rank."""
    share = np.clip((k - lists.above) / lists.tied.clip(min=1), 0.0, 1.0)
    return np.where(lists.ranked, share, 0.0)


def none_within(lists: RankedLists, slots: IntArray) -> FloatArray:
    """P(no relevant of each list's first block stands in the block's first `slots` places).

    C(e - r, s) / C(e, s) as a product over the r relevants.

    Args:
        lists: the lists.
        slots: s, int64 `[lists]`, 0 <= s <= e.
    """
    tied = lists.tied[lists.first_rows]
    relevants = lists.block_relevants[lists.first_rows]
    result = np.ones(len(lists))
    for j in range(int(relevants.max(initial=0))):
        factor = np.clip(tied - slots - j, 0, None) / np.clip(tied - j, 1, None)
        result = np.where(j < relevants, result * factor, result)
    return result


# What the best candidates of each list weigh, by language.


def known_hits(lists: RankedLists) -> tuple[Hits, IntArray]:
    """The best candidates, and how many candidates each language has."""
    if lists.hits is None or lists.column_sizes is None:
        raise TypeError("these lists do not tell their best candidates")
    return lists.hits, lists.column_sizes


def weight_of_languages(lists: RankedLists, weights: FloatArray) -> FloatArray:
    """Share of the weight of the first places that each language has, over a random order of ties.

    Every candidate of a block of ties has the mean weight of the block's places. Where a list has fewer candidates than
    there are weights, it is a share of the weight of those places that it has.

    Args:
        lists: the lists.
        weights: of the first, the second ... place; 0 beyond them.

    Returns:
        float64 `[lists, columns]`; NaN where nothing was retrieved.
    """
    hits, sizes = known_hits(lists)
    there = hits.columns >= 0
    n, k = there.shape
    padded = np.append(weights, np.zeros(k - len(weights)))
    block = np.arange(n)[:, None] * k + np.cumsum(~hits.tied & there, axis=1) - 1  # of each place
    of_block = np.bincount(block[there], np.broadcast_to(padded, there.shape)[there], minlength=n * k)
    size = np.bincount(block[there], minlength=n * k).astype(np.float64)
    last = block[:, -1]  # what is beyond the hits ties with the last of them
    size[last[there[:, -1]]] += hits.beyond.sum(axis=1)[there[:, -1]]
    each = of_block / np.maximum(size, 1.0)
    place = np.arange(n)[:, None] * len(sizes) + hits.columns
    total = np.bincount(place[there], each[block[there]], minlength=n * len(sizes)).reshape(n, len(sizes))
    total += np.where(there[:, -1], each[last], 0.0)[:, None] * hits.beyond
    given = (padded * there).sum(axis=1, keepdims=True)
    # the sum over languages can be a rounding error above the whole
    return np.where(given > 0, np.minimum(total / np.where(given > 0, given, 1.0), 1.0), np.nan)
