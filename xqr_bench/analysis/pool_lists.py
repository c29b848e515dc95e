"""Pools of some languages: chosen, taken from the counts of a record as lists, and drawn at equal size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from xqr_bench.core.errors import RecordError, UsageError
from xqr_bench.core.types import CROSS_LINGUAL, MONOLINGUAL, MULTILINGUAL, FloatArray, IntArray, Ranks
from xqr_bench.measure.metrics import Metric, parse_metric
from xqr_bench.measure.metrics.lists import WHOLE_POOL, RankedLists, in_rank_order
from xqr_bench.measure.metrics.per_query import PerQuery, SettingView, per_query, setting_views

# Which pools of languages to look at: every subset of a size, or a seeded sample of them.


class Subsets(NamedTuple):
    """Pools of one size.

    Attributes:
        size: languages in each.
        pools: the languages of each, in the order of the task.
        all: whether these are all that there are; otherwise a sample without replacement.
    """

    size: int
    pools: tuple[tuple[str, ...], ...]
    all: bool


def subsets(languages: Sequence[str], limit: int, generator: np.random.Generator) -> list[Subsets]:
    """Subsets of each size from 1 up: all of them where there are at most `limit`, else a sample of so many.

    Raises:
        UsageError: `limit` is below 1.
    """
    if limit < 1:
        raise UsageError(f"{limit} pools of a size are none", remedy="give 1 or more")
    found = []
    for size in range(1, len(languages) + 1):
        n = comb(len(languages), size)
        every = list(combinations(languages, size))
        chosen = range(n) if n <= limit else np.sort(generator.choice(n, size=limit, replace=False)).tolist()
        found.append(Subsets(size, tuple(every[i] for i in chosen), n <= limit))
    return found


def nested(languages: Sequence[str], order: Sequence[str]) -> list[Subsets]:
    """Pools that grow by one language at a time, in this order.

    Raises:
        UsageError: the order names a language that is not there, or one twice.
    """
    strange = [code for code in order if code not in languages]
    if strange or len(set(order)) != len(order):
        raise UsageError(
            f"the order {', '.join(order)} is none of these languages",
            found=f"{', '.join(languages)}",
            remedy="name each at most once",
        )
    whole = [*order, *(code for code in languages if code not in order)]
    position = {code: i for i, code in enumerate(languages)}
    return [
        Subsets(size, (tuple(sorted(whole[:size], key=position.__getitem__)),), all=size == len(whole))
        for size in range(1, len(whole) + 1)
    ]


# Ranks -> the lists of any pool made of whole languages, one pool for all queries or one for each.

Members = NDArray[np.bool_]


def check_counts(ranks: Ranks, name: str) -> None:
    """Check that the ranks tell for each candidate language alone what stands above a relevant.

    Args:
        ranks: of a record.
        name: how the message calls it.

    Raises:
        RecordError: the ranking was cut at a depth (an approximate index, a run), or its lists of one language are
            rankings of their own and no parts of the pooled one.
    """
    remedy = "evaluate the encoder itself, without an approximate index: xqr-bench evaluate MODEL"
    if ranks.depth is not None:
        raise RecordError(
            f"{name} has no counts for the whole of each language, so no other pool can be made from it",
            found=f"a ranking cut at {ranks.depth:,} candidates",
            remedy=remedy,
        )
    if ranks.own_gt is not None:
        raise RecordError(
            f"{name} has no counts for each language within the pool, so no other pool can be made from it",
            found="lists for single languages that were ranked by themselves",
            remedy=remedy,
        )


def pool_lists(ranks: Ranks, members: Members, queries: Members | None = None) -> RankedLists:
    """One list a query, ranked within its pool: sums of the columns that are in it.

    Args:
        ranks: full-depth counts (`check_counts`).
        members: which columns make the pool, bool `[columns]`, or of each query, bool `[queries, columns]`.
        queries: which queries to take, bool `[queries]`; default all. One without a relevant in its pool has no list.

    Raises:
        UsageError: no query is left.
    """
    members = np.broadcast_to(members, (ranks.n_queries, len(ranks.columns)))
    inside = members[ranks.row_queries, ranks.relevant_columns]
    if queries is not None:
        inside = inside & queries[ranks.row_queries]
    rows = np.flatnonzero(inside)
    if not len(rows):
        raise UsageError("no query has a relevant in this pool", remedy="name languages that share questions")
    query = ranks.row_queries[rows]
    starts = np.flatnonzero(np.r_[True, query[1:] != query[:-1]])
    listed = query[starts]
    pool = members[query].astype(np.int32)
    column = {language: index for index, language in enumerate(ranks.columns)}
    own = np.array([column.get(language, -1) for language in ranks.query_languages], dtype=np.int64)[listed]
    own_inside = (own >= 0) & members[listed, own]
    return in_rank_order(
        RankedLists(
            offsets=np.append(starts, len(rows)),
            # a sum is at most the size of the pool, so an int32 holds it
            above=np.einsum("rc,rc->r", ranks.gt[rows], pool).astype(np.int64),
            tied=np.einsum("rc,rc->r", ranks.eq[rows], pool).astype(np.int64),
            gains=ranks.gains[rows],
            columns=ranks.relevant_columns[rows],
            queries=listed,
            pools=np.full(len(listed), WHOLE_POOL),
            pool_sizes=(members[listed] * _sizes(ranks, listed)).sum(axis=1),
            query_columns=np.where(own_inside, own, -1),
        )
    )


def _sizes(ranks: Ranks, queries: IntArray) -> IntArray:
    """Candidates of each language that are ranked for some queries, int64 `[queries, columns]`."""
    sizes = np.broadcast_to(ranks.column_sizes, (len(queries), len(ranks.columns)))
    return sizes if ranks.removed is None else sizes - ranks.removed[queries]


def least_sizes(ranks: Ranks) -> IntArray:
    """The fewest candidates of each language that are ranked for any query, int64 `[columns]`."""
    least: IntArray = _sizes(ranks, np.arange(ranks.n_queries)).min(axis=0)
    return least


def pool_values(
    ranks: Ranks, metrics: Sequence[str], members: Members, queries: Members | None = None
) -> dict[str, PerQuery]:
    """Per-query values of the metrics in the multilingual setting of a pool: metric -> values, cells by query language.

    Raises:
        UsageError: no query is left, or a metric has no multilingual setting.
    """
    parsed = [parse_metric(name) for name in metrics]
    for metric in parsed:
        if MULTILINGUAL not in metric.settings:
            raise UsageError(f"{metric.name} has no multilingual setting", remedy="choose another metric, such as map")
    view = SettingView(ranks, MULTILINGUAL, pool_lists(ranks, members, queries))
    return {metric.name: per_query(metric, view) for metric in parsed}


def of_languages(ranks: Ranks, languages: Sequence[str]) -> Members:
    """Which columns these languages are, bool `[columns]`."""
    wanted = set(languages)
    return np.array([language in wanted for language in ranks.columns])


def in_languages(ranks: Ranks, languages: Sequence[str]) -> Members:
    """Which queries are in these languages, bool `[queries]`."""
    return np.isin(np.asarray(ranks.query_languages, dtype=str), list(languages))


def labelled(ranks: Ranks) -> Members:
    """The languages in which each query has a relevant, bool `[queries, columns]`.

    A question has no label in a language it was not translated into, although a sentence there may answer it.
    """
    found = np.zeros((ranks.n_queries, len(ranks.columns)), dtype=bool)
    found[ranks.row_queries, ranks.relevant_columns] = True
    return found


# Pools of equal size: what a random sub-pool that keeps the relevant would give, exactly.
#
# A language has S candidates; the relevant stands below g of them and beside t = e - 1 others with its score. A
# sub-pool is the relevant and s - 1 of the other S - 1, drawn without replacement; tied candidates stand in random
# order. With j of the tied ones before it, j uniform on 0 .. t, a = g + j others stand before the relevant in the whole
# pool, and X of them in the sub-pool, hypergeometric: X ~ H(S - 1, a, s - 1). Its rank there is 1 + X:
#
#     E[rank]      = 1 + (s-1)/(S-1) a                        (the mean of X)
#     E[1/rank]    = S / (s (a+1)) (1 - C(S-1-a, s) / C(S, s))
#     P(rank <= k) = P(X <= k-1)
#
# each then averaged over j. The second follows from C(a, x)/(x+1) = C(a+1, x+1)/(a+1) and Vandermonde's identity: the
# sum over x of C(a, x) C(S-1-a, s-1-x) / (x+1) is (C(S, s) - C(S-1-a, s)) / (a+1).

HITS = (1, 10)
"""Cutoffs of success@k; with one relevant recall@k is the same."""


def expected_rank(above: IntArray, tied: IntArray, size: int, keep: int) -> FloatArray:
    """E[rank] in a random sub-pool that keeps the relevant, float64 `[rows]`.

    Args:
        above: candidates above the relevant (g), int64 `[rows]`.
        tied: candidates with its score, itself included (e), int64 `[rows]`.
        size: candidates of the pool (S), itself included.
        keep: candidates of the sub-pool (s), itself included; 1 <= s <= S.
    """
    share = (keep - 1) / (size - 1) if size > 1 else 0.0
    rank: FloatArray = 1.0 + share * (above + (tied - 1) / 2)
    return rank


def expected_reciprocal_rank(above: IntArray, tied: IntArray, size: int, keep: int) -> FloatArray:
    """E[1/rank], arguments as for `expected_rank`."""
    return _averaged(_reciprocals(size, keep), above, tied)


def expected_success(above: IntArray, tied: IntArray, size: int, keep: int, k: int) -> FloatArray:
    """P(rank <= k), arguments as for `expected_rank`."""
    if size == 1:
        return np.ones(len(above))
    before = np.arange(size)
    return _averaged(stats.hypergeom.cdf(k - 1, size - 1, before, keep - 1), above, tied)


def _reciprocals(size: int, keep: int) -> FloatArray:
    """E[1/rank] with a = 0 .. S-1 others before the relevant, float64 `[S]`.

    The ratio of binomials is the product over i = 0 .. a of (S - s - i) / (S - i), added up as logarithms: the
    difference of two log-gammas of this size would lose four digits.
    """
    before = np.arange(size, dtype=np.float64)
    with np.errstate(divide="ignore"):
        logs = np.log1p(-keep / (size - before[: size - keep + 1]))  # the last factor is 0
    missed = np.zeros(size)
    missed[: len(logs)] = np.exp(np.cumsum(logs))[:size]
    found = np.ones(size)
    found[: len(logs)] = -np.expm1(np.cumsum(logs))[:size]
    values: FloatArray = size / (keep * (before + 1)) * found
    return values


def _averaged(table: FloatArray, above: IntArray, tied: IntArray) -> FloatArray:
    """The mean of table[g .. g+e-1] of each row."""
    result = table[above]
    many = np.flatnonzero(tied > 1)
    sums = np.append(0.0, np.cumsum(table))
    result[many] = (sums[above[many] + tied[many]] - sums[above[many]]) / tied[many]
    return result


def equal_values(ranks: Ranks, keep: int, hits: tuple[int, ...] = HITS) -> dict[str, dict[str, PerQuery]]:
    """Per-query values in pools of one language cut to the same size, and in the whole ones beside them.

    Args:
        ranks: full-depth counts.
        keep: candidates of each sub-pool (s).
        hits: cutoffs of success@k.

    Returns:
        setting (monolingual, cross-lingual) -> `mrr`, `rank`, `success@k` and `equal mrr` ... -> values. Only queries
        with a single relevant in the language: with several, the closed forms do not hold; they are left out.

    Raises:
        UsageError: a language has fewer than `keep` candidates.
    """
    check_size(ranks, keep)
    return {
        setting: _of_view(_single(view), keep, hits)
        for setting, view in setting_views(ranks, (MONOLINGUAL, CROSS_LINGUAL)).items()
        if len(view.lists)
    }


def check_size(ranks: Ranks, keep: int) -> None:
    """Raise UsageError unless every language has `keep` candidates."""
    sizes = least_sizes(ranks)
    smallest = int(sizes.min())
    if not 1 <= keep <= smallest:
        language = ranks.columns[int(sizes.argmin())]
        raise UsageError(
            f"a pool of {keep:,} candidates cannot be drawn from every language",
            found=f"{language} has {smallest:,}",
            remedy=f"give a size of 1 to {smallest:,}",
        )


def left_out(ranks: Ranks) -> int:
    """(query, language) lists with more than one relevant, which `equal_values` leaves out."""
    keys = ranks.row_queries * len(ranks.columns) + ranks.relevant_columns
    _, counts = np.unique(keys, return_counts=True)
    return int((counts > 1).sum())


def _single(view: SettingView) -> SettingView:
    chosen = np.flatnonzero(view.lists.n_relevants == 1)
    return SettingView(view.ranks, view.setting, view.lists.take(chosen))


def _of_view(view: SettingView, keep: int, hits: tuple[int, ...]) -> dict[str, PerQuery]:
    lists = view.lists
    cells, cell = view.list_cells
    found: dict[str, PerQuery] = {}

    def add(name: str, of_pool: Callable[[IntArray, IntArray, int, int], FloatArray]) -> None:
        for label, equal in ((name, False), (f"equal {name}", True)):
            values = np.empty(len(lists))
            for size in np.unique(lists.pool_sizes).tolist():
                rows = np.flatnonzero(lists.pool_sizes == size)
                values[rows] = of_pool(lists.above[rows], lists.tied[rows], size, keep if equal else size)
            metric = Metric(label, "", "", "hypergeometric expectation", settings=(view.setting,))
            found[label] = PerQuery(metric, view.setting, cells, cell, lists.queries, values, view.tied)

    add("mrr", expected_reciprocal_rank)
    add("rank", expected_rank)
    for k in hits:
        add(f"success@{k}", lambda above, tied, size, s, k=k: expected_success(above, tied, size, s, k))  # type: ignore[misc]
    return found
