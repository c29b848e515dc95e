"""Recall at k."""

from __future__ import annotations

import numpy as np

from xqr_bench.metrics.base import metric
from xqr_bench.metrics.lists import RankedLists
from xqr_bench.metrics.ties import MCSHERRY_NAJORK, share_within
from xqr_bench.types import FloatArray


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
