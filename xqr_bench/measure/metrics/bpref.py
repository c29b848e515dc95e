"""Binary preference: relevants against the candidates that were judged irrelevant."""

from __future__ import annotations

import numpy as np

from xqr_bench.core.types import JUDGED, FloatArray
from xqr_bench.measure.metrics import metric
from xqr_bench.measure.metrics.lists import RankedLists


@metric(
    "bpref",
    summary="share of judged irrelevant candidates that a relevant stands above, averaged over the relevants",
    formula="bpref = (1/n) Σ over relevants 1 - min(u, n) / min(m, n), u of the m judged irrelevant ones above it",
    source="Buckley & Voorhees 2004, Retrieval evaluation with incomplete information; as trec_eval computes it",
    rule=JUDGED,
)
def bpref(lists: RankedLists) -> FloatArray:
    """Expected bpref over a random order of tied candidates; a relevant without a rank contributes 0.

    Of t irrelevant candidates that tie with a relevant, 0 .. t stand above it, all numbers alike probable.
    """
    n, m = lists.n_relevants, lists.pool_sizes - lists.n_relevants
    of_row = n[lists.rows]
    above = (lists.above - lists.relevants_above).clip(min=0)
    numbers = (lists.tied - lists.block_relevants).clip(min=0) + 1
    below_n = np.clip(of_row - above, 0, numbers)  # how many of the numbers leave u below n
    sums = below_n * above + below_n * (below_n - 1) / 2 + (numbers - below_n) * of_row
    lost = sums / numbers / np.minimum(n, m).clip(min=1)[lists.rows]
    return lists.sum_rows(np.where(lists.ranked, 1.0 - lost, 0.0)) / n
