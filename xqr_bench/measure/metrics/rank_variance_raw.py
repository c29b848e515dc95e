"""Variance of the relevants' ranks."""

from __future__ import annotations

import numpy as np

from xqr_bench.core.types import FloatArray
from xqr_bench.measure.metrics import bias
from xqr_bench.measure.metrics.lists import RankedLists
from xqr_bench.measure.metrics.rank_distance import single_is_undefined


def random_raw_variance(lists: RankedLists) -> FloatArray:
    """Expected variance of a random ranking: (1 - 1/n) N (N + 1) / 12."""
    n = lists.n_relevants
    size = lists.pool_sizes.astype(np.float64)
    return single_is_undefined(lists, (1.0 - 1.0 / n) * size * (size + 1.0) / 12.0)


@bias(
    "rank_variance_raw",
    summary="population variance of the relevants' ranks",
    formula="Var(mid-ranks) + Σ_k ((e_k² - 1)/12)(1/n - 1/n²) + Σ over ordered pairs in one block (e+1)/(12 n²)",
    source="this project",
    undefined_when="the query has a single relevant",
    bounds=(0.0, float("inf")),
    random_reference=random_raw_variance,
)
def rank_variance_raw(lists: RankedLists) -> FloatArray:
    """Expected population variance of the ranks over a random order of tied candidates."""
    n = lists.n_relevants
    tied = lists.tied.astype(np.float64)
    middle = lists.above + (tied + 1.0) / 2.0
    centre = lists.sum_rows(middle) / n
    between = lists.sum_rows((middle - centre[lists.rows]) ** 2) / n
    within = lists.sum_rows((tied**2 - 1.0) / 12.0) * (1.0 / n - 1.0 / n**2)
    pairs = lists.sum_rows((lists.block_relevants - 1) * (tied + 1.0)) / (12.0 * n**2)
    return single_is_undefined(lists, np.asarray(between + within + pairs, dtype=np.float64))
