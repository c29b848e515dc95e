"""Language-aware nDCG at k: a relevant in the query's own language is worth more than one in another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from xqr_bench.core.types import MULTILINGUAL, FloatArray
from xqr_bench.measure.metrics import metric
from xqr_bench.measure.metrics.lists import MCSHERRY_NAJORK, RankedLists
from xqr_bench.measure.metrics.ndcg import ndcg

OWN, OTHER = 2.0, 1.0
"""Gain of a relevant in the query's own language, and in another."""


@metric(
    "language_ndcg",
    cutoff=True,
    graded=True,
    settings=(MULTILINGUAL,),
    summary="nDCG@k in which a relevant in the query's own language has the gain 2, one in another language 1",
    formula="nDCG@k with gain' = gain * (2 in the own language, 1 in another); the ideal ranking has the own one first",
    source="this project, after the Lang-nDCG of MLAIRE (Jang et al. 2026, arXiv 2605.07249); linear gain; ties: "
    + MCSHERRY_NAJORK,
)
def language_ndcg(lists: RankedLists, k: int) -> FloatArray:
    """Expected language-aware nDCG at k over a random order of tied candidates."""
    gains = lists.gains * np.where(lists.in_own_language, OWN, OTHER)
    value: FloatArray = ndcg(replace(lists, gains=gains), k)
    return value
