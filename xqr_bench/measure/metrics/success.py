"""Success at k."""

from __future__ import annotations

import numpy as np

from xqr_bench.core.types import FloatArray
from xqr_bench.measure.metrics import metric
from xqr_bench.measure.metrics.lists import MCSHERRY_NAJORK, RankedLists, none_within


@metric(
    "success",
    cutoff=True,
    summary="whether at least one relevant is among the first k candidates",
    formula="S@k = 1 - C(e-r, s) / C(e, s), s = clip(k - G, 0, e), of the first block that holds a relevant",
    source=MCSHERRY_NAJORK,
)
def success(lists: RankedLists, k: int) -> FloatArray:
    """Expected success at k over a random order of the first block; 0 when no relevant has a rank."""
    first = lists.first_rows
    slots = np.clip(k - lists.above[first], 0, lists.tied[first])
    return np.where(lists.ranked[first], 1.0 - none_within(lists, slots), 0.0)
