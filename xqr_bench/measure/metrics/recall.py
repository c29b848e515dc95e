"""Recall at k."""

from __future__ import annotations

import numpy as np

from xqr_bench.core.types import FloatArray
from xqr_bench.measure.metrics import metric
from xqr_bench.measure.metrics.lists import MCSHERRY_NAJORK, RankedLists, share_within


def best_recall(lists: RankedLists, k: int) -> FloatArray:
    """The greatest possible recall: min(n, k) / n."""
    return np.minimum(lists.n_relevants, k) / lists.n_relevants


@metric(
    "recall",
    cutoff=True,
    summary="share of the relevants among the first k candidates",
    formula="R@k = (1/n) Σ over relevants clip((k - G) / e, 0, 1)",
    source=MCSHERRY_NAJORK,
    ceiling=best_recall,
)
def recall(lists: RankedLists, k: int) -> FloatArray:
    """Expected recall at k over a random order of tied candidates."""
    return lists.sum_rows(share_within(lists, k)) / lists.n_relevants
