"""Recall at k of the relevants in other languages than the query's."""

from __future__ import annotations

import numpy as np

from xqr_bench.core.types import MULTILINGUAL, FloatArray
from xqr_bench.measure.metrics import metric
from xqr_bench.measure.metrics.lists import RankedLists, share_within


def _of_others(lists: RankedLists) -> FloatArray:
    """How many relevants are in other languages, float64 `[lists]`; NaN where none is."""
    others = lists.sum_rows((~lists.in_own_language).astype(np.float64))
    return np.where(others > 0, others, np.nan)


def random_recall(lists: RankedLists, k: int) -> FloatArray:
    """Of a random ranking: k / N."""
    chance = np.minimum(k, lists.pool_sizes) / lists.pool_sizes
    return np.where(np.isnan(_of_others(lists)), np.nan, chance)


def best_recall_of_others(lists: RankedLists, k: int) -> FloatArray:
    """The greatest possible value: min(m, k) / m, m relevants in other languages."""
    others = _of_others(lists)
    return np.minimum(others, k) / others


@metric(
    "other_language_recall",
    cutoff=True,
    kind="bias",
    settings=(MULTILINGUAL,),
    summary="share of the relevants in other languages than the query's that are among the first k candidates",
    formula="(1/m) Σ over the m relevants in other languages clip((k - G) / e, 0, 1); chance k/N",
    paper_name="tlr",
    source="TLR@k, target-languages recall, of SHIFT (Jang et al. 2026, arXiv 2606.18801)",
    undefined_when="the query has no relevant in another language",
    random_reference=random_recall,
    ceiling=best_recall_of_others,
)
def other_language_recall(lists: RankedLists, k: int) -> FloatArray:
    """Expected share over a random order of tied candidates."""
    return lists.sum_rows(np.where(lists.in_own_language, 0.0, share_within(lists, k))) / _of_others(lists)
