"""Complete at k: whether all relevants are among the first k candidates."""

from __future__ import annotations

import numpy as np

from xqr_bench.core.types import MULTILINGUAL, FloatArray, IntArray
from xqr_bench.measure.metrics import metric
from xqr_bench.measure.metrics.lists import RankedLists


def all_within(slots: IntArray, chosen: IntArray, size: IntArray) -> FloatArray:
    """P(all of some chosen candidates stand in the first places of a random order): C(s, r) / C(e, r).

    Args:
        slots: how many places, s, int64 `[n]`, 0 <= s <= e.
        chosen: how many candidates, r, int64 `[n]`.
        size: how many there are to order, e, int64 `[n]`.
    """
    result = np.ones(len(slots))
    for j in range(int(chosen.max(initial=0))):
        factor = np.clip(slots - j, 0, None) / np.clip(size - j, 1, None)
        result = np.where(j < chosen, result * factor, result)
    return result


def random_complete(lists: RankedLists, k: int) -> FloatArray:
    """Of a random ranking: C(k, n) / C(N, n)."""
    return all_within(np.minimum(k, lists.pool_sizes), lists.n_relevants, lists.pool_sizes)


def best_complete(lists: RankedLists, k: int) -> FloatArray:
    """The greatest possible value: 1, and 0 where there are more than k relevants."""
    return (lists.n_relevants <= k).astype(np.float64)


@metric(
    "complete",
    cutoff=True,
    settings=(MULTILINGUAL,),
    summary="whether all relevants, of every language, are among the first k candidates",
    formula="C(s, r) / C(e, r), s = clip(k - G, 0, e), of the last block that holds a relevant; "
    "chance C(k, n) / C(N, n)",
    source="Complete@k of Hong et al. 2026 (arXiv 2604.05684), there of two languages in one pool",
    random_reference=random_complete,
    ceiling=best_complete,
)
def complete(lists: RankedLists, k: int) -> FloatArray:
    """P(the last relevant has a rank of at most k) over a random order of its block; 0 where one has no rank."""
    last = lists.last_rows
    slots = np.clip(k - lists.above[last], 0, lists.tied[last])
    within = all_within(slots, lists.block_relevants[last], lists.tied[last])
    return np.where(lists.ranked[last], within, 0.0)
