"""Reciprocal rank of the first relevant."""

from __future__ import annotations

import numpy as np

from xqr_bench.core.types import FloatArray
from xqr_bench.measure.metrics import metric
from xqr_bench.measure.metrics.lists import MCSHERRY_NAJORK, RankedLists, harmonic_difference


@metric(
    "mrr",
    summary="mean reciprocal rank of the first relevant",
    formula="RR = Σ_{i=1..e-r+1} C(e-i, r-1) / C(e, r) / (G + i), of the first block that holds a relevant",
    source=MCSHERRY_NAJORK,
)
def reciprocal_rank(lists: RankedLists, k: int | None = None) -> FloatArray:
    """Expected 1/rank of the first relevant over a random order of its block; 0 when none has a rank (up to k)."""
    first = lists.first_rows
    ranked = lists.ranked[first]
    above, tied = lists.above[first].clip(min=0), lists.tied[first].clip(min=1)
    relevants = lists.block_relevants[first]
    places = tied if k is None else np.clip(k - above, 0, tied)
    result = harmonic_difference(above, places) / tied
    # several relevants in the first block: the first of them is at place i with p_i, from p_1 = r/e on
    several = np.flatnonzero((relevants > 1) & ranked)
    g, e, r = (values[several].astype(np.float64) for values in (above, tied, relevants))
    p = r / e
    total = np.zeros(len(several))
    for i in range(1, int((e - r).max(initial=-1)) + 2):
        total += np.where(i <= places[several], p / (g + i), 0.0)
        p = np.where(e > i, p * (e - i - r + 1) / np.maximum(e - i, 1), 0.0).clip(min=0.0)
    result[several] = total
    return np.where(ranked & (places > 0), result, 0.0)
