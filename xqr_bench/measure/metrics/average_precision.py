"""Average precision."""

from __future__ import annotations

import numpy as np

from xqr_bench.core.types import FloatArray
from xqr_bench.measure.metrics import metric
from xqr_bench.measure.metrics.lists import MCSHERRY_NAJORK, RankedLists, harmonic_difference


@metric(
    "map",
    summary="mean average precision: precision at the rank of each relevant, averaged over the relevants",
    formula="AP = (1/n) Σ over relevants (1/e) Σ_{i=1..e} (R + 1 + (i-1)(r-1)/(e-1)) / (G + i)",
    source=MCSHERRY_NAJORK,
)
def average_precision(lists: RankedLists, k: int | None = None) -> FloatArray:
    """Expected AP over a random order of tied candidates; a relevant without a rank contributes 0.

    With b = (r-1)/(e-1) the inner sum is b e + (R + 1 - b - b G) (H(G+e) - H(G)), H the harmonic numbers; cut at k it
    ends with the place k - G of the block, as trec_eval's `map_cut` does, and so contributes 0 below k.
    """
    above, tied = lists.above.clip(min=0), lists.tied.clip(min=1)
    places = tied if k is None else np.clip(k - above, 0, tied)
    slope = (lists.block_relevants - 1) / np.maximum(tied - 1, 1)
    at_top = lists.relevants_above + 1 - slope - slope * above
    expected = (slope * places + at_top * harmonic_difference(above, places)) / tied
    return lists.sum_rows(np.where(lists.ranked & (places > 0), expected, 0.0)) / lists.n_relevants
