"""The top result of each multilingual query: right content or not, in the query's own language or not."""

from __future__ import annotations

import numpy as np

from xqr_bench.core.types import MULTILINGUAL, FloatArray
from xqr_bench.measure.metrics import metric
from xqr_bench.measure.metrics.lists import RankedLists, Tops


def _register(name: str, summary: str, formula: str, *, right: bool, own: bool) -> None:
    def by_chance(lists: RankedLists) -> FloatArray:
        """The share of such candidates in the pool: what a random ranking puts on top."""
        tops = _tops(lists)
        relevant = lists.sum_rows((lists.in_own_language == own).astype(np.float64))
        of_language = tops.own_pool if own else lists.pool_sizes - tops.own_pool
        share: FloatArray = (relevant if right else of_language - relevant) / lists.pool_sizes
        return share

    @metric(
        name,
        kind="bias",
        settings=(MULTILINGUAL,),
        needs_tops=True,
        summary=f"share of queries whose top result is {summary}; where several candidates tie at the top, the share "
        "of them that are",
        formula=formula,
        undefined_when="nothing was retrieved for a query",
        source="after the four-way decomposition of MLAIRE (Jang et al. 2026, arXiv 2605.07249)",
        random_reference=by_chance,
    )
    def kernel(lists: RankedLists) -> FloatArray:
        tops = _tops(lists)
        of_language = tops.own if own else tops.size - tops.own
        relevant = lists.sum_rows(((lists.above == 0) & (lists.in_own_language == own)).astype(np.float64))
        counted = relevant if right else of_language - relevant
        return np.where(tops.size > 0, counted / np.maximum(tops.size, 1), np.nan)


def _tops(lists: RankedLists) -> Tops:
    if lists.tops is None:
        raise TypeError("these lists do not tell what stands first")
    return lists.tops


_register(
    "top_right_own",
    "a relevant in the query's own language",
    "(own-language relevants at the top) / (candidates at the top)",
    right=True,
    own=True,
)
_register(
    "top_right_other",
    "a relevant in another language",
    "(other relevants at the top) / (candidates at the top)",
    right=True,
    own=False,
)
_register(
    "top_wrong_own",
    "in the query's own language but no relevant",
    "(other candidates of the own language at the top) / (candidates at the top)",
    right=False,
    own=True,
)
_register(
    "top_wrong_other",
    "in another language and no relevant",
    "(other candidates of other languages at the top) / (candidates at the top)",
    right=False,
    own=False,
)
