"""Own language first: whether the relevant in the query's language leads the relevants."""

from __future__ import annotations

import numpy as np

from xqr_bench.core.types import FloatArray
from xqr_bench.measure.metrics import bias
from xqr_bench.measure.metrics.lists import RankedLists
from xqr_bench.measure.metrics.rank_distance import single_is_undefined


def chance_own_first(lists: RankedLists) -> FloatArray:
    """Without preference: the share of own-language relevants, 1/n with one a language."""
    share = lists.sum_rows(lists.in_own_language.astype(np.float64)) / lists.n_relevants
    return single_is_undefined(lists, np.where(share > 0, share, np.nan))


@bias(
    "own_language_first",
    summary="share of queries whose own-language relevant is first among the relevants (1/t where t tie)",
    formula="[own-language relevant in the first block] / t, t relevants in that block; chance 1/n",
    source="close to the Language Preference Rate of MLAIRE (Jang et al. 2026, arXiv 2605.07249)",
    undefined_when="the query has a single relevant, or none in its own language",
    random_reference=chance_own_first,
)
def own_language_first(lists: RankedLists) -> FloatArray:
    """Expected share of first places over a random order of tied relevants."""
    leads = (lists.relevants_above == 0) / lists.block_relevants
    share = lists.sum_rows(lists.in_own_language * leads)
    return np.where(np.isnan(chance_own_first(lists)), np.nan, share)
