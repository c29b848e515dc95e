"""Language position: where each candidate language stands among the relevants."""

from __future__ import annotations

import numpy as np

from xqr_bench.core.types import FloatArray
from xqr_bench.measure.metrics import bias
from xqr_bench.measure.metrics.lists import RankedLists


def place_among_relevants(lists: RankedLists) -> FloatArray:
    """Mid-rank of each row among the relevants of its list, 1-based: its expectation over tied orders."""
    return lists.relevants_above + (lists.block_relevants + 1) / 2.0


def fair_position(lists: RankedLists) -> FloatArray:
    """Without preference every language stands at 1/2 on average."""
    return np.where(lists.n_relevants[lists.rows] > 1, 0.5, np.nan)


@bias(
    "language_position",
    summary="for each candidate language, mean place of its relevant among the relevants: 0 first, 1 last",
    formula="(rank among the relevants - 1) / (n - 1), mean over queries, per (query language, candidate language)",
    source="this project",
    undefined_when="the query has a single relevant",
    per_row=True,
    random_reference=fair_position,
)
def language_position(lists: RankedLists) -> FloatArray:
    """Position of each relevant, float64 `[rows]`, 0..1."""
    n = lists.n_relevants[lists.rows]
    return np.where(n > 1, (place_among_relevants(lists) - 1.0) / np.maximum(n - 1, 1), np.nan)
