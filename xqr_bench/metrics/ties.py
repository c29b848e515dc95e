"""Sums over the places of a block of tied candidates, shared by the closed forms."""

from __future__ import annotations

import numpy as np
from scipy.special import digamma

from xqr_bench.metrics.lists import RankedLists
from xqr_bench.types import FloatArray, IntArray

MCSHERRY_NAJORK = (
    "McSherry & Najork 2008, Computing information retrieval performance measures efficiently in the "
    "presence of tied scores"
)


def harmonic_difference(above: IntArray, tied: IntArray) -> FloatArray:
    """Sum of 1/r for r = above + 1 .. above + tied, float64; exact 1/(above + 1) where nothing is tied."""
    low = above.astype(np.float64)
    result = 1.0 / (low + 1.0)
    many = tied > 1
    result[many] = digamma(low[many] + tied[many] + 1.0) - digamma(low[many] + 1.0)
    return result


def share_within(lists: RankedLists, k: int) -> FloatArray:
    """P(rank <= k) of each row over a random order of its block: clip((k - G) / e, 0, 1); 0 without a rank."""
    share = np.clip((k - lists.above) / lists.tied.clip(min=1), 0.0, 1.0)
    return np.where(lists.ranked, share, 0.0)


def none_within(lists: RankedLists, slots: IntArray) -> FloatArray:
    """P(no relevant of each list's first block stands in the block's first `slots` places).

    C(e - r, s) / C(e, s) as a product over the r relevants.

    Args:
        lists: the lists.
        slots: s, int64 `[lists]`, 0 <= s <= e.
    """
    tied = lists.tied[lists.first_rows]
    relevants = lists.block_relevants[lists.first_rows]
    result = np.ones(len(lists))
    for j in range(int(relevants.max(initial=0))):
        factor = np.clip(tied - slots - j, 0, None) / np.clip(tied - j, 1, None)
        result = np.where(j < relevants, result * factor, result)
    return result
