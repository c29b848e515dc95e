"""Pools of equal size: what a random sub-pool that keeps the relevant would give, exactly.

A language has S candidates; the relevant stands below g of them and beside t = e - 1 others with its score. A sub-pool
is the relevant and s - 1 of the other S - 1, drawn without replacement; tied candidates stand in random order. With j
of the tied ones before it, j uniform on 0 .. t, a = g + j others stand before the relevant in the whole pool, and X of
them in the sub-pool, hypergeometric: X ~ H(S - 1, a, s - 1). Its rank there is 1 + X:

    E[rank]      = 1 + (s-1)/(S-1) a                        (the mean of X)
    E[1/rank]    = S / (s (a+1)) (1 - C(S-1-a, s) / C(S, s))
    P(rank <= k) = P(X <= k-1)

each then averaged over j. The second follows from C(a, x)/(x+1) = C(a+1, x+1)/(a+1) and Vandermonde's identity: the sum
over x of C(a, x) C(S-1-a, s-1-x) / (x+1) is (C(S, s) - C(S-1-a, s)) / (a+1).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import stats

from xqr_bench.errors import UsageError
from xqr_bench.metrics.base import Metric
from xqr_bench.metrics.per_query import PerQuery, SettingView, setting_views
from xqr_bench.pools.lists import least_sizes
from xqr_bench.types import CROSS_LINGUAL, MONOLINGUAL, FloatArray, IntArray, Ranks

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
