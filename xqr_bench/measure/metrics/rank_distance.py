"""Rank distance: how far apart the relevants of a query stand."""

from __future__ import annotations

import numpy as np

from xqr_bench.core.types import FloatArray
from xqr_bench.measure.metrics import bias
from xqr_bench.measure.metrics.lists import RankedLists


def single_is_undefined(lists: RankedLists, values: FloatArray) -> FloatArray:
    """NaN for queries with a single relevant: there is nothing to compare."""
    return np.where(lists.n_relevants > 1, values, np.nan)


def random_rank_distance(lists: RankedLists) -> FloatArray:
    """Expected rank distance of a random ranking: (n - 1)(N + 1) / (n + 1)."""
    n = lists.n_relevants
    expected: FloatArray = (n - 1) * (lists.pool_sizes + 1) / (n + 1)
    return single_is_undefined(lists, expected)


def least_rank_distance(lists: RankedLists) -> FloatArray:
    """The least possible rank distance: n - 1, all relevants in a row."""
    return single_is_undefined(lists, lists.n_relevants.astype(np.float64) - 1.0)


@bias(
    "rank_distance",
    summary="largest minus smallest rank of a query's relevants; to compare tasks read the ratio to random",
    formula="E[max] - E[min]; t relevants in a block: E[max] = G + t(e+1)/(t+1), E[min] = G + (e+1)/(t+1)",
    source="Elmahdy et al. 2024 (arXiv 2408.10536), after Huang et al. 2023 (SIGIR)",
    undefined_when="the query has a single relevant",
    bounds=(0.0, float("inf")),
    random_reference=random_rank_distance,
    floor=least_rank_distance,
)
def rank_distance(lists: RankedLists) -> FloatArray:
    """Expected distance between the last and the first relevant over a random order of tied candidates."""
    first, last = lists.first_rows, lists.last_rows
    t_first, t_last = lists.block_relevants[first], lists.block_relevants[last]
    smallest = lists.above[first] + (lists.tied[first] + 1) / (t_first + 1)
    largest = lists.above[last] + t_last * (lists.tied[last] + 1) / (t_last + 1)
    return single_is_undefined(lists, largest - smallest)
