"""Max rank: how far down one reads to have found every relevant."""

from __future__ import annotations

import numpy as np

from xqr_bench.core.types import FloatArray
from xqr_bench.measure.metrics import bias
from xqr_bench.measure.metrics.lists import RankedLists


def random_max_rank(lists: RankedLists) -> FloatArray:
    """Expected rank of the last relevant of a random ranking: n (N + 1) / (n + 1)."""
    n = lists.n_relevants
    expected: FloatArray = n * (lists.pool_sizes + 1) / (n + 1)
    return expected


def least_max_rank(lists: RankedLists) -> FloatArray:
    """The least possible value: n, all relevants first."""
    return lists.n_relevants.astype(np.float64)


@bias(
    "max_rank",
    summary="rank of the last relevant of a query: how far down one reads to have the answer in every language",
    formula="E[max] = G + r(e+1)/(r+1), of the last block that holds a relevant; chance n(N+1)/(n+1)",
    paper_name="max",
    source="Max@R of Hong et al. 2026 (arXiv 2604.05684), there of two languages in one pool",
    bounds=(1.0, float("inf")),
    random_reference=random_max_rank,
    floor=least_max_rank,
)
def max_rank(lists: RankedLists) -> FloatArray:
    """Expected rank of the last relevant over a random order of tied candidates."""
    last = lists.last_rows
    relevants = lists.block_relevants[last]
    rank: FloatArray = lists.above[last] + relevants * (lists.tied[last] + 1) / (relevants + 1)
    return rank
