"""Normalised discounted cumulative gain at k."""

from __future__ import annotations

import numpy as np

from xqr_bench.core.types import FloatArray
from xqr_bench.measure.metrics import metric
from xqr_bench.measure.metrics.lists import MCSHERRY_NAJORK, RankedLists


@metric(
    "ndcg",
    cutoff=True,
    graded=True,
    summary="discounted cumulative gain of the first k candidates, over that of the ideal ranking",
    formula="DCG@k = Σ over relevants gain (1/e) Σ_{i=1..e, G+i<=k} 1/log2(G + i + 1); nDCG@k = DCG@k / ideal DCG@k",
    source="Järvelin & Kekäläinen 2002 with linear gain, as in trec_eval; ties: " + MCSHERRY_NAJORK,
)
def ndcg(lists: RankedLists, k: int) -> FloatArray:
    """Expected nDCG at k over a random order of tied candidates; relevants without a rank contribute 0."""
    # discounts[j]: sum of the discounts of the first j places
    discounts = np.append(0.0, np.cumsum(1.0 / np.log2(np.arange(2, k + 2))))
    above, tied = lists.above.clip(min=0), lists.tied.clip(min=1)
    per_place = (discounts[np.minimum(above + tied, k)] - discounts[np.minimum(above, k)]) / tied
    gained = lists.sum_rows(np.where(lists.ranked, lists.gains * per_place, 0.0))

    if (lists.gains == 1.0).all():
        best: FloatArray = discounts[np.minimum(lists.n_relevants, k)]
        return gained / best
    ideal_order = np.lexsort((-lists.gains, lists.rows))
    place = np.arange(len(lists.gains)) - lists.offsets[:-1][lists.rows]
    discount = np.where(place < k, 1.0 / np.log2(place + 2.0), 0.0)
    return gained / lists.sum_rows(lists.gains[ideal_order] * discount)
